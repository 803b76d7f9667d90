package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/musterdb/muster/cmd/muster/internal/load"
)

// eraseLine clears the current line of a terminal and moves to its beginning.
const eraseLine = "\r\x1b[K"

// progressBar draws the progress of an import on a terminal. Elsewhere it prints only why the import waits.
type progressBar struct {
	w       io.Writer
	width   int // 0: no terminal
	last    time.Time
	drawn   bool
	waiting string
}

func newProgressBar(w io.Writer) *progressBar {
	width, _ := terminal(w)
	return &progressBar{w: w, width: width}
}

// show draws the bar, at most ten times per second.
func (b *progressBar) show(p load.Progress) {
	b.waiting = ""
	if b.width == 0 || time.Since(b.last) < 100*time.Millisecond {
		return
	}
	b.last = time.Now()
	seconds := max(p.Elapsed.Seconds(), 1e-9)
	rate := float64(p.Lines) / seconds
	text := fmt.Sprintf("%s lines  %s/s", humanize.Comma(int64(p.Lines)), humanize.Comma(int64(rate)))
	if p.Rejected > 0 {
		text += fmt.Sprintf("  %s rejected", humanize.Comma(int64(p.Rejected)))
	}
	if p.Size > 0 && p.Offset > 0 {
		share := float64(p.Offset) / float64(p.Size)
		left := time.Duration(seconds/share*(1-share)) * time.Second
		const cells = 24
		full := int(share * cells)
		bar := strings.Repeat("█", full) + strings.Repeat("░", cells-full)
		text = fmt.Sprintf("%3.0f%% %s  %s  ETA %s", 100*share, bar, text, left)
	}
	b.draw(p.File + "  " + text)
}

// wait shows why the import waits. Off a terminal it prints each reason once.
func (b *progressBar) wait(why string, pause time.Duration) {
	if b.width > 0 {
		b.draw(fmt.Sprintf("waiting %s: %s", pause.Round(100*time.Millisecond), why))
	} else if b.waiting != why {
		fmt.Fprintf(b.w, "waiting: %s\n", sanitize(why))
	}
	b.waiting = why
}

func (b *progressBar) draw(text string) {
	if runes := []rune(text); len(runes) >= b.width {
		text = string(runes[:b.width-1])
	}
	sendControl(b.w, eraseLine)
	fmt.Fprint(b.w, sanitize(text))
	b.drawn = true
}

// clear removes the bar from the terminal.
func (b *progressBar) clear() {
	if b.drawn {
		sendControl(b.w, eraseLine)
		b.drawn = false
	}
}

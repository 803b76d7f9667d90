package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/musterdb/muster/query/tree"
)

// screen is a writer to a terminal. It replaces control characters, characters that change the direction of
// text, and invisible characters, except for line ends and tabs. So text cannot control the terminal,
// whatever its source. Commands send their own control sequences with sendControl.
type screen struct {
	to    io.Writer
	width func() int

	mu      sync.Mutex
	partial []byte // the beginning of a character whose end has not been written yet
}

// terminalWriter returns a writer to a file: a screen if the file is a terminal, else the file itself.
func terminalWriter(file *os.File) io.Writer {
	fd := int(file.Fd())
	if !term.IsTerminal(fd) {
		return file
	}
	return &screen{to: file, width: func() int {
		width, _, err := term.GetSize(fd)
		if err != nil || width <= 0 {
			return 80
		}
		return width
	}}
}

// Write implements io.Writer.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := text
	if len(s.partial) > 0 {
		rest = append(s.partial, text...)
	}
	whole := len(rest)
	for back := 1; back < utf8.UTFMax && back <= len(rest); back++ {
		if start := len(rest) - back; utf8.RuneStart(rest[start]) {
			if !utf8.FullRune(rest[start:]) {
				whole = start
			}
			break
		}
	}
	s.partial = append([]byte(nil), rest[whole:]...)
	if _, err := io.WriteString(s.to, replaceUnseen(string(rest[:whole]), "\n\t")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// control writes a control sequence to the terminal.
func (s *screen) control(sequence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.to, sequence) // if the terminal is gone there is nothing to do
}

// sendControl writes a control sequence to a stream if it is a terminal.
func sendControl(stream io.Writer, sequence string) {
	if s, ok := stream.(*screen); ok {
		s.control(sequence)
	}
}

// terminal reports whether a stream is a terminal, and its width. The width of stdin is 0.
func terminal(stream any) (width int, ok bool) {
	switch stream := stream.(type) {
	case *screen:
		return stream.width(), true
	case *os.File:
		return 0, term.IsTerminal(int(stream.Fd())) // stdin, whose width is not needed
	}
	return 0, false
}

// replaceUnseen replaces every character that a text should not contain, except for the allowed ones, by
// the replacement character.
func replaceUnseen(text, allowed string) string {
	return strings.Map(func(r rune) rune {
		if tree.Unseen(r) && !strings.ContainsRune(allowed, r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// sanitize makes a text a single line that is safe to print on a terminal.
func sanitize(text string) string { return replaceUnseen(text, "") }

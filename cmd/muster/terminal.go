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

// screen is a terminal as all commands write to it: what it shows is text and cannot command it, whoever it
// comes from. Characters that a terminal obeys, that turn the direction of others or that nobody sees are
// replaced; line ends and tabs stay. What a command itself tells the terminal goes through tell.
type screen struct {
	to    io.Writer
	width func() int

	mu   sync.Mutex
	part []byte // of a character whose end has not been written yet
}

// onTerminal returns what writes to a file: a screen if it is a terminal.
func onTerminal(file *os.File) io.Writer {
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

// Write shows text.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := text
	if len(s.part) > 0 {
		rest = append(s.part, text...)
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
	s.part = append([]byte(nil), rest[whole:]...)
	if _, err := io.WriteString(s.to, shown(string(rest[:whole]), "\n\t")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// command tells the terminal to do something.
func (s *screen) command(sequence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.to, sequence) // a terminal that is gone shows nothing
}

// tell tells a stream to do something if it is a terminal.
func tell(stream io.Writer, sequence string) {
	if s, ok := stream.(*screen); ok {
		s.command(sequence)
	}
}

// terminal tells whether a stream is one, and its width.
func terminal(stream any) (width int, ok bool) {
	switch stream := stream.(type) {
	case *screen:
		return stream.width(), true
	case *os.File:
		return 0, term.IsTerminal(int(stream.Fd())) // stdin: nobody asks for its width
	}
	return 0, false
}

// shown replaces what no text should have to show, but for the allowed characters. Every character stays one.
func shown(text, allowed string) string {
	return strings.Map(func(r rune) rune {
		if tree.Unseen(r) && !strings.ContainsRune(allowed, r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// harmless makes a text one line that can be shown.
func harmless(text string) string { return shown(text, "") }

package server

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestShortLinesAreLimited: no chunk has more than chunkLines lines, since three bytes of a body become
// hundreds in a message, and a chunk of such lines would take a gigabyte.
func TestShortLinesAreLimited(t *testing.T) {
	const n = 2*chunkLines + chunkLines/2
	broken := errors.New("broken")
	text := strings.Repeat("{}\n", n)
	for _, c := range []struct {
		name string
		in   io.Reader
		end  error
	}{
		{"lines", strings.NewReader(text), errEnd},
		{"lines without the last end", strings.NewReader(text[:len(text)-1]), errEnd},
		{"array", strings.NewReader("[" + strings.Repeat("{},", n-1) + "{}]"), errEnd},
		{"lines that break off", io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), broken},
	} {
		l := newLines(c.in, 1<<20)
		got, blocks := 0, 0
		for err := error(nil); err == nil; blocks++ {
			var b lineBlock
			l.next(&b)
			if len(b.items) > chunkLines {
				t.Fatalf("%s: a chunk of %d lines", c.name, len(b.items))
			}
			for _, item := range b.items {
				if got++; item.number != uint64(got) || string(item.raw) != "{}" {
					t.Fatalf("%s: line %d is %d, %q", c.name, got, item.number, item.raw)
				}
			}
			if b.last != uint64(got) {
				t.Fatalf("%s: a chunk to line %d says %d", c.name, got, b.last)
			}
			if err = b.err; err != nil && !errors.Is(err, c.end) {
				t.Errorf("%s: ended with %v, want %v", c.name, err, c.end)
			}
		}
		if got != n || blocks < 3 {
			t.Errorf("%s: %d lines in %d chunks, want %d in 3 or more", c.name, got, blocks, n)
		}
	}
}

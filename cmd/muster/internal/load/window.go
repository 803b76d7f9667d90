package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errLong says that a line does not end within maxLine bytes.
var errLong = fmt.Errorf("longer than %d bytes", maxLine)

// window slides over a stream. Bytes handed out are valid until the next more.
type window struct {
	r          io.Reader
	buf        []byte
	start, end int
	eof        bool
	line       uint64 // number of the line at start, from 1
}

func newWindow(r io.Reader) *window {
	return &window{r: r, buf: make([]byte, maxLine+256<<10), line: 1}
}

// rest returns what has been read and not been taken.
func (w *window) rest() []byte { return w.buf[w.start:w.end] }

// more reads further. It returns io.EOF when there is nothing more, and errLong when rest is as long
// as a line may be.
func (w *window) more() error {
	if w.eof {
		return io.EOF
	}
	if w.end-w.start > maxLine {
		return errLong
	}
	if w.start > 0 {
		copy(w.buf, w.rest())
		w.end -= w.start
		w.start = 0
	}
	for range 100 {
		n, err := w.r.Read(w.buf[w.end:])
		w.end += n
		if err != nil && err != io.EOF {
			return err
		}
		w.eof = err == io.EOF
		if n > 0 {
			return nil
		}
		if w.eof {
			return io.EOF
		}
	}
	return io.ErrNoProgress
}

// take moves over n bytes that hold the given number of line ends.
func (w *window) take(n, lines int) {
	w.start += n
	w.line += uint64(lines)
}

// nextLine returns the next physical line without its end, and its number. A line that is too long
// comes back cut, with errLong; io.EOF is the end.
func (w *window) nextLine() ([]byte, uint64, error) {
	looked := 0
	for {
		rest := w.rest()
		if i := bytes.IndexByte(rest[looked:], '\n'); i >= 0 {
			line, number := rest[:looked+i], w.line
			w.take(looked+i+1, 1)
			if len(line) > maxLine {
				return line[:1024], number, errLong
			}
			return bytes.TrimSuffix(line, []byte{'\r'}), number, nil
		}
		looked = len(rest)
		switch err := w.more(); {
		case err == nil:
		case errors.Is(err, errLong):
			return w.skipLong()
		case errors.Is(err, io.EOF) && looked > 0:
			number := w.line
			w.take(looked, 1)
			return bytes.TrimSuffix(rest, []byte{'\r'}), number, nil
		default:
			return nil, w.line, err
		}
	}
}

// skipLong drops the line at start and returns its beginning.
func (w *window) skipLong() ([]byte, uint64, error) {
	head, number := bytes.Clone(w.rest()[:1024]), w.line
	for {
		rest := w.rest()
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			w.take(i+1, 1)
			return head, number, errLong
		}
		w.take(len(rest), 0)
		if err := w.more(); err == io.EOF {
			w.line++
			return head, number, errLong
		} else if err != nil {
			return nil, number, err
		}
	}
}

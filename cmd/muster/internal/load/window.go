package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errTooLong means that a line does not end within maxLine bytes.
var errTooLong = fmt.Errorf("longer than %d bytes", maxLine)

// window is a sliding buffer over a stream. The slices it returns are valid until the next readMore.
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

// unread returns the bytes that are in the buffer and have not been consumed.
func (w *window) unread() []byte { return w.buf[w.start:w.end] }

// readMore reads more of the stream into the buffer. It returns io.EOF at the end of the stream, and
// errTooLong when unread is longer than a line may be.
func (w *window) readMore() error {
	if w.eof {
		return io.EOF
	}
	if w.end-w.start > maxLine {
		return errTooLong
	}
	if w.start > 0 {
		copy(w.buf, w.unread())
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

// advance consumes n bytes, which contain the given number of line ends.
func (w *window) advance(n, lines int) {
	w.start += n
	w.line += uint64(lines)
}

// nextLine returns the next physical line without its line end, and its number. For a line that is too
// long it returns the beginning and errTooLong. At the end of the stream it returns io.EOF.
func (w *window) nextLine() ([]byte, uint64, error) {
	looked := 0
	for {
		rest := w.unread()
		if i := bytes.IndexByte(rest[looked:], '\n'); i >= 0 {
			line, number := rest[:looked+i], w.line
			w.advance(looked+i+1, 1)
			if len(line) > maxLine {
				return line[:1024], number, errTooLong
			}
			return bytes.TrimSuffix(line, []byte{'\r'}), number, nil
		}
		looked = len(rest)
		switch err := w.readMore(); {
		case err == nil:
		case errors.Is(err, errTooLong):
			return w.skipTooLong()
		case errors.Is(err, io.EOF) && looked > 0:
			number := w.line
			w.advance(looked, 1)
			return bytes.TrimSuffix(rest, []byte{'\r'}), number, nil
		default:
			return nil, w.line, err
		}
	}
}

// skipTooLong skips the line at start and returns its beginning and errTooLong.
func (w *window) skipTooLong() ([]byte, uint64, error) {
	head, number := bytes.Clone(w.unread()[:1024]), w.line
	for {
		rest := w.unread()
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			w.advance(i+1, 1)
			return head, number, errTooLong
		}
		w.advance(len(rest), 0)
		if err := w.readMore(); err == io.EOF {
			w.line++
			return head, number, errTooLong
		} else if err != nil {
			return nil, number, err
		}
	}
}

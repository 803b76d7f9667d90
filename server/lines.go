package server

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api"
)

// errEnd is the end of a stream that came whole.
var errEnd = errors.New("end of stream")

// line is one message of a stream: a line of NDJSON, or an item of an array.
type line struct {
	number  uint64
	raw     []byte
	tooLong bool // raw is only its beginning
}

// lineBlock is a stretch of lines. last is the number of the last line it covers, empty ones
// counted; err, if set, is why no more follow: errEnd, or what went wrong behind last.
type lineBlock struct {
	items []line
	last  uint64
	err   error
}

// lines cuts a stream into lines, in memory bounded by chunkBytes and the longest line.
type lines struct {
	in      io.Reader
	limit   int
	want    int    // bytes of the next chunk
	carry   []byte // read, but behind the last whole line
	number  uint64 // lines given out
	begun   bool
	ended   bool
	skip    bool // in the middle of a line that is too long
	array   *jsontext.Decoder
	allowed *allowance
}

func newLines(in io.Reader, limit int) *lines { return &lines{in: in, limit: limit, want: firstChunk} }

// next fills b with the next stretch. Its memory is b's own.
func (l *lines) next(b *lineBlock) {
	if !l.begun {
		l.begun = true
		if b.err = l.begin(); b.err != nil {
			return
		}
	}
	if l.array != nil {
		l.nextItems(b)
	} else {
		l.nextLines(b)
	}
	b.last = l.number
	l.want = min(2*l.want, chunkBytes)
}

// begin reads up to the first byte that says whether an array follows.
func (l *lines) begin() error {
	buf := make([]byte, 4096)
	for {
		n, err := l.in.Read(buf)
		l.carry = append(l.carry, buf[:n]...)
		if err == io.EOF {
			l.ended = true
		} else if err != nil {
			return err
		}
		text := bytes.TrimLeft(l.carry, " \t\r\n\ufeff")
		switch {
		case len(text) > 0 && text[0] == '[':
			l.allowed = &allowance{in: io.MultiReader(bytes.NewReader(text), l.in)}
			l.array = jsontext.NewDecoder(l.allowed, jsontext.AllowDuplicateNames(true))
			l.allowed.left = l.limit + len(text)
			_, err := l.array.ReadToken()
			return err
		case len(text) > 0 || l.ended:
			l.carry = bytes.TrimPrefix(l.carry, []byte("\ufeff"))
			return nil
		case len(l.carry) > l.limit:
			return problem(api.CodeTooLarge, "the body begins with too much white space")
		}
	}
}

// nextLines reads until a chunk has been filled to its last whole line.
func (l *lines) nextLines(b *lineBlock) {
	buf := append(make([]byte, 0, l.want+64<<10), l.carry...)
	cut := bytes.LastIndexByte(buf, '\n') + 1
	for !l.ended && (cut == 0 || len(buf) < l.want) {
		if cut == 0 && len(buf) > l.limit { // no line ends here: keep its beginning, or not even that
			if !l.skip {
				l.skip = true
				b.items = append(b.items, line{l.number + 1, bytes.Clone(buf[:maxExcerpt]), true})
			}
			buf = buf[:0]
		}
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, len(buf)/2)...)[:len(buf)]
		}
		n, err := l.in.Read(buf[len(buf):cap(buf)])
		if i := bytes.LastIndexByte(buf[len(buf):len(buf)+n], '\n'); i >= 0 {
			cut = len(buf) + i + 1
		}
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			l.ended = true
		} else if err != nil { // the lines that came whole still count
			b.err = err
			break
		}
	}
	if l.ended {
		cut, b.err = len(buf), errEnd
	}
	if end := behindLines(buf[:cut], chunkLines); end < cut {
		cut, b.err = end, nil // what broke, or the end, comes again behind the rest
	}
	l.carry = bytes.Clone(buf[cut:])
	l.cut(b, buf[:cut])
}

// behindLines returns where the first n lines of text end, or its length.
func behindLines(text []byte, n int) int {
	end := 0
	for ; n > 0; n-- {
		at := bytes.IndexByte(text[end:], '\n')
		if at < 0 {
			return len(text)
		}
		end += at + 1
	}
	return end
}

// cut makes items of whole lines; the last needs no line end.
func (l *lines) cut(b *lineBlock, text []byte) {
	b.items = slices.Grow(b.items, bytes.Count(text, []byte{'\n'})+1)
	for len(text) > 0 {
		raw, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		l.number++
		if l.skip { // the end of a line that was too long
			l.skip = false
			continue
		}
		switch raw = bytes.TrimSpace(raw); {
		case len(raw) > l.limit:
			b.items = append(b.items, line{l.number, raw[:maxExcerpt], true})
		case len(raw) > 0:
			b.items = append(b.items, line{l.number, raw, false})
		}
	}
}

// nextItems reads items of an array. Where the JSON breaks, nothing behind can be made out.
func (l *lines) nextItems(b *lineBlock) {
	buf := make([]byte, 0, l.want)
	for len(buf) < l.want && len(b.items) < chunkLines {
		l.allowed.left = l.limit
		if l.array.PeekKind() == ']' {
			b.err = l.arrayEnd()
			break
		}
		v, err := l.array.ReadValue()
		if err != nil {
			b.err = l.itemError(err)
			break
		}
		l.number++
		start := len(buf)
		buf = append(buf, v...) // may move: items keep the memory they were cut from
		b.items = append(b.items, line{l.number, buf[start:len(buf):len(buf)], false})
	}
}

// arrayEnd reads the closing bracket and what is behind: nothing.
func (l *lines) arrayEnd() error {
	if _, err := l.array.ReadToken(); err != nil {
		return l.itemError(err)
	}
	switch _, err := l.array.ReadToken(); {
	case err == io.EOF:
		return errEnd
	case err != nil:
		return l.itemError(err)
	}
	return problem(api.CodeBadJSON, "there is something behind the end of the array")
}

func (l *lines) itemError(err error) error {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, errAllowance):
		return problem(api.CodeTooLarge, "an item of the array is too large")
	case errors.As(err, &syntactic), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return problem(api.CodeBadJSON, err.Error())
	}
	return err
}

// drain reads on without looking, up to limit bytes.
func (l *lines) drain(limit int64) {
	// An error means that there is nobody to answer to.
	_, _ = io.CopyN(io.Discard, l.in, limit)
}

var errAllowance = errors.New("beyond the allowance")

// allowance stops a reader that is asked for more than is allowed: the JSON decoder would hold an
// item of any length in memory.
type allowance struct {
	in   io.Reader
	left int
}

func (a *allowance) Read(b []byte) (int, error) {
	if a.left <= 0 {
		return 0, errAllowance
	}
	n, err := a.in.Read(b[:min(len(b), a.left)])
	a.left -= n
	return n, err
}

package server

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/server/decode"
)

// errEnd is the end of a complete stream.
var errEnd = errors.New("end of stream")

// line is one message of a stream: a line of NDJSON, or an item of an array.
type line struct {
	number  uint64
	raw     []byte
	tooLong bool // raw is only its beginning
}

// lineBlock is a range of lines. last is the number of the last line in it, counting empty ones. err, if
// set, is why no more follow: errEnd, or an error after last.
type lineBlock struct {
	items []line
	last  uint64
	err   error
}

// lines cuts a stream into lines. Its memory is bounded by chunkBytes and the longest line.
type lines struct {
	in     io.Reader
	limit  int
	want   int    // bytes of the next chunk
	carry  []byte // read, but not part of a whole line
	number uint64 // lines returned
	begun  bool
	ended  bool
	skip   bool // inside a line that is too long
	array  bool
	items  decode.Items
}

func newLines(in io.Reader, limit int) *lines { return &lines{in: in, limit: limit, want: firstChunk} }

// next fills b with the next lines. b owns their memory.
func (l *lines) next(b *lineBlock) {
	if !l.begun {
		l.begun = true
		if b.err = l.begin(); b.err != nil {
			return
		}
	}
	if l.array {
		l.nextItems(b)
	} else {
		l.nextLines(b)
	}
	b.last = l.number
	l.want = min(2*l.want, chunkBytes)
}

// begin reads up to the first byte that shows whether the body is an array.
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
			l.array, l.carry = true, text[1:]
			return nil
		case len(text) > 0 || l.ended:
			l.carry = bytes.TrimPrefix(l.carry, []byte("\ufeff"))
			return nil
		case len(l.carry) > l.limit:
			return problem(codes.TooLarge, "the body begins with too much white space")
		}
	}
}

// nextLines reads until b has enough whole lines.
func (l *lines) nextLines(b *lineBlock) {
	buf := append(make([]byte, 0, l.want+64<<10), l.carry...)
	cut := bytes.LastIndexByte(buf, '\n') + 1
	for !l.ended && (cut == 0 || len(buf) < l.want) {
		if cut == 0 && len(buf) > l.limit { // a line that is too long: keep its beginning once
			if !l.skip {
				l.skip = true
				b.items = append(b.items, line{l.number + 1, bytes.Clone(beginning(buf)), true})
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
		} else if err != nil { // whole lines before it still count
			b.err = err
			break
		}
	}
	if l.ended {
		cut, b.err = len(buf), errEnd
	}
	if end := endOfLines(buf[:cut], chunkLines); end < cut {
		cut, b.err = end, nil // an error or the end is reported again after the rest
	}
	l.carry = bytes.Clone(buf[cut:])
	l.cut(b, buf[:cut])
}

// endOfLines returns where the first n lines of text end, or its length.
func endOfLines(text []byte, n int) int {
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

// cut turns whole lines into items; the last one needs no line end.
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
			b.items = append(b.items, line{l.number, beginning(raw), true})
		case len(raw) > 0:
			b.items = append(b.items, line{l.number, raw, false})
		}
	}
}

// nextItems reads items of an array until b has enough. It only finds their ends; whatever is in the
// place of an item counts as one.
func (l *lines) nextItems(b *lineBlock) {
	buf := append(make([]byte, 0, l.want+64<<10), l.carry...)
	at, from := 0, -1 // buf[:at] has been read; an incomplete item begins at from, -1 if there is none
	for b.err == nil && len(b.items) < chunkLines {
		found, start, end := l.items.Next(buf[at:])
		if start += at; from >= 0 {
			start = from
		}
		at, from = at+end, -1
		switch found {
		case decode.Item:
			l.item(b, buf[start:at:at])
			continue
		case decode.End:
			b.err = l.arrayEnd(buf[at:])
			continue
		case decode.Part:
			from = start
		}
		switch {
		case l.skip || from < 0 && len(b.items) == 0: // the rest of buf is not needed
			if at, from = 0, -1; len(b.items) > 0 { // but the items in it are
				buf = make([]byte, 0, l.want+64<<10)
			}
			buf = buf[:0]
		case from >= 0 && at-from > l.limit:
			l.skip = true
			b.items = append(b.items, line{l.number + 1, bytes.Clone(beginning(buf[from:])), true})
			from = -1
		case at >= l.want && len(b.items) > 0:
			l.rest(buf, from)
			return
		}
		buf = l.more(b, buf)
	}
	if b.err == nil {
		l.carry = bytes.Clone(buf[at:])
	}
}

// rest keeps the beginning of an item for the next block.
func (l *lines) rest(buf []byte, from int) {
	l.carry = nil
	if from >= 0 {
		l.carry = bytes.Clone(buf[from:])
		l.items.Again()
	}
}

// item adds a whole item, or skips the end of one that is too long.
func (l *lines) item(b *lineBlock, raw []byte) {
	l.number++
	switch {
	case l.skip:
		l.skip = false
	case len(raw) > l.limit:
		b.items = append(b.items, line{l.number, beginning(raw), true})
	default:
		b.items = append(b.items, line{l.number, raw, false})
	}
}

// beginning returns the part of a line that is too long which is shown in its reject.
func beginning(raw []byte) []byte { return raw[:min(len(raw), maxExcerpt)] }

// more reads more of the body into buf. At the end of the body it reports that the array is not closed.
func (l *lines) more(b *lineBlock, buf []byte) []byte {
	if l.ended {
		b.err = problem(codes.BadJSON, "not valid JSON: the array is not closed")
		return buf
	}
	if len(buf) == cap(buf) {
		buf = append(buf, make([]byte, len(buf)/2)...)[:len(buf)]
	}
	n, err := l.in.Read(buf[len(buf):cap(buf)])
	if err == io.EOF {
		l.ended = true
	} else if err != nil {
		b.err = err
	}
	return buf[:len(buf)+n]
}

// arrayEnd checks that only space follows the closing bracket.
func (l *lines) arrayEnd(text []byte) error {
	for buf := make([]byte, 4096); ; {
		if len(bytes.TrimLeft(text, " \t\r\n")) > 0 {
			return problem(codes.BadJSON, "there is something after the end of the array")
		}
		if l.ended {
			return errEnd
		}
		n, err := l.in.Read(buf)
		if text = buf[:n]; err == io.EOF {
			l.ended = true
		} else if err != nil {
			return err
		}
	}
}

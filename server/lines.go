package server

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/server/decode"
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
	in     io.Reader
	limit  int
	want   int    // bytes of the next chunk
	carry  []byte // read, but behind the last whole line
	number uint64 // lines given out
	begun  bool
	ended  bool
	skip   bool // in the middle of a line that is too long
	array  bool
	items  decode.Items
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
	if l.array {
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

// nextLines reads until a chunk has been filled to its last whole line.
func (l *lines) nextLines(b *lineBlock) {
	buf := append(make([]byte, 0, l.want+64<<10), l.carry...)
	cut := bytes.LastIndexByte(buf, '\n') + 1
	for !l.ended && (cut == 0 || len(buf) < l.want) {
		if cut == 0 && len(buf) > l.limit { // no line ends here: keep its beginning, or not even that
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
			b.items = append(b.items, line{l.number, beginning(raw), true})
		case len(raw) > 0:
			b.items = append(b.items, line{l.number, raw, false})
		}
	}
}

// nextItems reads items of an array until a chunk is full. Their ends are all that is looked at; what
// stands in the place of an item is one too.
func (l *lines) nextItems(b *lineBlock) {
	buf := append(make([]byte, 0, l.want+64<<10), l.carry...)
	at, from := 0, -1 // buf[:at] has been read; the item in the middle of which that is began at from
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
		case l.skip || from < 0 && len(b.items) == 0: // none of what is not cut is needed
			if at, from = 0, -1; len(b.items) > 0 { // what is cut is
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

// rest keeps the beginning of an item for the next chunk.
func (l *lines) rest(buf []byte, from int) {
	l.carry = nil
	if from >= 0 {
		l.carry = bytes.Clone(buf[from:])
		l.items.Again()
	}
}

// item adds a whole item, or leaves out the end of one that is too long.
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

// beginning is what is shown of a line that is too long.
func beginning(raw []byte) []byte { return raw[:min(len(raw), maxExcerpt)] }

// more reads on behind what is in buf. At the end of the text it says that the array had none.
func (l *lines) more(b *lineBlock, buf []byte) []byte {
	if l.ended {
		b.err = problem(codes.BadJSON, "not valid JSON: the array has no end")
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

// arrayEnd reads what is behind the closing bracket: nothing.
func (l *lines) arrayEnd(text []byte) error {
	for buf := make([]byte, 4096); ; {
		if len(bytes.TrimLeft(text, " \t\r\n")) > 0 {
			return problem(codes.BadJSON, "there is something behind the end of the array")
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

package load

import (
	"bytes"
	"errors"
	"io"
)

// records cuts CSV (RFC 4180, any delimiter of one byte) into records. A record that is wrongly quoted
// or too long is one bad line, and reading goes on with the physical line after it, so that a single
// stray quote never swallows a file.
type records struct {
	*window
	comma   byte
	fields  [][]byte
	scratch []byte // unescaped fields
}

// record is one line of the file: its fields, or why it has none.
type record struct {
	number uint64
	raw    []byte // without the line's end
	fields [][]byte
	fault  string
}

var errMore = errors.New("more bytes are needed")
var errQuote = errors.New("text after a closing quote")
var errOpen = errors.New("a quote is not closed")

// next returns the next record that is not blank; what it holds is valid until the next call.
func (c *records) next() (record, error) {
	for {
		n, err := c.scan(c.rest(), c.eof)
		switch {
		case err == nil && n == 0:
			return record{}, io.EOF
		case err == nil && n > maxLine+2:
			return c.bad(errOpen)
		case err == nil:
			raw := c.rest()[:n]
			r := record{number: c.line, fields: c.fields}
			c.take(n, max(bytes.Count(raw, []byte{'\n'}), 1))
			if raw = trimEnd(raw); len(raw) == 0 {
				continue
			}
			r.raw = raw
			return r, nil
		case err == errMore:
			switch err := c.more(); {
			case err == nil || err == io.EOF:
				continue
			case err != errLong:
				return record{}, err
			}
			return c.bad(errOpen)
		default:
			return c.bad(err)
		}
	}
}

// bad gives up the physical line at the start.
func (c *records) bad(why error) (record, error) {
	raw, number, err := c.nextLine()
	if err == errLong {
		why = errLong
	} else if err != nil {
		return record{}, err
	}
	return record{number: number, raw: raw, fault: "CSV: " + why.Error()}, nil
}

func trimEnd(raw []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte{'\n'}), []byte{'\r'})
}

// scan reads one record at the start of b into c.fields and returns its length with its line end;
// 0 at the end of the file.
func (c *records) scan(b []byte, eof bool) (int, error) {
	c.fields, c.scratch = c.fields[:0], c.scratch[:0]
	if len(b) == 0 && eof {
		return 0, nil
	}
	for i := 0; ; {
		var err error
		if i < len(b) && b[i] == '"' {
			i, err = c.quoted(b, i+1, eof)
		} else {
			i, err = c.bare(b, i, eof)
		}
		switch {
		case err != nil:
			return 0, err
		case i == len(b):
			return i, nil
		case b[i] == c.comma:
			i++
		case b[i] == '\n':
			return i + 1, nil
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
			return i + 2, nil
		case b[i] == '\r' && i+1 == len(b) && eof:
			return i + 1, nil
		case b[i] == '\r' && i+1 == len(b):
			return 0, errMore
		default:
			return 0, errQuote
		}
	}
}

// bare reads a field without quotes from i and returns where it ended.
func (c *records) bare(b []byte, i int, eof bool) (int, error) {
	from := i
	for i < len(b) && b[i] != c.comma && b[i] != '\n' {
		i++
	}
	if i == len(b) && !eof {
		return 0, errMore
	}
	field := b[from:i]
	if i == len(b) || b[i] == '\n' {
		field = bytes.TrimSuffix(field, []byte{'\r'})
	}
	c.fields = append(c.fields, field)
	return i, nil
}

// quoted reads a field whose opening quote stands before i.
func (c *records) quoted(b []byte, i int, eof bool) (int, error) {
	from, escaped := i, false
	for {
		k := bytes.IndexByte(b[i:], '"')
		switch {
		case k < 0 && eof:
			return 0, errOpen
		case k < 0 || i+k+1 == len(b) && !eof:
			return 0, errMore
		}
		i += k + 1
		if i == len(b) || b[i] != '"' {
			break
		}
		escaped = true
		i++
	}
	field := b[from : i-1]
	if escaped {
		at := len(c.scratch)
		for len(field) > 0 {
			k := bytes.IndexByte(field, '"')
			if k < 0 {
				k = len(field) - 1
			}
			c.scratch = append(c.scratch, field[:k+1]...)
			field = field[min(k+1, len(field)):]
			if len(field) > 0 && field[0] == '"' {
				field = field[1:]
			}
		}
		field = c.scratch[at:len(c.scratch):len(c.scratch)]
	}
	c.fields = append(c.fields, field)
	return i, nil
}

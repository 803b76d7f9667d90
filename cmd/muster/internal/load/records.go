package load

import (
	"bytes"
	"errors"
	"io"
)

// records splits CSV (RFC 4180, any one-byte delimiter) into records. When a record is wrongly quoted or
// too long, only its first physical line is rejected, and reading continues with the next physical line,
// so that a single stray quote never swallows a file.
type records struct {
	*window
	comma   byte
	fields  [][]byte
	scratch []byte // the fields of the current record that had escaped quotes
}

// record is one record of the file: its fields, or a fault that says why it has none.
type record struct {
	number uint64
	raw    []byte // without the line end
	fields [][]byte
	fault  string
}

var errNeedMore = errors.New("more bytes are needed")
var errTextAfterQuote = errors.New("text after a closing quote")
var errUnclosedQuote = errors.New("a quote is not closed")

// next returns the next record that is not blank. Its slices are valid until the next call.
func (c *records) next() (record, error) {
	for {
		n, err := c.scan(c.unread(), c.eof)
		switch {
		case err == nil && n == 0:
			return record{}, io.EOF
		case err == nil && n > maxLine+2:
			return c.reject(errUnclosedQuote)
		case err == nil:
			raw := c.unread()[:n]
			r := record{number: c.line, fields: c.fields}
			c.advance(n, max(bytes.Count(raw, []byte{'\n'}), 1))
			if raw = trimEnd(raw); len(raw) == 0 {
				continue
			}
			r.raw = raw
			return r, nil
		case err == errNeedMore:
			switch err := c.readMore(); {
			case err == nil || err == io.EOF:
				continue
			case err != errTooLong:
				return record{}, err
			}
			return c.reject(errUnclosedQuote)
		default:
			return c.reject(err)
		}
	}
}

// reject skips the physical line at the start of the window and returns it as a record with a fault.
func (c *records) reject(why error) (record, error) {
	raw, number, err := c.nextLine()
	if err == errTooLong {
		why = errTooLong
	} else if err != nil {
		return record{}, err
	}
	return record{number: number, raw: raw, fault: "CSV: " + why.Error()}, nil
}

func trimEnd(raw []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte{'\n'}), []byte{'\r'})
}

// scan reads the record at the start of b into c.fields and returns its length including the line end,
// or 0 at the end of the file.
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
			return 0, errNeedMore
		default:
			return 0, errTextAfterQuote
		}
	}
}

// bare reads the unquoted field at i and returns its end.
func (c *records) bare(b []byte, i int, eof bool) (int, error) {
	from := i
	for i < len(b) && b[i] != c.comma && b[i] != '\n' {
		i++
	}
	if i == len(b) && !eof {
		return 0, errNeedMore
	}
	field := b[from:i]
	if i == len(b) || b[i] == '\n' {
		field = bytes.TrimSuffix(field, []byte{'\r'})
	}
	c.fields = append(c.fields, field)
	return i, nil
}

// quoted reads the field whose opening quote is just before i, and returns the position after its
// closing quote.
func (c *records) quoted(b []byte, i int, eof bool) (int, error) {
	from, escaped := i, false
	for {
		k := bytes.IndexByte(b[i:], '"')
		switch {
		case k < 0 && eof:
			return 0, errUnclosedQuote
		case k < 0 || i+k+1 == len(b) && !eof:
			return 0, errNeedMore
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

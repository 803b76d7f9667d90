package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/musterdb/muster/query/tree"
)

// ErrMalformed is the cause of every error of a Reader.
var ErrMalformed = errors.New("malformed bytes")

// Reader decodes bytes. The first error is kept in Err. After it every read returns zero, so a caller
// can check once, at the end.
type Reader struct {
	data []byte
	err  error
}

// NewReader returns a Reader over data. Strings it returns alias data.
func NewReader(data []byte) *Reader { return &Reader{data: data} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Len returns the number of bytes left.
func (r *Reader) Len() int { return len(r.data) }

// Fail records an error found by the caller, unless there is one already.
func (r *Reader) Fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	r.data = nil
}

// Done returns the first error, or an error if bytes are left over.
func (r *Reader) Done() error {
	if r.err == nil && len(r.data) > 0 {
		r.Fail("bytes left over")
	}
	return r.err
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.data) == 0 {
		r.Fail("byte")
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

// SkipByte skips the next byte if it is b, and reports whether it is.
func (r *Reader) SkipByte(b byte) bool {
	if len(r.data) == 0 || r.data[0] != b {
		return false
	}
	r.data = r.data[1:]
	return true
}

// Bool reads a byte that is 0 for false.
func (r *Reader) Bool() bool { return r.Byte() != 0 }

// Uvarint reads an unsigned varint.
func (r *Reader) Uvarint() uint64 {
	if len(r.data) > 0 && r.data[0] < 0x80 {
		b := r.data[0]
		r.data = r.data[1:]
		return uint64(b)
	}
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.Fail("uvarint")
		return 0
	}
	r.data = r.data[n:]
	return v
}

// Uint32 reads an unsigned varint that must fit in 32 bits.
func (r *Reader) Uint32() uint32 {
	v := r.Uvarint()
	if v > 1<<32-1 {
		r.Fail("uint32 out of range")
		return 0
	}
	return uint32(v)
}

// Varint reads a signed varint.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.Fail("varint")
		return 0
	}
	r.data = r.data[n:]
	return v
}

// Fixed64 reads eight bytes, little endian.
func (r *Reader) Fixed64() uint64 {
	if len(r.data) < 8 {
		r.Fail("fixed64")
		return 0
	}
	v := binary.LittleEndian.Uint64(r.data)
	r.data = r.data[8:]
	return v
}

// Count reads a number of elements that take at least size bytes each.
func (r *Reader) Count(size int) int {
	n := r.Uvarint()
	if n > uint64(len(r.data)/max(size, 1)) {
		r.Fail("count larger than the input")
		return 0
	}
	return int(n)
}

// Take reads n bytes without decoding them. The result aliases the input.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.Fail("length larger than the input")
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

// Bytes reads length-prefixed bytes. The result aliases the input.
func (r *Reader) Bytes() []byte { return r.Take(r.Count(1)) }

// String reads a length-prefixed string. The result aliases the input, which must not change while the
// string is in use.
func (r *Reader) String() string {
	b := r.Bytes()
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Value reads a value. It accepts only what AppendValue writes for a valid value: canonical decimals,
// lists of scalars.
func (r *Reader) Value() tree.Value { return r.value(true) }

func (r *Reader) value(lists bool) tree.Value {
	v := tree.Value{Type: tree.Type(r.Byte())}
	switch v.Type {
	case tree.BoolType:
		v.Int = int64(r.Byte())
		if v.Int > 1 {
			r.Fail("boolean")
		}
	case tree.NumberType:
		r.number(&v)
	case tree.TimeType:
		v.Int = r.Varint()
	case tree.StringType:
		v.Str = r.String()
	case tree.ListType:
		n := r.Count(2)
		if !lists || n == 0 {
			r.Fail("list")
			return tree.Value{}
		}
		v.List = make([]tree.Value, n)
		for i := range v.List {
			v.List[i] = r.value(false)
		}
	default:
		r.Fail("value type")
	}
	if r.err != nil {
		return tree.Value{}
	}
	return v
}

func (r *Reader) number(v *tree.Value) {
	v.Scale = int8(r.Byte())
	if v.Scale == tree.FloatScale {
		v.Int = int64(r.Fixed64())
		if _, ok := tree.FromFloat(v.Number().Float64()); !ok {
			r.Fail("float is not a number")
		}
		return
	}
	v.Int = r.Varint()
	if v.Scale < 0 || v.Scale > tree.MaxScale || v.Scale > 0 && v.Int%10 == 0 {
		r.Fail("number is not canonical")
	}
}

// SkipValue skips a value. It checks only its length.
func (r *Reader) SkipValue() {
	switch tree.Type(r.Byte()) {
	case tree.BoolType:
		r.Byte()
	case tree.NumberType:
		if int8(r.Byte()) == tree.FloatScale {
			r.Take(8)
			return
		}
		r.Varint()
	case tree.TimeType:
		r.Varint()
	case tree.StringType:
		r.Bytes()
	case tree.ListType:
		for range r.Count(2) {
			if len(r.data) > 0 && tree.Type(r.data[0]) == tree.ListType {
				r.Fail("list in a list")
			}
			r.SkipValue()
		}
	default:
		r.Fail("value type")
	}
}

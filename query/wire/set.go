package wire

import (
	"encoding/binary"

	"github.com/RoaringBitmap/roaring/v2"
)

// AppendSet appends a set: its length in bytes, and the set in roaring's portable format, with every
// container in its smallest form. Equal sets give equal bytes, whatever their form in memory. s is not
// changed.
func AppendSet(b []byte, s *roaring.Bitmap) []byte {
	small := s.Clone()
	small.RunOptimize()
	size := small.GetSerializedSizeInBytes()
	b = binary.AppendUvarint(b, size)
	out := byteSink(b)
	if _, err := small.WriteTo(&out); err != nil {
		panic(err) // byteSink never fails, and every container can be written after RunOptimize
	}
	return out
}

// byteSink is an io.Writer that appends to itself.
type byteSink []byte

func (s *byteSink) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

// Set reads a set, which shares no memory with the input. It returns an empty set after an error.
// Callers have already compared a checksum of the bytes; Set checks them anyway: lengths and offsets
// before the library reads them, so that memory and time are in proportion to the input, and the
// library's Validate after.
func (r *Reader) Set() *roaring.Bitmap {
	data := r.Bytes()
	if r.err == nil && !isSet(data) {
		r.Fail("layout of a set")
	}
	if r.err != nil {
		return roaring.New()
	}
	s := roaring.New()
	err := s.UnmarshalBinary(data)
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		r.Fail("set: " + err.Error())
		return roaring.New()
	}
	return s
}

// The portable format: https://github.com/RoaringBitmap/RoaringFormatSpec.
const (
	setCookie        = 12346 // if no container has runs
	setCookieRuns    = 12347 // in the low 16 bits; above them is the number of containers - 1
	setOffsetsFrom   = 4     // number of containers from which a set with runs has offsets
	setMaxContainers = 1 << 16
	setMaxArray      = 4096 // positions of an array container
	setBitsBytes     = 8192 // of a bitset container
	setMaxRuns       = 2047 // of a run container; with more runs, a bitset is smaller
)

// isSet reports whether all of data has the layout of a set.
func isSet(data []byte) bool {
	le := binary.LittleEndian
	r := NewReader(data)
	n := 0
	var runs, offsets []byte
	switch cookie := r.fixed32(); {
	case cookie == setCookie:
		n = int(r.fixed32())
	case cookie&0xffff == setCookieRuns:
		n = int(cookie>>16) + 1
		runs = r.Take((n + 7) / 8)
	default:
		return false
	}
	if n > setMaxContainers {
		return false
	}
	heads := r.Take(4 * n)
	if runs == nil || n >= setOffsetsFrom {
		offsets = r.Take(4 * n)
	}
	for i := 0; i < n && r.err == nil; i++ {
		if offsets != nil && int(le.Uint32(offsets[4*i:])) != len(data)-r.Len() {
			return false
		}
		size := int(le.Uint16(heads[4*i+2:]))*2 + 2
		switch {
		case runs != nil && runs[i/8]>>(i%8)&1 != 0:
			count := r.Take(2)
			if count == nil || le.Uint16(count) > setMaxRuns {
				return false
			}
			size = 4 * int(le.Uint16(count))
		case size > 2*setMaxArray:
			size = setBitsBytes
		}
		r.Take(size)
	}
	return r.Done() == nil
}

// fixed32 reads four bytes, little endian.
func (r *Reader) fixed32() uint32 {
	b := r.Take(4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

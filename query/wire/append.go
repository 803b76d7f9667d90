package wire

import (
	"encoding/binary"

	"github.com/musterdb/muster/query/tree"
)

// AppendString appends the length and the bytes of s.
func AppendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// AppendBytes appends the length and the bytes of data.
func AppendBytes(b, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// AppendBool appends a byte: 1 for true, 0 for false.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendValue appends a value: its type, then the data of that type. Numbers include their scale, so
// that a value is read back exactly as it was.
func AppendValue(b []byte, v tree.Value) []byte {
	b = append(b, byte(v.Type))
	switch v.Type {
	case tree.BoolType:
		b = append(b, byte(v.Int))
	case tree.NumberType:
		b = append(b, byte(v.Scale))
		if v.Scale == tree.FloatScale {
			return binary.LittleEndian.AppendUint64(b, uint64(v.Int))
		}
		b = binary.AppendVarint(b, v.Int)
	case tree.TimeType:
		b = binary.AppendVarint(b, v.Int)
	case tree.StringType:
		b = AppendString(b, v.Str)
	case tree.ListType:
		b = binary.AppendUvarint(b, uint64(len(v.List)))
		for _, item := range v.List {
			b = AppendValue(b, item)
		}
	}
	return b
}

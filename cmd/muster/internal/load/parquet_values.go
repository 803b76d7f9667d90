package load

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// valueReader converts the values of a leaf to text.
type valueReader struct {
	// text appends a value as it is sent: strings without quotes, times as Unix ms. ok is false if the value
	// cannot be used.
	text func(dst []byte, v parquet.Value) (extended []byte, ok bool)
	// millis returns a value of a time leaf in Unix ms. It is nil for other leaves.
	millis func(v parquet.Value) (ms int64, ok bool)
	plain  bool // the bytes of a value are its text; the caller must check that it is UTF-8
}

// timeValues returns a reader for a time leaf.
func timeValues(millis func(v parquet.Value) (int64, bool)) valueReader {
	return valueReader{millis: millis, text: func(dst []byte, v parquet.Value) ([]byte, bool) {
		ms, ok := millis(v)
		return strconv.AppendInt(dst, ms, 10), ok
	}}
}

// textValues returns a reader for any other leaf.
func textValues(text func(dst []byte, v parquet.Value) ([]byte, bool)) valueReader {
	return valueReader{text: text}
}

// nativeReader returns the kind of a leaf's values and a reader for them.
func nativeReader(t parquet.Type) (Kind, valueReader) {
	if logical := t.LogicalType(); logical != nil {
		if kind, read := logicalReader(t.Kind(), logical.Value); read.text != nil {
			return kind, read
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return Bool, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) { return strconv.AppendBool(dst, v.Boolean()), true })
	case parquet.Int32:
		return Number, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) {
			return strconv.AppendInt(dst, int64(v.Int32()), 10), true
		})
	case parquet.Int64:
		return Number, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) { return strconv.AppendInt(dst, v.Int64(), 10), true })
	case parquet.Int96:
		return Time, timeValues(int96Millis)
	case parquet.Float:
		return Number, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) { return float(dst, float64(v.Float()), 32) })
	case parquet.Double:
		return Number, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) { return float(dst, v.Double(), 64) })
	}
	return String, valueReader{plain: true, text: func(dst []byte, v parquet.Value) ([]byte, bool) {
		text := v.ByteArray()
		return append(dst, text...), isUTF8(text)
	}}
}

// logicalReader is nativeReader for logical types that change the meaning of the stored values. For other
// logical types it returns an empty reader.
func logicalReader(kind parquet.Kind, logical format.LogicalTypeValue) (Kind, valueReader) {
	switch logical := logical.(type) {
	case *format.DateType:
		return Time, timeValues(func(v parquet.Value) (int64, bool) { return int64(v.Int32()) * 86_400_000, true })
	case *format.TimestampType:
		return Time, timeValues(timestamp(logical.Unit.Value))
	case *format.DecimalType:
		return Number, textValues(decimal(int(logical.Scale), kind))
	case *format.UUIDType:
		return String, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) {
			b := v.ByteArray()
			if len(b) != 16 {
				return dst, false
			}
			return fmt.Appendf(dst, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), true
		})
	case *format.IntType:
		switch {
		case logical.IsSigned:
		case kind == parquet.Int64:
			return Number, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) { return strconv.AppendUint(dst, v.Uint64(), 10), true })
		default:
			return Number, textValues(func(dst []byte, v parquet.Value) ([]byte, bool) {
				return strconv.AppendUint(dst, uint64(v.Uint32()), 10), true
			})
		}
	}
	return Untyped, valueReader{}
}

func timestamp(unit format.TimeUnitValue) func(parquet.Value) (int64, bool) {
	per := int64(1)
	switch unit.(type) {
	case *format.MicroSeconds:
		per = 1_000
	case *format.NanoSeconds:
		per = 1_000_000
	}
	return func(v parquet.Value) (int64, bool) {
		n := v.Int64()
		ms := n / per
		if n%per < 0 {
			ms--
		}
		return ms, ms >= minTime && ms <= maxTime
	}
}

// int96Millis reads the timestamp format of old writers: nanoseconds of the day, and the Julian day.
func int96Millis(v parquet.Value) (int64, bool) {
	i := v.Int96()
	nanos := int64(i[0]) | int64(i[1])<<32
	ms := (int64(i[2])-2440588)*86_400_000 + nanos/1_000_000
	return ms, ms >= minTime && ms <= maxTime
}

func float(dst []byte, f float64, bits int) ([]byte, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, false
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.AppendInt(dst, int64(f), 10), true
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits), true
}

func decimal(scale int, kind parquet.Kind) func([]byte, parquet.Value) ([]byte, bool) {
	switch kind {
	case parquet.Int32:
		return func(dst []byte, v parquet.Value) ([]byte, bool) {
			return appendDecimal(dst, int64(v.Int32()), scale), true
		}
	case parquet.Int64:
		return func(dst []byte, v parquet.Value) ([]byte, bool) { return appendDecimal(dst, v.Int64(), scale), true }
	}
	return func(dst []byte, v parquet.Value) ([]byte, bool) { // big-endian two's complement
		b := v.ByteArray()
		n := new(big.Int).SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		return appendPoint(dst, n.Sign() < 0, n.Abs(n).Append(nil, 10), scale), true
	}
}

// appendDecimal appends n with its last scale digits after the point.
func appendDecimal(dst []byte, n int64, scale int) []byte {
	magnitude := uint64(n)
	if n < 0 {
		magnitude = -magnitude
	}
	var digits [20]byte
	return appendPoint(dst, n < 0, strconv.AppendUint(digits[:0], magnitude, 10), scale)
}

// appendPoint appends digits, with the last scale of them after the point and at least one before it.
func appendPoint(dst []byte, negative bool, digits []byte, scale int) []byte {
	if negative {
		dst = append(dst, '-')
	}
	if scale <= 0 {
		return append(dst, digits...)
	}
	whole := len(digits) - scale
	if whole <= 0 {
		dst = append(append(dst, "0."...), strings.Repeat("0", -whole)...)
		return append(dst, digits...)
	}
	dst = append(append(dst, digits[:whole]...), '.')
	return append(dst, digits[whole:]...)
}

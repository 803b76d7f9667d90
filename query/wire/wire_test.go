package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/musterdb/muster/query/tree"
)

// field is one encoded value: the bytes that Append wrote, and a function that reads it and reports
// whether it is unchanged.
type field struct {
	kind  string
	bytes []byte
	same  func(r *Reader) bool
	zero  func(r *Reader) bool // reads the same kind, and reports whether the result is zero
}

// fieldsOf returns one random field for each pair of an append and a read function.
func fieldsOf(rng *rand.Rand) []field {
	n := rng.Uint64() >> rng.IntN(64)
	i := int64(n) * int64(1-2*rng.IntN(2))
	b := make([]byte, rng.IntN(300)>>rng.IntN(9))
	for k := range b {
		b[k] = byte(rng.Uint32())
	}
	v := randomValue(rng, true)
	return []field{
		{"byte", []byte{byte(n)}, func(r *Reader) bool { return r.Byte() == byte(n) }, func(r *Reader) bool { return r.Byte() == 0 }},
		{"uvarint", binary.AppendUvarint(nil, n), func(r *Reader) bool { return r.Uvarint() == n }, func(r *Reader) bool { return r.Uvarint() == 0 }},
		{"uint32", binary.AppendUvarint(nil, uint64(uint32(n))), func(r *Reader) bool { return r.Uint32() == uint32(n) }, func(r *Reader) bool { return r.Uint32() == 0 }},
		{"varint", binary.AppendVarint(nil, i), func(r *Reader) bool { return r.Varint() == i }, func(r *Reader) bool { return r.Varint() == 0 }},
		{"fixed64", binary.LittleEndian.AppendUint64(nil, n), func(r *Reader) bool { return r.Fixed64() == n }, func(r *Reader) bool { return r.Fixed64() == 0 }},
		{"string", AppendString(nil, string(b)), func(r *Reader) bool { return r.String() == string(b) }, func(r *Reader) bool { return r.String() == "" }},
		{"bytes", AppendBytes(nil, b), func(r *Reader) bool { return bytes.Equal(r.Bytes(), b) }, func(r *Reader) bool { return len(r.Bytes()) == 0 }},
		{"value", AppendValue(nil, v), func(r *Reader) bool { return equal(r.Value(), v) }, func(r *Reader) bool { return equal(r.Value(), tree.Value{}) }},
		{"skipped", AppendValue(nil, v), func(r *Reader) bool { r.SkipValue(); return r.Err() == nil }, func(r *Reader) bool { r.SkipValue(); return true }},
	}
}

// randomValue returns a random valid value of any type and form.
func randomValue(rng *rand.Rand, lists bool) tree.Value {
	kinds := 6
	if lists {
		kinds++
	}
	switch rng.IntN(kinds) {
	case 0:
		return tree.Bool(rng.IntN(2) == 0)
	case 1:
		return tree.Time(int64(rng.Uint64()) >> rng.IntN(64))
	case 2:
		return tree.Str(strings.Repeat("ß", rng.IntN(100)))
	case 3:
		return tree.NumInt(int64(rng.Uint64()) >> rng.IntN(64))
	case 4:
		return tree.Num(tree.Decimal(int64(rng.Uint64())>>(4+rng.IntN(60)), int8(rng.IntN(tree.MaxScale+1))))
	case 5:
		n, _ := tree.FromFloat(math.Ldexp(1+rng.Float64(), 80+rng.IntN(900)))
		return tree.Num(n)
	}
	items := make([]tree.Value, 1+rng.IntN(4))
	for i := range items {
		items[i] = randomValue(rng, false)
	}
	return tree.ListOf(items...)
}

// equal is stricter than Value.Equal: all fields must be the same.
func equal(a, b tree.Value) bool {
	if a.Type != b.Type || a.Int != b.Int || a.Scale != b.Scale || a.Str != b.Str || len(a.List) != len(b.List) {
		return false
	}
	for i := range a.List {
		if !equal(a.List[i], b.List[i]) {
			return false
		}
	}
	return true
}

// TestRoundTrip: records of random fields in random order are read back, and nothing is left over. A
// record cut off at any byte is an error, after which every read returns zero.
func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 400 {
		fields := fieldsOf(rng)
		rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		var record []byte
		for _, f := range fields {
			record = append(record, f.bytes...)
		}
		r := NewReader(record)
		for i, f := range fields {
			if left := len(record) - r.Len(); !f.same(r) || r.Err() != nil || len(record)-r.Len() != left+len(f.bytes) {
				t.Fatalf("seed %d: field %d, a %s written as %x, is not read back: %v", seed, i, f.kind, f.bytes, r.Err())
			}
		}
		if err := r.Done(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for end := range record {
			cut(t, seed, record[:end:end], fields)
		}
		longer := NewReader(append(record, 0))
		for _, f := range fields {
			f.same(longer)
		}
		if err := longer.Err(); err != nil {
			t.Fatalf("seed %d: an extra byte is an error before the end: %v", seed, err)
		}
		if err := longer.Done(); !errors.Is(err, ErrMalformed) {
			t.Fatalf("seed %d: a byte left over: %v", seed, err)
		}
	}
}

// cut reads the fields of a truncated record.
func cut(t *testing.T, seed uint64, data []byte, fields []field) {
	t.Helper()
	r := NewReader(data)
	var first error
	for i, f := range fields {
		if first == nil {
			f.same(r)
			first = r.Err()
		} else if !f.zero(r) || r.Err() != first || r.Len() != 0 {
			t.Fatalf("seed %d: cut after %d bytes: after %q field %d, a %s, is not zero, or %v", seed, len(data), first, i, f.kind, r.Err())
		}
	}
	if !errors.Is(first, ErrMalformed) || r.Done() != first {
		t.Fatalf("seed %d: cut after %d bytes: %v, then %v", seed, len(data), first, r.Done())
	}
}

// TestHostile reads bytes that no Append function writes. Each must be refused with ErrMalformed.
func TestHostile(t *testing.T) {
	endless := bytes.Repeat([]byte{0xff}, 11)
	overflow := append(bytes.Repeat([]byte{0xff}, 9), 2) // 2^64 and more
	float := func(f float64) []byte {
		return binary.LittleEndian.AppendUint64([]byte{byte(tree.NumberType), tree.FloatScale}, math.Float64bits(f))
	}
	number := func(scale byte, coef int64) []byte {
		return binary.AppendVarint([]byte{byte(tree.NumberType), scale}, coef)
	}
	length := func(n uint64, rest ...byte) []byte { return append(binary.AppendUvarint(nil, n), rest...) }
	list := func(items ...byte) []byte { return append([]byte{byte(tree.ListType)}, items...) }
	uvarint := func(r *Reader) { r.Uvarint() }
	value := func(r *Reader) { r.Value() }
	str := func(r *Reader) { _ = r.String() }
	for _, c := range []struct {
		name string
		data []byte
		read func(*Reader)
	}{
		{"endless uvarint", endless, uvarint},
		{"uvarint beyond 64 bits", overflow, uvarint},
		{"uvarint without an end", []byte{0x80, 0x80}, uvarint},
		{"endless varint", endless, func(r *Reader) { r.Varint() }},
		{"varint beyond 64 bits", overflow, func(r *Reader) { r.Varint() }},
		{"uint32 of 33 bits", length(1 << 32), func(r *Reader) { r.Uint32() }},
		{"uint32 of 64 bits", length(math.MaxUint64), func(r *Reader) { r.Uint32() }},
		{"fixed64 of seven bytes", make([]byte, 7), func(r *Reader) { r.Fixed64() }},
		{"string longer than the input", length(3, 'a', 'b'), str},
		{"string of 2^63 bytes", length(1<<63, 'a'), str},
		{"string of 2^64-1 bytes", length(math.MaxUint64, 'a'), str},
		{"bytes longer than the input", length(1), func(r *Reader) { r.Bytes() }},
		{"a negative length", make([]byte, 4), func(r *Reader) { r.Take(-1) }},
		{"a length larger than the input", make([]byte, 4), func(r *Reader) { r.Take(5) }},
		{"no type", []byte{byte(tree.NoType), 0, 0}, value},
		{"an unknown type", []byte{byte(tree.ListType) + 1, 0, 0}, value},
		{"the last type", []byte{255, 0, 0}, value},
		{"a boolean of 2", []byte{byte(tree.BoolType), 2}, value},
		{"a scale of -1", number(255, 1), value},
		{"a scale of 19", number(tree.MaxScale+1, 1), value},
		{"a decimal that ends in 0", number(1, 10), value},
		{"0 with decimals", number(2, 0), value},
		{"NaN", float(math.NaN()), value},
		{"infinity", float(math.Inf(1)), value},
		{"minus infinity", float(math.Inf(-1)), value},
		{"half a float", float(1e300)[:6], value},
		{"an empty list", list(0, 1, 1), value},
		{"a list longer than the input", list(2, byte(tree.BoolType), 1, byte(tree.BoolType)), value},
		{"a list of 2^60", append(list(), length(1<<60, byte(tree.BoolType), 1)...), value},
		{"a list in a list", list(1, byte(tree.ListType), 1, byte(tree.BoolType), 1), value},
		{"a list with an invalid value", list(1, byte(tree.BoolType), 7), value},
	} {
		r := NewReader(c.data)
		if c.read(r); !errors.Is(r.Err(), ErrMalformed) || r.Len() != 0 {
			t.Errorf("%s: %v, and %d bytes left", c.name, r.Err(), r.Len())
		}
	}
}

// TestLargest: the largest values within each limit are accepted.
func TestLargest(t *testing.T) {
	widest := NewReader(append(append(bytes.Repeat([]byte{0xff}, 9), 1), bytes.Repeat([]byte{0xff}, 4)...))
	if n := widest.Uvarint(); n != math.MaxUint64 || widest.Len() != 4 {
		t.Errorf("the largest uvarint is %d: %v", n, widest.Err())
	}
	if r := NewReader(binary.AppendUvarint(nil, 1<<32-1)); r.Uint32() != 1<<32-1 || r.Done() != nil {
		t.Errorf("the largest uint32: %v", r.Err())
	}
	if r := NewReader([]byte{1, 2, 3}); len(r.Take(3)) != 3 || len(r.Take(0)) != 0 || r.Done() != nil {
		t.Errorf("all that is left: %v", r.Err())
	}
	small := tree.ListOf(tree.Bool(true), tree.Time(0), tree.Str("")) // two bytes each, the least of a value
	if r := NewReader(AppendValue(nil, small)); !equal(r.Value(), small) || r.Done() != nil {
		t.Errorf("a list of the smallest values: %v", r.Err())
	}
	for scale := range byte(tree.MaxScale + 1) {
		r := NewReader(AppendValue(nil, tree.Num(tree.Number{Coef: 1, Scale: int8(scale)})))
		if v := r.Value(); r.Done() != nil || v.Scale != int8(scale) {
			t.Errorf("scale %d: %v, %v", scale, v, r.Err())
		}
	}
}

// TestCount: a count is returned only if the remaining bytes can contain that many elements.
func TestCount(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		size int
		left int
		want int // -1: refused
	}{
		{0, 1, 0, 0}, {1, 1, 0, -1}, {1, 1, 1, 1}, {9, 1, 9, 9}, {10, 1, 9, -1},
		{2, 8, 16, 2}, {2, 8, 15, -1}, {3, 8, 16, -1}, {1, 8, 7, -1},
		{5, 0, 5, 5}, {6, 0, 5, -1}, {6, -3, 5, -1}, // an element of unknown size takes at least a byte
		{math.MaxUint64, 1, 100, -1}, {math.MaxUint64, 0, 100, -1}, {1 << 63, 1, 100, -1}, {1<<63 + 1, 16, 100, -1}, {1 << 32, 1, 100, -1},
	} {
		r := NewReader(append(binary.AppendUvarint(nil, c.n), make([]byte, c.left)...))
		got := r.Count(c.size)
		if refused := r.Err() != nil; refused != (c.want < 0) || got != max(c.want, 0) || !refused && r.Len() != c.left {
			t.Errorf("%d elements of %d bytes in %d: %d, %v", c.n, c.size, c.left, got, r.Err())
		}
	}
}

// TestFail: the first error is kept, and nothing is read after it.
func TestFail(t *testing.T) {
	r := NewReader([]byte{1, 2, 3})
	r.Fail("a name")
	r.Fail("another")
	if err := r.Err(); !errors.Is(err, ErrMalformed) || !strings.HasPrefix(err.Error(), "a name:") || r.Byte() != 0 || r.Len() != 0 || r.Done() != err {
		t.Errorf("%v, then %v", err, r.Done())
	}
}

// TestAliases: results share the memory of the input, and appending to one does not overwrite the bytes
// after it.
func TestAliases(t *testing.T) {
	data := AppendBytes(AppendBytes(nil, []byte("one")), []byte("two"))
	r := NewReader(data)
	one := r.Bytes()
	one[0] = 'O'
	if data[1] != 'O' {
		t.Error("bytes were copied")
	}
	_ = append(one, '!')
	if two := r.Bytes(); string(two) != "two" {
		t.Errorf("the bytes after it became %q", two)
	}
}

// FuzzReader runs reads in the order of a script over any bytes. They never panic, never move backward
// and never read beyond the end. A value that is accepted survives a round trip, and skipping it reads
// the same number of bytes.
func FuzzReader(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		for i, field := range fieldsOf(rng) {
			f.Add([]byte{byte(i)}, field.bytes)
		}
	}
	f.Add([]byte{7, 8, 7}, []byte{byte(tree.ListType), 2, byte(tree.ListType), 1, 1, 1})
	reads := []func(*Reader){
		func(r *Reader) { r.Byte() }, func(r *Reader) { r.Uvarint() }, func(r *Reader) { r.Uint32() }, func(r *Reader) { r.Varint() },
		func(r *Reader) { r.Fixed64() }, func(r *Reader) { _ = r.String() }, func(r *Reader) { r.Bytes() },
		func(r *Reader) { r.SkipValue() }, func(r *Reader) { r.Take(int(int8(r.Byte()))) },
		func(r *Reader) {
			if n := r.Count(3); 3*n > r.Len() {
				panic("a count of more than the input holds")
			}
		},
	}
	f.Fuzz(func(t *testing.T, script, data []byte) {
		r := NewReader(data)
		for _, x := range script {
			left, before := r.Len(), r.Err()
			if x%16 < byte(len(reads)) {
				reads[x%16](r)
			} else {
				valueLaws(t, r)
			}
			if r.Len() > left || before != nil && r.Err() != before || r.Err() != nil && (r.Len() != 0 || !errors.Is(r.Err(), ErrMalformed)) {
				t.Fatalf("read %d: %d bytes left of %d, %v after %v", x, r.Len(), left, r.Err(), before)
			}
		}
	})
}

// valueLaws reads a value and compares it with itself after a round trip, and with skipping it.
func valueLaws(t *testing.T, r *Reader) {
	skipped := *r
	v := r.Value()
	skipped.SkipValue()
	if r.Err() != nil {
		if v.Type != tree.NoType || v.Int != 0 || v.Str != "" || v.List != nil {
			t.Fatalf("refused, but returned %v", v)
		}
		return
	}
	if skipped.Err() != nil || skipped.Len() != r.Len() {
		t.Fatalf("%v: %d bytes are left, but %d after skipping it, %v", v, r.Len(), skipped.Len(), skipped.Err())
	}
	again := NewReader(AppendValue(nil, v))
	if w := again.Value(); again.Done() != nil || !equal(v, w) {
		t.Fatalf("%v is read back as %v, %v", v, w, again.Err())
	}
}

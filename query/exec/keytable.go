package exec

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/musterdb/muster/query/tree"
)

// keyTable numbers the texts of keys in the order in which they come. There may be a million of them, so
// the texts are stored one after the other and found through an open-addressing hash table.
type keyTable struct {
	seed   maphash.Seed
	slots  []uint32 // 1 + number; 0: free
	hashes []uint32 // by number
	ends   []int    // by number: end in text
	text   []byte
}

// keyTableBytes is charged for a key in addition to twice its text. It includes the spare capacity of
// slices.
const keyTableBytes = 48

func newKeyTable() *keyTable { return &keyTable{seed: maphash.MakeSeed(), slots: make([]uint32, 16)} }

func (t *keyTable) len() int { return len(t.ends) }

// key returns the text of key n.
func (t *keyTable) key(n int32) []byte {
	from := 0
	if n > 0 {
		from = t.ends[n-1]
	}
	return t.text[from:t.ends[n]]
}

// find returns the number of a key, and the hash of the key for add; ok is false if the key has no
// number.
func (t *keyTable) find(key []byte) (n int32, hash uint32, ok bool) {
	hash = uint32(maphash.Bytes(t.seed, key))
	mask := uint32(len(t.slots) - 1)
	for at := hash & mask; t.slots[at] != 0; at = (at + 1) & mask {
		if n := int32(t.slots[at] - 1); t.hashes[n] == hash && bytes.Equal(t.key(n), key) {
			return n, hash, true
		}
	}
	return 0, hash, false
}

// add numbers a key for which find returned false.
func (t *keyTable) add(key []byte, hash uint32) int32 {
	n := int32(len(t.ends))
	t.text = append(t.text, key...)
	t.ends, t.hashes = append(t.ends, len(t.text)), append(t.hashes, hash)
	if 2*len(t.ends) > len(t.slots) {
		t.slots = make([]uint32, 2*len(t.slots))
		for n, hash := range t.hashes {
			t.put(hash, n)
		}
	} else {
		t.put(hash, int(n))
	}
	return n
}

func (t *keyTable) put(hash uint32, n int) {
	mask := uint32(len(t.slots) - 1)
	at := hash & mask
	for t.slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = uint32(n) + 1
}

// appendKey appends an encoding that differs for different values.
func appendKey(b []byte, v tree.Value) []byte {
	b = append(b, byte(v.Type), byte(v.Scale))
	if v.Type == tree.StringType {
		b = binary.AppendUvarint(b, uint64(len(v.Str)))
		return append(b, v.Str...)
	}
	return binary.LittleEndian.AppendUint64(b, uint64(v.Int))
}

// nextKey decodes the first value of a text of appendKey. The text of a string is returned in str and
// not in v.
func nextKey(b []byte) (v tree.Value, str, rest []byte) {
	v.Type, v.Scale = tree.Type(b[0]), int8(b[1])
	if v.Type == tree.StringType {
		n, size := binary.Uvarint(b[2:])
		from := 2 + size
		return v, b[from : from+int(n)], b[from+int(n):]
	}
	v.Int = int64(binary.LittleEndian.Uint64(b[2:]))
	return v, nil, b[10:]
}

// keyValues appends the values of a key.
func keyValues(values []tree.Value, key []byte) []tree.Value {
	for len(key) > 0 {
		v, str, rest := nextKey(key)
		v.Str = string(str)
		values, key = append(values, v), rest
	}
	return values
}

// compareKeys orders two keys with the same number of values as compareRows orders those values.
func compareKeys(a, b []byte) int {
	for len(a) > 0 {
		x, xs, as := nextKey(a)
		y, ys, bs := nextKey(b)
		c := 0
		if x.Type == tree.StringType && y.Type == tree.StringType {
			c = bytes.Compare(xs, ys)
		} else {
			c = x.Compare(y)
		}
		if c != 0 {
			return c
		}
		a, b = as, bs
	}
	return 0
}

// keyAt returns value number place of a key.
func keyAt(key []byte, place int) tree.Value {
	for ; ; place-- {
		v, str, rest := nextKey(key)
		if place == 0 {
			v.Str = string(str)
			return v
		}
		key = rest
	}
}

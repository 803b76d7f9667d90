package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/musterdb/muster/bench/naming"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// dictTwin is a dictionary with a map and a list of what it must return.
type dictTwin struct {
	dict  *dictionary
	codes map[string]uint32
	texts []string
}

func newDictTwin() *dictTwin {
	return &dictTwin{dict: newDictionary(tree.StringType), codes: map[string]uint32{}}
}

// intern looks up or adds a text as the engine does, and compares its code with that of the map.
func (x *dictTwin) intern(text string) error {
	hash := xxh3.HashString(text)
	want, known := x.codes[text]
	code, ok := x.dict.find(text, hash)
	if ok != known || ok && code != want {
		return fmt.Errorf("%q is found as %d, %t; want %d, %t", text, code, ok, want, known)
	}
	if known {
		return nil
	}
	if code = x.dict.add(text, hash); int(code) != len(x.texts) {
		return fmt.Errorf("code of %q is %d; want %d", text, code, len(x.texts))
	}
	x.codes[text], x.texts = code, append(x.texts, text)
	return nil
}

func (x *dictTwin) check() error {
	if x.dict.Len() != len(x.texts) {
		return fmt.Errorf("%d values; want %d", x.dict.Len(), len(x.texts))
	}
	for code, text := range x.texts {
		if got, ok := x.dict.Find(tree.Str(text)); !ok || int(got) != code {
			return fmt.Errorf("value %d of %d, %.40q, is found as %d, %t", code, len(x.texts), text, got, ok)
		}
		if got := x.dict.text(uint32(code)); got != text {
			return fmt.Errorf("value %d of %d is %.40q; want %.40q", code, len(x.texts), got, text)
		}
	}
	for i, b := range *x.dict.blocks.Load() {
		full := (i+1)*dictBlockCodes < len(x.texts)
		if short := full && len(b.bytes) < 1<<16; (b.short != nil) != short {
			return fmt.Errorf("block %d of %d bytes: short ends %t, want %t", i, len(b.bytes), b.short != nil, short)
		}
	}
	return nil
}

// restored returns the dictionary as a restart rebuilds it.
func (x *dictTwin) restored() (*dictTwin, error) {
	again := &dictTwin{dict: newDictionary(x.dict.t), codes: x.codes, texts: x.texts}
	r := &restorer{filling: again.dict}
	for _, text := range x.texts {
		r.hashes = append(r.hashes, xxh3.HashString(text))
		again.dict.append(text)
	}
	return again, r.indexValues()
}

// TestDictionaryOfSchemes adds texts of every naming scheme, past the size at which the index is
// split, some of them twice, with a restart at a random point, and looks up every one.
func TestDictionaryOfSchemes(t *testing.T) {
	for _, scheme := range naming.All() {
		for seed := range uint64(8) {
			rng := rand.New(rand.NewPCG(seed, 5))
			x := newDictTwin()
			restart := rng.IntN(indexSplit + 400)
			for n := range indexSplit + 500 {
				err := x.intern(scheme.Text(seed, n))
				if err == nil && rng.IntN(8) == 0 {
					err = x.intern(scheme.Text(seed, rng.IntN(n+2)))
				}
				if err == nil && n == restart {
					x, err = x.restored()
				}
				if err != nil {
					t.Fatalf("%s, seed %d, text %d, restart at %d: %v", scheme.Name, seed, n, restart, err)
				}
			}
			if err := x.check(); err != nil {
				t.Fatalf("%s, seed %d, restart at %d: %v", scheme.Name, seed, restart, err)
			}
		}
	}
}

// TestDictionaryOfAll adds 200,000 texts of all schemes to one dictionary.
func TestDictionaryOfAll(t *testing.T) {
	schemes := naming.All()
	x := newDictTwin()
	for n := range 200_000 {
		if err := x.intern(schemes[n%len(schemes)].Text(7, n/len(schemes))); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.check(); err != nil {
		t.Fatal(err)
	}
	again, err := x.restored()
	if err == nil {
		err = again.check()
	}
	if err != nil {
		t.Fatalf("restored: %v", err)
	}
}

// TestDictionaryBlocks fills blocks with values of the shortest and longest lengths, and to exactly
// the number of bytes from which on their ends take four bytes.
func TestDictionaryBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	text := func(n, length int) string {
		s := fmt.Sprintf("%08x", n)
		if length <= len(s) {
			return s[len(s)-length:]
		}
		return s + strings.Repeat("v", length-len(s))
	}
	for _, bytes := range []int{dictBlockCodes * 8, 1<<16 - 2, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1 << 20} {
		x := newDictTwin()
		for n := range 3 * dictBlockCodes {
			length := bytes / dictBlockCodes
			if n%dictBlockCodes < bytes%dictBlockCodes {
				length++
			}
			if err := x.intern(text(n, length)); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.intern("the next block"); err != nil {
			t.Fatal(err)
		}
		if err := x.check(); err != nil {
			t.Fatalf("blocks of %d bytes: %v", bytes, err)
		}
		if got := len((*x.dict.blocks.Load())[0].bytes); got != bytes {
			t.Fatalf("a block of %d bytes has %d", bytes, got)
		}
	}
	x := newDictTwin()
	lengths := []int{0, 1, 7, 8, 63, 64, 65, 255, 256, maxValueBytes - 1, maxValueBytes}
	for n := range 2600 {
		if err := x.intern(text(n, lengths[rng.IntN(len(lengths))])); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.check(); err != nil {
		t.Fatalf("lengths at random: %v", err)
	}
	if again, err := x.restored(); err != nil || again.check() != nil {
		t.Fatalf("lengths at random, restored: %v, %v", err, again.check())
	}
}

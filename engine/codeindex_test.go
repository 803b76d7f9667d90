package engine

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// indexTwin is a codeIndex with the hashes of its codes, which are all a twin needs.
type indexTwin struct {
	index  codeIndex
	hashes []uint64
}

func (x *indexTwin) add(hash uint64) {
	code := uint32(len(x.hashes))
	x.hashes = append(x.hashes, hash)
	x.index.add(hash, code, func(code uint32) uint64 { return x.hashes[code] })
}

// check compares the index with the hashes: every code is in one slot, in the table of its hash, and
// is found.
func (x *indexTwin) check() error {
	root := x.index.root.Load()
	if root == nil {
		if len(x.hashes) > 0 {
			return fmt.Errorf("an empty index of %d codes", len(x.hashes))
		}
		return nil
	}
	if tables := map[bool]int{false: 1, true: 256}[len(x.hashes) > indexSplit]; len(root.tables) != tables {
		return fmt.Errorf("%d codes in %d tables", len(x.hashes), len(root.tables))
	}
	seen := 0
	for i := range root.tables {
		t := root.tables[i].Load()
		used := 0
		for _, slot := range t.slots {
			if slot == 0 {
				continue
			}
			used++
			if code := t.code(slot); int(code) >= len(x.hashes) || tableOf(x.hashes[code], root.shift) != i {
				return fmt.Errorf("table %d has code %d of %d", i, code, len(x.hashes))
			}
		}
		if used != t.used || used*5 > len(t.slots)*4 {
			return fmt.Errorf("table %d has %d codes in %d slots, and counts %d", i, used, len(t.slots), t.used)
		}
		seen += used
	}
	if seen != len(x.hashes) || x.index.n != seen {
		return fmt.Errorf("an index of %d codes has %d, and counts %d", len(x.hashes), seen, x.index.n)
	}
	for code, hash := range x.hashes {
		if _, ok := x.index.find(hash, func(found uint32) bool { return int(found) == code }); !ok {
			return fmt.Errorf("code %d of %d is not found", code, len(x.hashes))
		}
	}
	return nil
}

// TestIndexSplit adds random hashes until the index has been split into 256 tables, and finds each
// code. It does so thousands of times, since some tables grow during the split, and which ones
// depends on the hashes.
func TestIndexSplit(t *testing.T) {
	for seed := range 2000 {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		x := indexTwin{hashes: make([]uint64, 0, indexSplit+64)}
		for range indexSplit + rng.IntN(64) + 1 {
			x.add(rng.Uint64())
		}
		if err := x.check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestIndexGrows adds random hashes up to more than 2^20 codes. It checks all of them around each
// size at which codes get another bit, and around the size at which the index is split.
func TestIndexGrows(t *testing.T) {
	for seed := range uint64(3) {
		most := []int{1<<20 + 2000, 1<<17 + 2, 1<<17 + 2}[seed]
		rng := rand.New(rand.NewPCG(seed, 2))
		x := indexTwin{hashes: make([]uint64, 0, most)}
		for n := 1; n <= most; n++ {
			x.add(rng.Uint64())
			around := n - 1<<(bits.Len(uint(n+2))-1) // a power of two, or up to two below it
			if around >= -2 && around <= 2 || n == most {
				if err := x.check(); err != nil {
					t.Fatalf("seed %d, %d codes: %v", seed, n, err)
				}
			}
		}
	}
}

// similar are hashes that have much in common, like those of a bad hash function or of an attacker.
var similar = map[string]func(rng *rand.Rand) uint64{
	"random":                    func(rng *rand.Rand) uint64 { return rng.Uint64() },
	"of one table":              func(rng *rand.Rand) uint64 { return 0xab<<56 | rng.Uint64()>>8 },
	"of two slots":              func(rng *rand.Rand) uint64 { return rng.Uint64N(2) << 55 },
	"that begin at the end":     func(rng *rand.Rand) uint64 { return rng.Uint64() | 0xffffff<<32 },
	"with one tag":              func(rng *rand.Rand) uint64 { return rng.Uint64() << 32 },
	"all ones but the low bits": func(rng *rand.Rand) uint64 { return (1<<44 - 1) << 20 >> rng.IntN(2) },
}

// TestIndexSimilarHashes checks that codes are found whatever their hashes have in common, before and
// after the index is split, and also if it was built by fill.
func TestIndexSimilarHashes(t *testing.T) {
	for name, draw := range similar {
		for seed := range uint64(3) {
			rng := rand.New(rand.NewPCG(seed, 3))
			most := indexSplit + 100
			if name != "random" && name != "with one tag" && name != "of one table" {
				most = 1000 // a look-up passes all the others
			}
			x := indexTwin{hashes: make([]uint64, 0, most+most/2)}
			for range most {
				x.add(draw(rng))
			}
			if err := x.check(); err != nil {
				t.Fatalf("hashes %s, seed %d: %v", name, seed, err)
			}
			filled := indexTwin{hashes: x.hashes}
			if filled.index.fill(filled.hashes, func(a, b uint32) bool { return a == b }) {
				t.Fatalf("hashes %s, seed %d: two codes are equal", name, seed)
			}
			for range most / 2 {
				filled.add(draw(rng))
			}
			if err := filled.check(); err != nil {
				t.Fatalf("hashes %s, seed %d, filled: %v", name, seed, err)
			}
		}
	}
}

// TestIndexFilledThenGrown fills indexes with numbers of codes around those at which an index changes
// its shape, and then lets them grow.
func TestIndexFilledThenGrown(t *testing.T) {
	var sizes []int
	for _, around := range []int{0, 6, 64, 127, 255, 511, 1024, 3276, 4096, indexSplit, 1 << 14, 1 << 16} {
		for n := max(around-4, 0); n <= around+4; n++ {
			sizes = append(sizes, n)
		}
	}
	rng := rand.New(rand.NewPCG(1, 4))
	for _, n := range sizes {
		x := indexTwin{}
		for range n {
			x.hashes = append(x.hashes, rng.Uint64())
		}
		if x.index.fill(x.hashes, func(a, b uint32) bool { return a == b }) {
			t.Fatalf("filled with %d: two codes are equal", n)
		}
		for _, more := range []int{0, 1, 1, 7, 300, n/4 + 1, n + 1} {
			for range more {
				x.add(rng.Uint64())
			}
			if err := x.check(); err != nil {
				t.Fatalf("filled with %d, grown to %d: %v", n, len(x.hashes), err)
			}
		}
	}
}

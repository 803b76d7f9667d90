package engine

import (
	"fmt"
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

// check holds the index against the hashes: every code is in one slot, in the table of its hash, and is
// found.
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

// TestIndexSplit adds random hashes until the index has been cut into 256 tables, and finds each code:
// thousands of times, since some tables grow while the index is cut, and which ones depends on the
// hashes.
func TestIndexSplit(t *testing.T) {
	for seed := range 3000 {
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

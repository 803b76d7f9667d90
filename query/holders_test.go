package query

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

// TestHolders reads sets of every size and form. Each must equal the bits it was created from, and must
// not be changed.
func TestHolders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) (b Bits) {
		for range n {
			b.Set(uint16(rng.Uint32()))
		}
		return b
	}
	var full Bits
	for i := range full {
		full[i] = ^uint64(0)
	}
	sets := []Bits{{}, draw(1), draw(300), draw(4000), draw(5000), draw(60_000), full}
	runs := draw(100)
	for pos := range uint16(30_000) {
		runs.Set(pos)
	}
	sets = append(sets, runs)
	for i, set := range sets {
		for _, optimized := range []bool{false, true} {
			bitmap := roaring.FromDense(set[:], true)
			if optimized {
				bitmap.RunOptimize()
			}
			h, written := HoldersOf(bitmap), bitmap.Checksum()
			got := draw(500)
			if n := h.Fill(&got); n != set.Count() || n != h.Count() || got != set {
				t.Fatalf("set %d, optimized %t: filled with %d of %d", i, optimized, n, set.Count())
			}
			for k, cand := range []Bits{draw(2000), full, {}} {
				want, out, sum := set, draw(500), cand
				want.And(&cand)
				if n := h.Among(cand[:], cand.Count(), out[:]); out != want || n != want.Count() {
					t.Fatalf("set %d, optimized %t: %d among candidates %d, want %d", i, optimized, n, k, want.Count())
				}
				want = set
				want.Or(&cand)
				if h.AddTo(&sum); sum != want {
					t.Fatalf("set %d, optimized %t: added to %d makes %d, want %d", i, optimized, k, sum.Count(), want.Count())
				}
			}
			if bitmap.Checksum() != written {
				t.Fatalf("set %d, optimized %t: the bitmap was changed", i, optimized)
			}
		}
	}
	if none := (Holders{}); none.Count() != 0 || none.Listed() != 0 || none.Fill(&full) != 0 || full.Any() {
		t.Fatal("the zero Holders is not empty")
	}
}

// BenchmarkIntersect and BenchmarkUnion compare combining sets as words with combining them as bitmaps,
// where the result is written as words or only counted.
func BenchmarkIntersect(b *testing.B) {
	for _, n := range [][2]int{{500, 500}, {1300, 16_000}, {1300, 1300}, {16_000, 16_000}, {50_000, 1300}} {
		x, y := drawn(n[0], 1), drawn(n[1], 2)
		var out, both Bits
		ways(b, fmt.Sprint(n[0], "and", n[1]), map[string]func(){
			"words":           func() { y.Among(out[:], x.Fill(&out), both[:]) },
			"bitmaps,counted": func() { x.bitmap.AndCardinality(y.bitmap) },
			"bitmaps,written": func() { HoldersOf(roaring.And(x.bitmap, y.bitmap)).Fill(&both) },
		})
	}
}

func BenchmarkUnion(b *testing.B) {
	for _, n := range []int{200, 1300, 8000} {
		var sets []Holders
		var bitmaps []*roaring.Bitmap
		for i := range 5 {
			sets = append(sets, drawn(n, uint64(i)))
			bitmaps = append(bitmaps, sets[i].bitmap)
		}
		var out Bits
		ways(b, fmt.Sprint("5of", n), map[string]func(){
			"words": func() {
				sets[0].Fill(&out)
				for _, h := range sets[1:] {
					h.AddTo(&out)
				}
				out.Count()
			},
			"bitmaps,counted": func() { roaring.FastOr(bitmaps...).GetCardinality() },
			"bitmaps,written": func() { HoldersOf(roaring.FastOr(bitmaps...)).Fill(&out) },
		})
	}
}

func drawn(n int, seed uint64) Holders {
	var b Bits
	for _, pos := range rand.New(rand.NewPCG(seed, 5)).Perm(ChunkSize)[:n] {
		b.Set(uint16(pos))
	}
	return b.Holders()
}

func ways(b *testing.B, of string, ways map[string]func()) {
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		b.Run(of+"/"+way, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ways[way]()
			}
		})
	}
}

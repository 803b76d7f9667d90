package exec

import (
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// randomPage returns a random page of raw values from least on; some rows have none.
func randomPage(rng *rand.Rand, least int64, values int) query.Vec {
	v := query.Vec{Type: tree.NumberType, Rows: 1 + rng.IntN(query.PageRows), Scale: 2, Base: least - 1, Bounded: true, Lo: least, Hi: least + int64(values) - 1}
	cells := make([]int, v.Rows)
	for i := range cells {
		cells[i] = rng.IntN(values + 1)
	}
	switch {
	case rng.IntN(8) == 0:
		v.Const, v.Base = true, least
	case values < 256 && rng.IntN(3) > 0:
		v.U8 = narrowed[uint8](cells)
	case rng.IntN(2) == 0:
		v.U16 = narrowed[uint16](cells)
	case rng.IntN(2) == 0:
		v.U32 = narrowed[uint32](cells)
	default:
		v.I64 = narrowed[int64](cells)
		for i, c := range v.I64 {
			if v.I64[i] = v.Base + c; c == 0 {
				v.I64[i] = query.VecMissing
			}
		}
		v.Base = 0
	}
	return v
}

func narrowed[T uint8 | uint16 | uint32 | int64](cells []int) []T {
	out := make([]T, len(cells))
	for i, c := range cells {
		out[i] = T(c)
	}
	return out
}

// randomWords fills words with full, empty and mixed ones.
func randomWords(rng *rand.Rand, words []uint64) {
	for w := range words {
		switch rng.IntN(3) {
		case 0:
			words[w] = ^uint64(0)
		case 1:
			words[w] = 0
		default:
			words[w] = rng.Uint64()
		}
	}
}

// TestHistogram counts pages of several bases and widths, and rows beyond the end of a page.
func TestHistogram(t *testing.T) {
	const seed, codes = 3, 700
	rng := rand.New(rand.NewPCG(seed, 0))
	var h byteHistogram
	got, want := make([]uint32, codes+1), make([]uint32, codes+1)
	for range 200 {
		values := 1 + rng.IntN(300)
		v := randomPage(rng, int64(rng.IntN(codes-values+1)), values)
		var members [query.PageRows / 64]uint64
		randomWords(rng, members[:])
		h.page(&v, 0, members[:], got)
		for i := range query.PageRows {
			if members[i>>6]>>(i&63)&1 == 0 {
				continue
			}
			raw, ok := int64(-1), false
			if i < v.Rows {
				raw, ok = v.Raw(i)
			}
			if !ok {
				raw = -1
			}
			want[raw+1]++
		}
	}
	h.flush(got)
	for c := range want {
		if got[c] != want[c] {
			t.Fatalf("seed %d: code %d: %d, want %d", seed, c-1, got[c], want[c])
		}
	}
}

// TestSlotTotals adds up columns of every width by slot, and compares counts, sums, minima and maxima with cells.
func TestSlotTotals(t *testing.T) {
	const seed, slots = 4, 7
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, fn := range []tree.Fn{tree.SumFn, tree.MinFn, tree.MaxFn, tree.CountFn} {
		var s slotTotals
		s.prepare(3 * slots)
		if more := s.prepare(slots); more != 0 {
			t.Fatalf("fewer slots grew by %d bytes", more)
		}
		s.scale, s.typ = 2, tree.NumberType
		var of [query.ChunkSize]uint16
		for i := range of {
			of[i] = uint16(rng.IntN(slots + 1))
		}
		want := make([]Cell, slots+1)
		for range 60 {
			v := randomPage(rng, int64(rng.IntN(1000)-500), 1+rng.IntN(400))
			r := slotRows{v: &v, rows: v.Rows, pos: make([]uint16, v.Rows), slots: &of}
			for i := range r.pos {
				r.pos[i] = uint16(rng.Uint32())
			}
			if rng.IntN(2) == 0 {
				r.selected = make([]uint64, (v.Rows+63)/64)
				randomWords(rng, r.selected)
			}
			if fn == tree.CountFn {
				s.count(&r)
			} else {
				s.add(fn, &r)
			}
			for i := range v.Rows {
				if r.selected != nil && r.selected[i>>6]>>(i&63)&1 == 0 {
					continue
				}
				if x := v.Value(i); fn == tree.CountFn || !x.Missing() {
					want[of[r.pos[i]]].add(fn, x)
				}
			}
		}
		for slot := range slots {
			var got Cell
			s.addTo(&got, fn, s.lanes[0][slot], s.lanes[1][slot])
			if got.N != want[slot].N || !got.result(fn, tree.Number{}).Equal(want[slot].result(fn, tree.Number{})) {
				t.Fatalf("seed %d: %s of slot %d: %v (%d), want %v (%d)", seed, fn, slot, got.result(fn, tree.Number{}), got.N, want[slot].result(fn, tree.Number{}), want[slot].N)
			}
		}
	}
}

package eval

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// randomColumns gives blocks a column of numbers of any scale and a column of strings, both with
// missing values.
func randomColumns(rng *rand.Rand, blocks []*query.Block, kinds query.Dict) {
	for _, b := range blocks {
		amount := &query.Vec{Type: tree.NumberType, Rows: b.Rows, Scale: int8(rng.IntN(3)), Base: rng.Int64N(50) - 40, Bounded: true}
		amount.Lo, amount.Hi = amount.Base, amount.Base+20
		kind := &query.Vec{Type: tree.StringType, Rows: b.Rows, Dict: kinds, Base: -1, U8: make([]uint8, b.Rows), Bounded: true, Hi: int64(kinds.Len())}
		for i := range b.Rows {
			x := rng.IntN(20)
			switch rng.IntN(2) {
			case 0:
				amount.U16 = append(amount.U16, uint16(x))
			default:
				amount.U16 = append(amount.U16, 0)
			}
			kind.U8[i] = uint8(rng.IntN(kinds.Len() + 1))
		}
		switch rng.IntN(4) {
		case 0:
			amount.U16, amount.Const = nil, true
		case 1: // the same as whole integers
			amount.I64 = make([]int64, b.Rows)
			for i, x := range amount.U16 {
				if amount.I64[i] = amount.Base + int64(x); x == 0 {
					amount.I64[i] = query.VecMissing
				}
			}
			amount.U16 = nil
		}
		b.Cols = []*query.Vec{amount, kind}
		if rng.IntN(4) == 0 {
			b.Cols[rng.IntN(2)] = nil
		}
	}
}

var gatheredFns = []tree.Fn{tree.MinFn, tree.MaxFn, tree.FirstFn, tree.LastFn, tree.FavoriteFn}

// TestGather compares gathered values with values found row by row.
func TestGather(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 5))
	gathered := map[tree.Fn]int{}
	for range 150 {
		src, span := &manySeries{series: []query.Series{randomSeries(rng, 200)}}, int64(1+rng.IntN(200))
		randomColumns(rng, src.series[0].Blocks, newWords(4))
		st := step{known: true, from: 1_000_000 + rng.Int64N(100), to: 1_000_000 + span}
		var cand query.Bits
		for p := range query.ChunkSize {
			if rng.IntN(5) > 0 {
				cand.Set(uint16(p))
			}
		}
		for _, fn := range gatheredFns {
			c := column{id: uint32(rng.IntN(2)), property: true, t: tree.NumberType}
			if c.id == 1 {
				c.t = tree.StringType
			}
			bind := func() *measureLoader {
				m := measure{fn: fn, step: st, arg: newArgument(c), t: c.t, zone: time.UTC}
				return m.bind(newRun(src, &Env{})).(*measureLoader)
			}
			slow, fast := bind(), bind()
			var want Vector
			want.reset(c.t, query.ChunkSize)
			switch fn {
			case tree.MinFn, tree.MaxFn:
				slow.extreme(0, cand[:], &want)
			case tree.FavoriteFn:
				slow.favorite(0, cand[:], &want)
			default:
				slow.edge(0, cand[:], &want)
			}
			col := fast.gather(0, cand[:])
			if col == nil {
				continue
			}
			gathered[fn] += countBits(want.Has)
			for p := range cand.All {
				if got, want := col.Value(int(p)), want.Value(int(p)); !got.Equal(want) && !(got.Missing() && want.Missing()) {
					t.Fatalf("seed %d: %s of %s at %d is %v, want %v", seed, fn, c.t, p, got, want)
				}
			}
		}
	}
	for _, fn := range gatheredFns {
		if gathered[fn] == 0 {
			t.Errorf("seed %d: %s was never gathered", seed, fn)
		}
	}
}

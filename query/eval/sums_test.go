package eval

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestSumsByCoefficient compares sums added as coefficients with sums of numbers: it evaluates the same
// blocks with the bounds that allow coefficients, and without.
func TestSumsByCoefficient(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC).UnixMilli()
	env := &Env{Schema: oneSchema{}, Now: now}
	taken, short := 0, 0
	for round := range 60 {
		bounded, plain := &oneChunk{}, &oneChunk{}
		for range 1 + rng.IntN(3) {
			b := randomSums(rng, now)
			bounded.series.Blocks = append(bounded.series.Blocks, b)
			other, amount := *b, *b.Cols[0]
			amount.Bounded = false
			other.Cols = []*query.Vec{&amount}
			plain.series.Blocks = append(plain.series.Blocks, &other)
		}
		for _, c := range []*oneChunk{bounded, plain} {
			c.series.Rows, c.series.Min, c.series.Max = 1000*len(c.series.Blocks), now-90*dayMs, now
		}
		var cand query.Bits
		for range 3000 {
			cand.Set(uint16(rng.IntN(4000)))
		}
		fn := []tree.Fn{tree.SumFn, tree.AvgFn}[rng.IntN(2)]
		m := &tree.Measure{Fn: fn, Arg: &tree.Name{Name: "amount"}, Event: "Buy"}
		if rng.IntN(2) == 0 {
			m.Window = tree.Window{Kind: tree.InLast, Last: tree.Duration{N: 30, Unit: tree.Day}}
		}
		x, err := CompileExpr(env, m)
		if err != nil {
			t.Fatal(err)
		}
		var fast, slow Vector
		x.On(bounded).Chunk(0, &cand, &fast)
		x.On(plain).Chunk(0, &cand, &slow)
		loader := x.On(bounded).root.(*measureLoader)
		if _, ok := loader.coefScale(0); ok {
			taken++
		}
		var limit tree.Value
		for i := range cand.All {
			if a, b := fast.Value(int(i)), slow.Value(int(i)); !a.Equal(b) {
				t.Fatalf("seed %d, round %d: position %d has %v, want %v", seed, round, i, a, b)
			} else if limit.Missing() || rng.IntN(1000) == 0 {
				limit = a
			}
		}
		if limit.Missing() {
			continue
		}
		for _, op := range []tree.Op{tree.Eq, tree.Lt, tree.Le, tree.Gt, tree.Ge, tree.Ne} {
			p, err := Compile(env, &tree.Compare{Op: op, L: m, R: &tree.Literal{Value: limit}})
			if err != nil {
				t.Fatal(err)
			}
			var got, want query.Bits
			e := p.On(bounded)
			e.Chunk(0, &cand, &got)
			short += usedShort(e)
			p.On(plain).Chunk(0, &cand, &want)
			if got != want {
				t.Fatalf("seed %d, round %d: %v %v %v has %d members, want %d", seed, round, fn, op, limit, got.Count(), want.Count())
			}
		}
	}
	if taken == 0 || short == 0 {
		t.Fatalf("seed %d: coefficients were added %d times, short sums %d times", seed, taken, short)
	}
}

// TestShortSumsOfMany: a profile has more rows than the count in a pair can represent.
func TestShortSumsOfMany(t *testing.T) {
	const rows, blocks = query.ChunkSize, (pairRows + 1) / query.ChunkSize
	zeros := &query.Vec{Type: tree.NumberType, Rows: rows, Const: true}
	b := &query.Block{Rows: rows, Pos: make([]uint16, rows), Off: make([]uint32, rows), Cols: []*query.Vec{zeros}}
	src := &oneChunk{}
	for range blocks {
		src.series.Blocks = append(src.series.Blocks, b)
	}
	src.series.Rows = rows * blocks
	env := &Env{Schema: oneSchema{}, Now: 1}
	mean := &tree.Measure{Fn: tree.AvgFn, Arg: &tree.Name{Name: "amount"}, Event: "Buy"}
	var all, got query.Bits
	all.Set(0)
	p, err := Compile(env, &tree.Compare{Op: tree.Eq, L: mean, R: &tree.Literal{Value: tree.NumInt(0)}})
	if err != nil {
		t.Fatal(err)
	}
	if p.On(src).Chunk(0, &all, &got); !got.Has(0) {
		t.Errorf("the average of %d zeros is not 0", src.series.Rows)
	}
	rank := &tree.Rank{By: mean, N: tree.Int(1)}
	queries, err := Ranks(env, rank)
	if err != nil {
		t.Fatal(err)
	}
	var part RankPart
	if queries[0].On(src).Chunk(0, 0, &all, &part); part.Total != 1 {
		t.Errorf("%d profiles have an average of %d zeros, want 1", part.Total, src.series.Rows)
	}
}

// usedShort returns 1 if an evaluator's sums were short, 0 otherwise.
func usedShort(e *Evaluator) int {
	v, ok := e.root.(*valueRunner)
	if !ok {
		return 0
	}
	short := &v.loader.(*measureLoader).short
	return b2i(!short.failed && (short.sums != nil || short.pairs != nil))
}

// randomSums draws a block of amounts in any encoding: small, negative, or so large that sums are
// rounded to a float64 or exceed 64 bits.
func randomSums(rng *rand.Rand, now int64) *query.Block {
	const rows = 1000
	b := &query.Block{Rows: rows, Min: now - 90*dayMs, Max: now}
	v := &query.Vec{Type: tree.NumberType, Rows: rows, Scale: int8(rng.IntN(10)), Bounded: true}
	b.Cols = []*query.Vec{v}
	encoding := rng.IntN(8)
	switch encoding {
	case 0:
		v.Const, v.Base = true, rng.Int64N(1000)-500
		v.Lo, v.Hi = v.Base, v.Base
	case 1:
		v.U8, v.Base, v.Lo, v.Hi = make([]uint8, rows), -100, -99, 155
	case 2:
		v.U16, v.Base, v.Lo, v.Hi = make([]uint16, rows), 1e12, 1e12+1, 1e12+65_535
	case 3:
		v.U32, v.Lo, v.Hi = make([]uint32, rows), 1, 1<<32-1
	case 4:
		v.I64, v.Hi = make([]int64, rows), 1<<rng.IntN(62)
		v.Lo = -v.Hi
	case 5: // this case and the default have short sums
		v.U8, v.Base, v.Lo, v.Hi = make([]uint8, rows), 9, 10, 264
	default:
		v.U16, v.Base, v.Lo, v.Hi = make([]uint16, rows), -1, 0, 65_534
	}
	for i := range rows {
		b.Pos = append(b.Pos, uint16(rng.IntN(4000)))
		b.Times = append(b.Times, now-rng.Int64N(90*dayMs))
		switch encoding {
		case 1, 5:
			v.U8[i] = uint8(rng.Uint32())
		case 2, 6, 7:
			v.U16[i] = uint16(rng.Uint32())
		case 3:
			v.U32[i] = rng.Uint32() >> rng.IntN(32)
		case 4:
			if v.I64[i] = rng.Int64N(v.Hi+1) - rng.Int64N(v.Hi+1); rng.IntN(5) == 0 {
				v.I64[i] = query.VecMissing
			}
		}
	}
	return b
}

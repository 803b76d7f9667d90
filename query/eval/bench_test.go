package eval

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// oneChunk is a full chunk as an engine stores it: two attributes, and one event name in sorted leaves
// and a tail. It implements only the methods the benchmarks use.
type oneChunk struct {
	query.Source
	pages  map[uint32][]query.Vec
	series query.Series
}

func (c *oneChunk) Attribute(id uint32, _ int) []query.Vec { return c.pages[id] }
func (c *oneChunk) Series(uint32, int) query.Series        { return c.series }
func (c *oneChunk) ValueSets(uint32, int) query.ValueSets  { return nil }
func (c *oneChunk) Chunks() int                            { return 1 }
func (c *oneChunk) ID(ordinal uint32) string               { return fmt.Sprint(ordinal) }

// oneSchema has the attributes country (1) and age (2), and the event Buy with amount (0) and kind (1).
type oneSchema struct{ query.Schema }

func (oneSchema) Attribute(name string) (uint32, tree.Type, bool) {
	if name == "country" {
		return query.FirstAttribute, tree.StringType, true
	}
	return query.FirstAttribute + 1, tree.NumberType, true
}

func (oneSchema) Event(string) (uint32, bool) { return 0, true }

func (oneSchema) Property(_ uint32, name string) (uint32, tree.Type, bool) {
	if name == "kind" {
		return 1, tree.StringType, true
	}
	return 0, tree.NumberType, true
}

// words is a dictionary of n strings.
type words struct{ values []tree.Value }

func newWords(n int) *words {
	w := &words{}
	for i := range n {
		w.values = append(w.values, tree.Str(fmt.Sprintf("word-%d", i)))
	}
	return w
}

func (w *words) Len() int                     { return len(w.values) }
func (w *words) Value(code uint32) tree.Value { return w.values[code] }

func (w *words) Find(v tree.Value) (uint32, bool) {
	for i, x := range w.values {
		if x.Equal(v) {
			return uint32(i), true
		}
	}
	return 0, false
}

const (
	leafRows  = 16_384
	benchDays = 90
	dayMs     = 86_400_000
)

// newOneChunk spreads leaves × leafRows events over benchDays before now.
func newOneChunk(leaves int, now int64) *oneChunk {
	rng := rand.New(rand.NewPCG(7, 7))
	c := &oneChunk{pages: map[uint32][]query.Vec{}}
	countries, kinds := newWords(40), newWords(12)
	for range query.ChunkSize / query.PageRows {
		country := query.Vec{Type: tree.StringType, Rows: query.PageRows, Dict: countries, Base: -1, U8: make([]uint8, query.PageRows)}
		age := query.Vec{Type: tree.NumberType, Rows: query.PageRows, Base: 17, U8: make([]uint8, query.PageRows)}
		for i := range query.PageRows {
			country.U8[i], age.U8[i] = uint8(1+rng.IntN(40)), uint8(rng.IntN(70))
		}
		c.pages[query.FirstAttribute] = append(c.pages[query.FirstAttribute], country)
		c.pages[query.FirstAttribute+1] = append(c.pages[query.FirstAttribute+1], age)
	}
	ever := &query.Bits{}
	span := int64(benchDays) * dayMs / int64(leaves)
	for k := range leaves {
		b := &query.Block{Rows: leafRows, Sorted: true, Base: now - int64(benchDays)*dayMs + int64(k)*span,
			Pos: make([]uint16, leafRows), Off: make([]uint32, leafRows)}
		for i := range leafRows {
			b.Pos[i], b.Off[i] = uint16(rng.IntN(query.ChunkSize)), uint32(rng.Int64N(span))
			ever.Set(b.Pos[i])
		}
		sort.Slice(b.Pos, func(i, j int) bool { return b.Pos[i] < b.Pos[j] })
		b.Off[0], b.Off[1] = 0, uint32(span-1)
		b.Min, b.Max = b.Base, b.Base+span-1
		amount := &query.Vec{Type: tree.NumberType, Rows: leafRows, Scale: 2, U16: make([]uint16, leafRows), Bounded: true, Lo: 1, Hi: 65535}
		kind := &query.Vec{Type: tree.StringType, Rows: leafRows, Dict: kinds, Base: -1, U8: make([]uint8, leafRows)}
		for i := range leafRows {
			amount.U16[i], kind.U8[i] = uint16(1+rng.IntN(65535)), uint8(1+rng.IntN(12))
		}
		b.Cols = []*query.Vec{amount, kind}
		c.series.Blocks = append(c.series.Blocks, b)
		c.series.Rows += leafRows
	}
	c.series.Ever = ever.Holders()
	c.series.Min, c.series.Max = now-int64(benchDays)*dayMs, now-1
	return c
}

func BenchmarkChunk(b *testing.B) {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC).UnixMilli()
	const leaves = 30 // 491,520 events over 90 days
	src := newOneChunk(leaves, now)
	env := &Env{Schema: oneSchema{}, Now: now}
	name := func(n string) *tree.Name { return &tree.Name{Name: n} }
	number := func(i int64) *tree.Literal { return &tree.Literal{Value: tree.NumInt(i)} }
	in := func(days int64) tree.Window {
		return tree.Window{Kind: tree.InLast, Last: tree.Duration{N: days, Unit: tree.Day}}
	}
	country := &tree.Compare{Op: tree.Eq, L: name("country"), R: &tree.Literal{Value: tree.Str("word-3")}}
	buys := func(where tree.Pred, least int64, w tree.Window) *tree.Did {
		return &tree.Did{Step: tree.Step{Event: "Buy", Where: where}, Count: &tree.Count{Form: tree.AtLeast, Lo: least}, Window: w}
	}
	dear := &tree.Compare{Op: tree.Gt, L: name("amount"), R: number(500)}
	measured := func(fn tree.Fn, arg tree.Expr) tree.Pred {
		return &tree.Compare{Op: tree.Gt, L: &tree.Measure{Fn: fn, Arg: arg, Event: "Buy", Window: in(30)}, R: number(5)}
	}
	for _, c := range []struct {
		name string
		p    tree.Pred
	}{
		{"country", country},
		{"age", &tree.Compare{Op: tree.Ge, L: name("age"), R: number(40)}},
		{"contains", &tree.Text{X: name("country"), Op: tree.Contains, Pattern: "3"}},
		{"ever", buys(nil, 1, tree.Window{})},
		{"once30d", buys(nil, 1, in(30))},
		{"count30d", buys(nil, 3, in(30))},
		{"count90d", buys(nil, 3, in(90))},
		{"where30d", buys(dear, 2, in(30))},
		{"country+count30d", &tree.And{Args: []tree.Pred{buys(nil, 3, in(30)), country}}},
		{"sum30d", measured(tree.SumFn, name("amount"))},
		{"min30d", measured(tree.MinFn, name("amount"))},
		{"days30d", measured(tree.DaysFn, nil)},
		{"distinct30d", measured(tree.DistinctFn, name("kind"))},
		{"sequence30d", &tree.Sequence{First: tree.Step{Event: "Buy", Where: dear}, Window: in(30),
			Steps: []tree.SeqStep{{Step: tree.Step{Event: "Buy"}, Within: &tree.Duration{N: 1, Unit: tree.Day}}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := Compile(env, c.p)
			if err != nil {
				b.Fatal(err)
			}
			e := p.On(src)
			var all, out query.Bits
			fillOnes(all[:], query.ChunkSize)
			b.ReportAllocs()
			for b.Loop() {
				e.Chunk(0, &all, &out)
			}
			b.ReportMetric(float64(out.Count()), "members")
		})
	}
}

// BenchmarkRank reads the keys of a rank by an attribute.
func BenchmarkRank(b *testing.B) {
	src := newOneChunk(1, 0)
	ranks, err := Ranks(&Env{Schema: oneSchema{}}, &tree.Rank{By: &tree.Name{Name: "age"}, N: tree.Int(100)})
	if err != nil {
		b.Fatal(err)
	}
	scan := ranks[0].On(src)
	var all query.Bits
	fillOnes(all[:], query.ChunkSize)
	b.ReportAllocs()
	for b.Loop() {
		if scan.by.column(&scope{}, all[:]) == nil {
			b.Fatal("the attribute is not read as one column")
		}
	}
}

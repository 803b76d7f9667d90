package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// seriesRow is one event as it was sent.
type seriesRow struct {
	pos    uint16
	time   int64
	amount int64 // 0: none
	name   uint32
}

// hash returns a hash of a row. Equal sums of hashes mean equal rows, in any order.
func (r *seriesRow) hash() uint64 {
	var b [22]byte
	binary.LittleEndian.PutUint64(b[:], uint64(r.time))
	binary.LittleEndian.PutUint64(b[8:], uint64(r.amount))
	binary.LittleEndian.PutUint32(b[16:], r.name)
	binary.LittleEndian.PutUint16(b[20:], r.pos)
	return xxh3.Hash(b[:])
}

const seriesPeople = 1500

// seriesTwin is the one series of a shard, with the number of its rows and the sum of their hashes.
type seriesTwin struct {
	t    *testing.T
	rng  *rand.Rand
	s    *Shard
	seq  uint64
	now  int64
	rows int
	sum  uint64 // of their hashes
	ever query.Bits
}

// send applies n events with times drawn by time.
func (x *seriesTwin) send(n int, time func() int64) {
	for n > 0 {
		var messages []Message
		for range min(n, 1+x.rng.IntN(3000)) {
			// Some people have more events than a byte counts.
			r := seriesRow{pos: uint16(seriesPeople * x.rng.Float64() * x.rng.Float64() * x.rng.Float64()), time: time(), amount: x.rng.Int64N(500), name: x.rng.Uint32N(300)}
			m := Message{Kind: Track, UserID: fmt.Sprint("u", r.pos), Event: 0, Time: r.time, Fields: []Field{{2, tree.Str(fmt.Sprint("name ", r.name))}}}
			if r.amount > 0 {
				m.Fields = append(m.Fields, Field{1, tree.Num(tree.Decimal(r.amount, 2))})
			}
			messages = append(messages, m)
			x.rows++
			x.sum += r.hash()
			x.ever.Set(r.pos)
		}
		n -= len(messages)
		x.seq++
		mustApply(x.t, x.s, x.seq, EncodeMessages(3, x.now, messages))
		if x.rng.IntN(3) == 0 {
			x.s.Maintain(x.rng.IntN(30_000))
		}
	}
}

// check compares the rows, whatever blocks they are in, and what is derived from them.
func (x *seriesTwin) check(when string) {
	x.t.Helper()
	v := x.s.View()
	defer v.Release()
	series := v.Series(0, 0)
	rows, sum := 0, uint64(0)
	for i, b := range series.Blocks {
		if i < series.Settled && (b.Rows > leafRows || !b.Sorted) {
			x.t.Fatalf("%s: leaf %d has %d rows, sorted: %t", when, i, b.Rows, b.Sorted)
		}
		for row := range b.Rows {
			r := seriesRow{pos: b.Pos[row], time: b.Time(row)}
			if r.time < b.Min || r.time > b.Max {
				x.t.Fatalf("%s: block %d from %d to %d has a row of %d", when, i, b.Min, b.Max, r.time)
			}
			if amount := b.Col(1); amount != nil {
				if n := amount.Value(row); !n.Missing() {
					r.amount = coefOf(n.Number(), 2)
				}
			}
			name, err := strconv.Atoi(strings.TrimPrefix(b.Col(2).Value(row).Str, "name "))
			if err != nil {
				x.t.Fatalf("%s: a name of the wrong form: %v", when, err)
			}
			r.name = uint32(name)
			rows++
			sum += r.hash()
		}
	}
	if rows != x.rows || sum != x.sum || series.Rows != x.rows {
		x.t.Fatalf("%s: %d rows (%d by its count), want %d; the same ones: %t", when, rows, series.Rows, x.rows, sum == x.sum)
	}
	x.checkTotals(when, v, &series)
}

// checkTotals compares the ever set and the totals with the rows.
func (x *seriesTwin) checkTotals(when string, v *View, series *query.Series) {
	x.t.Helper()
	var ever query.Bits
	if x.s.root.events[0].chunks[0].ever.fill(&ever); ever != x.ever {
		x.t.Fatalf("%s: %d people ever did it, want %d", when, ever.Count(), x.ever.Count())
	}
	settled := 0
	var counts [seriesPeople]int
	var sums [seriesPeople]int64
	for _, b := range series.Blocks[:series.Settled] {
		settled += b.Rows
		for row := range b.Rows {
			counts[b.Pos[row]]++
			if n := b.Col(1).Value(row); !n.Missing() {
				sums[b.Pos[row]] += coefOf(n.Number(), 2)
			}
		}
	}
	if has := series.Totals != nil; has != (settled >= totalsRows) {
		x.t.Fatalf("%s: totals of %d rows: %t", when, settled, has)
	}
	if series.Totals == nil {
		return
	}
	amounts := series.Totals.Sum(1)
	for pos, n := range counts {
		if got := int(series.Totals.Counts[pos]); got != min(n, 255) {
			x.t.Fatalf("%s: %d rows of %d by the totals, want %d", when, got, pos, n)
		}
		if got := coefOf(tree.Decimal(int64(amounts.Coefs[pos]), amounts.Scale), 2); got != sums[pos] {
			x.t.Fatalf("%s: %d adds up to %d by the totals, want %d", when, pos, got, sums[pos])
		}
	}
}

// coefOf returns the coefficient of a number at a scale that it fits.
func coefOf(n tree.Number, scale int8) int64 { return n.Coef * tree.Pow10(scale-n.Scale) }

// TestSeriesGrows sends one series events in order, late, in the future and far apart, past every
// number of rows at which a tail is made into leaves, leaves are split and totals are kept, with
// upkeep and restarts on the way. The series must have the rows that were sent.
func TestSeriesGrows(t *testing.T) {
	for seed := range uint64(2) {
		x := &seriesTwin{t: t, rng: rand.New(rand.NewPCG(seed, 13)), s: newTestShard(t), seq: 4, now: testStart}
		var people []Message // their positions are their numbers
		for pos := range seriesPeople {
			people = append(people, Message{Kind: Identify, UserID: fmt.Sprint("u", pos)})
		}
		mustApply(t, x.s, x.seq, EncodeMessages(3, x.now, people))
		inOrder := func() int64 { x.now += x.rng.Int64N(20_000); return x.now - x.rng.Int64N(2000) }
		late := func() int64 { return x.now - x.rng.Int64N(x.now-testStart+1000) }
		future := func() int64 { return x.now + x.rng.Int64N(30*dayMillis) }
		apart := func() int64 { return testStart + (x.rng.Int64N(1000)-500)*dayMillis }
		for _, part := range []struct {
			n    int
			time func() int64
			when string
		}{
			{tailLeast - 1, inOrder, "a row less than a leaf wants"}, {2, inOrder, "a first leaf"}, {tailLeast, inOrder, "a second leaf"},
			{20_000, inOrder, "as many as a leaf may have"}, {3000, late, "late rows"}, {totalsRows - 30_000, inOrder, "totals"},
			{5000, future, "future rows"}, {20_000, late, "more late rows"}, {3000, apart, "rows years apart"}, {9000, inOrder, "the end"},
		} {
			x.send(part.n, part.time)
			x.check(part.when)
			for x.s.Maintain(1 << 20) {
			}
			x.check(part.when + ", after upkeep")
			if seed == 0 {
				x.s = restoreCopy(t, x.s)
				x.check(part.when + ", restored")
			}
		}
	}
}

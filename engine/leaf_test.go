package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query"
)

// TestLeavesEndAtMidnight makes leaves of random rows. Every row must be in one leaf, leaves must
// follow each other in time and be sorted by (position, time), and a leaf with enough rows must end
// with its day.
func TestLeavesEndAtMidnight(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 9))
		rows, least := 1+rng.IntN(40_000), 1+rng.IntN(2000)
		span := 1 + rng.Int64N(20*dayMillis)
		x := newTail(-3 * dayMillis)
		for range rows {
			x.append(uint16(rng.IntN(1000)), rng.Int64N(span)-3*dayMillis)
		}
		b := newLeafBuilder([]*query.Block{x.block()})
		leaves := b.build(b.byTime(nil), least, false)
		for i, l := range leaves {
			rows -= l.block.Rows
			for row := 1; row < l.block.Rows; row++ {
				p, q := l.block.Pos[row-1], l.block.Pos[row]
				if p > q || p == q && l.block.Time(row-1) > l.block.Time(row) {
					t.Fatalf("seed %d, leaf %d: row %d is out of order", seed, i, row)
				}
			}
			if l.block.Rows > leafRows {
				t.Fatalf("seed %d, leaf %d: %d rows", seed, i, l.block.Rows)
			}
			if i+1 == len(leaves) {
				continue
			}
			next := &leaves[i+1].block
			if l.block.Max > next.Min {
				t.Fatalf("seed %d, leaf %d: ends at %d, the next begins at %d", seed, i, l.block.Max, next.Min)
			}
			if l.block.Rows < least/2 { // a long day is split evenly, all other leaves have least rows
				t.Fatalf("seed %d, leaf %d: %d rows, want %d", seed, i, l.block.Rows, least)
			}
			if dayOf(l.block.Max) == dayOf(next.Min) && l.block.Rows+next.Rows <= leafRows {
				t.Fatalf("seed %d, leaf %d: %d and %d rows of one day", seed, i, l.block.Rows, next.Rows)
			}
		}
		if rows != 0 {
			t.Fatalf("seed %d: %d rows are in no leaf", seed, rows)
		}
	}
}

func TestDayOf(t *testing.T) {
	for time, want := range map[int64]int64{0: 0, -1: -1, dayMillis - 1: 0, dayMillis: 1, -dayMillis: -1, -dayMillis - 1: -2} {
		if got := dayOf(time); got != want {
			t.Errorf("day of %d: %d, want %d", time, got, want)
		}
	}
}

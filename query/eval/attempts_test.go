package eval

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
)

// manySeries is one chunk of several events.
type manySeries struct {
	query.Source
	series []query.Series
}

func (m *manySeries) Series(event uint32, _ int) query.Series { return m.series[event] }

// randomSeries returns blocks, some of them sorted, of a few profiles with many rows each.
func randomSeries(rng *rand.Rand, span int64) (s query.Series) {
	s.Min, s.Max = math.MaxInt64, math.MinInt64
	for range rng.IntN(4) {
		b := &query.Block{Rows: 1 + rng.IntN(200), Sorted: rng.IntN(2) == 0, Base: 1_000_000, Min: math.MaxInt64, Max: math.MinInt64}
		type row struct {
			pos uint16
			off uint32
		}
		rows := make([]row, b.Rows)
		for i := range rows {
			rows[i] = row{uint16(rng.IntN(30) * 2000), uint32(rng.Int64N(span))}
		}
		if b.Sorted {
			slices.SortFunc(rows, func(x, y row) int { return cmp.Or(cmp.Compare(x.pos, y.pos), cmp.Compare(x.off, y.off)) })
		}
		for _, r := range rows {
			b.Pos, b.Off = append(b.Pos, r.pos), append(b.Off, r.off)
			at := b.Base + int64(r.off)
			b.Min, b.Max = min(b.Min, at), max(b.Max, at)
		}
		s.Blocks, s.Rows = append(s.Blocks, b), s.Rows+b.Rows
		s.Min, s.Max = min(s.Min, b.Min), max(s.Max, b.Max)
	}
	return s
}

// TestAttempts compares the walk over row keys with trying every attempt of every profile.
func TestAttempts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 4))
	reachedLast := 0
	for range 200 {
		src, steps, span := &manySeries{}, 1+rng.IntN(4), int64(1+rng.IntN(3000))
		var scans []*EventScan
		for k := range steps {
			src.series = append(src.series, randomSeries(rng, span))
			e := &Events{env: &Env{Now: 1_000_000 + span}, step: step{event: uint32(k), known: true, from: math.MinInt64, to: 1_000_001 + span}}
			if k == 0 && rng.IntN(2) == 0 {
				e.step.from, e.step.to = 1_000_000+rng.Int64N(span), 1_000_000+rng.Int64N(span)
			}
			scans = append(scans, e.On(src))
		}
		gap := int64(math.MaxInt64)
		if rng.IntN(3) > 0 {
			gap = 1 + rng.Int64N(span)
		}
		var cand query.Bits
		for p := range 30 {
			if rng.IntN(5) > 0 {
				cand.Set(uint16(p * 2000))
			}
		}
		want := make([]query.Bits, steps)
		timelines(scans, 0, &cand, func(pos uint16, times [][]int64) {
			for k := range bestAttempt(times, gap) {
				want[k].Set(pos)
			}
		})
		a := NewAttempts(scans, gap)
		got := a.Chunk(0, &cand)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d steps within %d: wrong profiles reach the steps", seed, steps, gap)
		}
		clear(a.reached)
		if a.chunkByTimelines(0, &cand); !slices.Equal(a.reached, want) {
			t.Fatalf("seed %d: %d steps within %d: narrowing the steps changes which profiles reach them", seed, steps, gap)
		}
		reachedLast += want[steps-1].Count()
	}
	if reachedLast == 0 {
		t.Fatalf("seed %d: no profile reached the last step", seed)
	}
}

// TestBestAttempt: a step exactly at the end of the time limit counts; a step in the same millisecond
// as the one before it does not.
func TestBestAttempt(t *testing.T) {
	for _, c := range []struct {
		times [][]int64
		want  int
	}{
		{[][]int64{{10}, {20}}, 2},
		{[][]int64{{10}, {21}}, 1},
		{[][]int64{{10}, {10}}, 1},
		{[][]int64{{0, 15}, {5, 16}, {25}}, 3},
		{[][]int64{{0}, {10}, {10}}, 2},
	} {
		if got := bestAttempt(c.times, 10); got != c.want {
			t.Errorf("%v: %d, want %d", c.times, got, c.want)
		}
	}
}

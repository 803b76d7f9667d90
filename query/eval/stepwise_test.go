package eval

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
)

// TestStepwise compares evaluating a sequence two steps at a time with evaluating all its steps
// together.
func TestStepwise(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 5))
	found := 0
	for range 400 {
		src, span := &manySeries{}, int64(1+rng.IntN(3000))
		for range 3 {
			src.series = append(src.series, randomSeries(rng, span))
		}
		now := 1_000_000 + span
		of := func() step {
			return step{event: uint32(rng.IntN(3)), known: true, from: math.MinInt64, to: now + 1}
		}
		seq := sequence{now: now, first: of()}
		for range 1 + rng.IntN(5) {
			st := seqStep{step: of(), gap: 1 + rng.Int64N(span), absent: rng.IntN(4) == 0}
			seq.steps = append(seq.steps, st)
			if st.absent {
				seq.excludeOpenGaps(st.gap)
			}
		}
		var cand, want, got query.Bits
		for p := range 30 {
			if rng.IntN(5) > 0 {
				cand.Set(uint16(p * 2000))
			}
		}
		run := newRun(src, &Env{Now: now})
		once, two := seq.bind(run).(*sequenceRunner), seq.bind(run).(*sequenceRunner)
		base, ok := keyBase(once.scans, 0)
		if !ok {
			t.Fatal("the rows do not fit in row keys")
		}
		open, met := cand, query.Bits{}
		once.orderScans(0)
		left, last := once.read(0, base, open[:], met[:])
		once.decideKeys(left, last, want[:])
		open, met = cand, query.Bits{}
		two.orderScans(0)
		two.stepwise(0, base, open[:], met[:], got[:])
		if got != want {
			t.Fatalf("seed %d: %d profiles two steps at a time, %d with all steps together", seed, got.Count(), want.Count())
		}
		found += want.Count()
	}
	if found == 0 {
		t.Error("no sequence was found")
	}
}

package eval

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestMatching compares sequences matched by value with testing every pair.
func TestMatching(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 7))
	matched, found := 0, 0
	for range 200 {
		span := int64(1 + rng.IntN(4_000))
		src := &manySeries{series: []query.Series{randomSeries(rng, span)}}
		randomColumns(rng, src.series[0].Blocks, newWords(5))
		name := []string{"amount", "kind"}[rng.IntN(2)]
		next := tree.Step{Event: "Buy", Where: &tree.Compare{Op: tree.Eq, L: &tree.Name{Name: name}, R: &tree.Name{Name: name, Previous: true}}}
		p := &tree.Sequence{First: tree.Step{Event: "Buy"}, Steps: []tree.SeqStep{{Step: next, Absent: rng.IntN(2) == 0}}}
		if p.Steps[0].Absent || rng.IntN(2) == 0 {
			p.Steps[0].Within = &tree.Duration{N: 1 + rng.Int64N(2), Unit: tree.Second}
		}
		compiled, err := Compile(&Env{Schema: oneSchema{}, Now: 1_000_000 + span + rng.Int64N(3000)}, p)
		if err != nil {
			t.Fatal(err)
		}
		fast, slow := compiled.On(src).root.(*sequenceRunner), compiled.On(src).root.(*sequenceRunner)
		if slow.matching = nil; fast.matching == nil {
			t.Fatal("the sequence is not matched by value")
		}
		var cand, got, want query.Bits
		for p := range 30 {
			if rng.IntN(5) > 0 {
				cand.Set(uint16(p * 2000))
			}
		}
		fast.eval(&scope{}, cand[:], cand.Count(), got[:])
		slow.eval(&scope{}, cand[:], cand.Count(), want[:])
		if got != want {
			t.Fatalf("seed %d: %s: the members are not those that testing every pair finds", seed, name)
		}
		if fast.refs[0] == nil {
			matched++
		}
		found += want.Count()
	}
	if matched < 50 || found == 0 {
		t.Errorf("seed %d: %d of 200 were matched by value, %d profiles found", seed, matched, found)
	}
}

package eval_test

import (
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
)

// TestCountOfSets: what the index counts is what there is, and it counts the forms it should.
func TestCountOfSets(t *testing.T) {
	for _, c := range []struct {
		text    string
		indexed bool
	}{
		{`country = "BR"`, true},
		{`country != "BR"`, true},
		{`not vip`, true},
		{`country in ("BR", "")`, true},
		{`did "Buy" ever`, true},
		{`did not "View" ever`, true},
		{`country = "BR" and vip`, true},
		{`country != "BR" and did not "Buy" ever`, true},
		{`did "Buy" ever and did not "View" ever`, true},
		{`country is set and did "View" ever`, true},
		{`country = "BR" or vip`, false},
		{`country = "BR" and vip and did "Buy" ever`, false},
		{`age > 30`, false},
		{`did "Buy" at least 2 times ever`, false},
	} {
		counted := 0
		for seed := range uint64(20) { // some sources have sets, some have not
			a := newFixture(t, shop(), seed)
			counted += a.counted(t, c.text)
		}
		if c.indexed != (counted > 0) {
			t.Errorf("%s: counted in %d chunks", c.text, counted)
		}
	}
}

// counted returns in how many chunks the index counts a predicate, and compares each count with the members.
func (f *fixture) counted(t *testing.T, text string) (chunks int) {
	t.Helper()
	compiled, err := eval.Compile(&f.env, f.pred(t, text))
	if err != nil {
		t.Fatalf("compile %s: %v", text, err)
	}
	f.chunks(func(shard, chunk int, profiles *query.Bits) {
		e := compiled.On(f.sources[shard])
		n, ok := e.Count(chunk, profiles.Count())
		if !ok || f.sources[shard].Hides(chunk) {
			return
		}
		chunks++
		var in query.Bits
		if e.Chunk(chunk, profiles, &in); n != in.Count() {
			t.Errorf("%s: chunk %d counts %d, and has %d", text, chunk, n, in.Count())
		}
	})
	return chunks
}

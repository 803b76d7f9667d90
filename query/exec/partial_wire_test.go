package exec_test

import (
	"bytes"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

// partials returns the encoded partials of every round of a statement, and the states of the rounds.
func partials(t testing.TB, text string) (parts, states [][]byte) {
	t.Helper()
	h := shop(60)
	plan, err := prepare(t, h, text, exec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	shards := exec.Shards(sources(h, 2))
	for done := false; !done; {
		state := plan.State()
		states = append(states, exec.AppendState(nil, &state))
		var round []*exec.Partial
		for _, s := range shards {
			part, err := plan.Partial(t.Context(), s, 0, s.Chunks())
			if err != nil {
				t.Fatal(err)
			}
			round = append(round, part)
			parts = append(parts, exec.AppendPartial(nil, part))
		}
		if done, err = plan.Merge(round); err != nil {
			t.Fatal(err)
		}
	}
	return parts, states
}

// everyKind are statements whose partials together have every part that a partial may have.
var everyKind = []string{
	"count where in top 10% by ltv or in bottom 3 by count of Order by plan, email",
	"list ltv, email where in top 5 by sum(amount) of Order order by ltv desc limit 10",
	"stats distinct(email), days of Order, median(ltv), min(ltv), avg(ltv) by plan",
	"trend Order in last 60 days by day of users by plan", "overlap ltv > 1, ltv > 2", "rfm of Order ever by amount",
	"insights where ltv > 500", "lookalike of ltv > 900 top 5", "funnel Order then Order within 1 day in last 9 days",
	"retention Order then Order in last 9 days by day", "why profile \"user-00001\" where ltv > 3 and did Order",
	"explain analyze count where ltv > 3 and did Order",
}

// FuzzReadPartial checks that arbitrary bytes do not panic, and that encoding what was decoded is stable.
func FuzzReadPartial(f *testing.F) {
	for _, text := range everyKind {
		parts, _ := partials(f, text)
		for _, part := range parts {
			f.Add(part)
		}
	}
	f.Add(exec.AppendPartial(nil, &exec.Partial{
		Sets: []exec.MemberSet{{Place: 1 << 32, Members: roaring.BitmapOf(1, 2, 9)}},
		Names: []exec.ShardNames{{Shard: 1, Infos: []query.NameInfo{{Name: "E", Cardinality: 1, Hashes: []uint64{5}, Examples: []tree.Value{tree.NumInt(3)},
			Properties: []query.NameInfo{{Name: "p", Cardinality: -1}}}}}},
	}))
	f.Fuzz(func(t *testing.T, data []byte) {
		part, err := exec.ReadPartial(data)
		if err != nil {
			return
		}
		written := exec.AppendPartial(nil, part)
		again, err := exec.ReadPartial(written)
		if err != nil {
			t.Fatalf("an encoded partial is not decoded: %v", err)
		}
		if !bytes.Equal(exec.AppendPartial(nil, again), written) {
			t.Fatal("the encoding of a partial changed after decoding")
		}
	})
}

// FuzzReadState is FuzzReadPartial for states.
func FuzzReadState(f *testing.F) {
	for _, text := range everyKind {
		_, states := partials(f, text)
		for _, state := range states {
			f.Add(state)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := exec.ReadState(data)
		if err != nil {
			return
		}
		written := exec.AppendState(nil, &state)
		again, err := exec.ReadState(written)
		if err != nil {
			t.Fatalf("an encoded state is not decoded: %v", err)
		}
		if !bytes.Equal(exec.AppendState(nil, &again), written) {
			t.Fatal("the encoding of a state changed after decoding")
		}
	})
}

// A plan refuses partials of another statement or round, and partials that it has no memory for: with an error, and
// without a panic.
func TestPartialsOfOtherStatementsAreRefused(t *testing.T) {
	h := shop(60)
	for _, of := range everyKind {
		parts, _ := partials(t, of)
		for _, text := range everyKind {
			plan, err := prepare(t, h, text, exec.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var read []*exec.Partial
			for _, data := range parts {
				if part, err := plan.Read(data); err == nil {
					read = append(read, part)
				}
			}
			if of == text && len(read) != 2 { // those of its first round
				t.Errorf("%s: accepted %d of its own partials, want 2", text, len(read))
			}
			if done, err := plan.Merge(read); err == nil && done {
				if _, err := plan.Answer(); err != nil && len(read) > 0 {
					t.Logf("%s of %s: %v", text, of, err)
				}
			}
			small, err := prepare(t, h, text, exec.Options{Budget: 1})
			if err != nil {
				t.Fatal(err)
			}
			if part, err := small.Read(parts[0]); of == text && err == nil && len(parts[0]) > 200 {
				t.Errorf("%s: a partial of %d bytes is accepted with a budget of 1: %+v", text, len(parts[0]), part)
			}
		}
	}
}

package querytest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// TestMatchAgrees compares single-profile evaluation with the oracle, for the same random predicates. It also
// checks that the result does not change before the instant that the evaluation promises.
func TestMatchAgrees(t *testing.T) {
	failures := 0
	for i := 0; i < *predicates && failures < 5; i += perHistory {
		seed := *firstSeed + uint64(i/perHistory)
		c := drawCase(seed, nil)
		rng := rand.New(rand.NewPCG(seed, 4))
		for k, p := range c.preds {
			if err := c.matchDisagreement(p, rng); err != nil {
				failures++
				t.Errorf("seed %d, predicate %d:\n  %s\n%v", seed, k, syntax.FormatPred(p), err)
			}
		}
	}
}

func (c *testCase) matchDisagreement(p tree.Pred, rng *rand.Rand) error {
	env := &eval.Env{Schema: c.schema, Now: c.gen.Now, Zone: c.oracle.Zone, Cuts: map[*tree.Rank]query.Cut{}}
	checked, err := c.checked(p)
	if err != nil {
		return err
	}
	if err := c.cuts(env, checked); err != nil {
		return err
	}
	m, err := match.Compile(match.Env{Schema: c.schema, Zone: env.Zone, Cuts: env.Cuts}, checked)
	if err != nil {
		return err
	}
	for i := range c.gen.History.Profiles {
		who := &c.gen.History.Profiles[i]
		profile, err := c.find(who)
		if err != nil {
			return err
		}
		v := m.Match(profile, c.gen.Now)
		if want := c.oracle.Holds(p, who); v.True != want {
			return fmt.Errorf("%s at %d in %s: single profile says %t, oracle %t\nprofile: %s",
				who.ID(), c.gen.Now, c.gen.Zone, v.True, want, describe(who))
		}
		if v.Until <= c.gen.Now {
			return fmt.Errorf("%s: the promised instant %d is not after now %d", who.ID(), v.Until, c.gen.Now)
		}
		if len(env.Cuts) > 0 { // cuts are valid only for now
			continue
		}
		if err := c.promised(p, who, v, rng); err != nil {
			return err
		}
		if m.Explain(profile, c.gen.Now).True != v.True {
			return fmt.Errorf("%s: the explanation has the opposite result", who.ID())
		}
	}
	return nil
}

// promised compares the verdict with the oracle at instants before the promised one: the last of them, random
// ones, and the instant of each event, alone and plus a random duration.
func (c *testCase) promised(p tree.Pred, who *Profile, v match.Verdict, rng *rand.Rand) error {
	end := min(v.Until-1, calendar.Add(c.gen.Now, 400*86_400_000))
	later := []int64{end, c.gen.Now + rng.Int64N(end-c.gen.Now+1), c.gen.Now + min(end-c.gen.Now, rng.Int64N(100_000_000))}
	for _, e := range who.Events {
		d, _ := pick(c.gen, durations...).Millis()
		later = append(later, e.Time, e.Time+d, e.Time+d+1)
	}
	for _, at := range later {
		if at <= c.gen.Now || at > end {
			continue
		}
		if c.oracle.At(at).Holds(p, who) != v.True {
			return fmt.Errorf("%s: %t at %d, promised until %d, but not at %d\nprofile: %s", who.ID(), v.True, c.gen.Now, v.Until, at, describe(who))
		}
	}
	return nil
}

func (c *testCase) find(who *Profile) (*match.Profile, error) {
	for _, src := range c.sources {
		if ordinal, ok := src.Find(who.ID()); ok {
			return match.NewProfile(src, c.schema, ordinal), nil
		}
	}
	return nil, fmt.Errorf("%s is in no source", who.ID())
}

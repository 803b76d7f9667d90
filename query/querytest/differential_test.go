package querytest

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

var (
	predicates = flag.Int("predicates", 2000, "number of random predicates to compare")
	firstSeed  = flag.Uint64("seed", 1, "seed of the first random history")
)

// perHistory is the number of predicates for one history.
const perHistory = 20

// TestPredicatesAgree compares the set evaluator with the oracle, for random predicates over random histories
// in random encodings.
func TestPredicatesAgree(t *testing.T) {
	pool := exec.NewPool(1)
	defer pool.Close()
	failures := 0
	for i := 0; i < *predicates && failures < 5; i += perHistory {
		seed := *firstSeed + uint64(i/perHistory)
		c := drawCase(seed, pool)
		for k, p := range c.preds {
			if err := c.disagreement(p); err != nil {
				failures++
				small, why := c.shrink(p, err)
				t.Errorf("seed %d, predicate %d:\n  %s\n%v", seed, k, syntax.FormatPred(small), why)
			}
		}
	}
}

// testCase is a history with predicates, drawn from one seed.
type testCase struct {
	gen     *Gen
	schema  *Schema
	sources []*Source
	preds   []tree.Pred
	oracle  *Oracle
	pool    *exec.Pool
}

func drawCase(seed uint64, pool *exec.Pool) *testCase {
	rng := rand.New(rand.NewPCG(seed, 3))
	size := 6
	if seed%4 == 0 {
		size = 60
	}
	c := &testCase{gen: NewGen(rng, size), pool: pool}
	for range perHistory {
		c.preds = append(c.preds, c.gen.Pred(rng.IntN(3)))
	}
	if seed%3 == 0 {
		c.gen.MoveToExtremes()
	}
	c.schema = NewSchema(c.gen.History)
	c.sources = NewSources(c.gen.History, c.schema, 1+rng.IntN(3), rng)
	oracle, err := NewOracle(c.gen.History, c.gen.Now, c.gen.Zone)
	if err != nil {
		panic(err)
	}
	c.oracle = oracle
	return c
}

// checked returns the checked form of p, which the generator makes valid.
func (c *testCase) checked(p tree.Pred) (tree.Pred, error) {
	q := &tree.Query{Stmt: &tree.CountStmt{Where: p, Limit: -1}, Zone: c.gen.Zone}
	q, warnings, err := check.Statement(q, c.schema)
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, &warnings[0]
	}
	return q.Stmt.(*tree.CountStmt).Where, nil
}

// disagreement returns an error that says where the set evaluator and the oracle differ about p, or nil.
func (c *testCase) disagreement(p tree.Pred) error {
	checked, err := c.checked(p)
	if err != nil {
		return err
	}
	env := &eval.Env{Schema: c.schema, Now: c.gen.Now, Zone: c.oracle.Zone, Cuts: map[*tree.Rank]query.Cut{}}
	if err := c.cuts(env, checked); err != nil {
		return err
	}
	got, err := c.sets(env, checked)
	if err != nil {
		return err
	}
	scattered, err := c.membersScattered(checked)
	if err != nil {
		return err
	}
	if !maps.Equal(scattered, got) {
		return fmt.Errorf("scattered over nodes there are %d members, want %d", len(scattered), len(got))
	}
	for i := range c.gen.History.Profiles {
		who := &c.gen.History.Profiles[i]
		if want := c.oracle.Holds(p, who); got[who.ID()] != want {
			return fmt.Errorf("%s at %d in %s: sets say %t, oracle %t\nprofile: %s", who.ID(), c.gen.Now, c.gen.Zone,
				got[who.ID()], want, describe(who))
		}
	}
	return nil
}

func describe(p *Profile) string {
	text := fmt.Sprintf("%s %q\n", p.UserID, p.Anonymous)
	for _, name := range sortedKeys(p.Attrs) {
		text += fmt.Sprintf("  %s = %v\n", name, show(p.Attrs[name]))
	}
	for _, e := range p.Events {
		text += fmt.Sprintf("  %d %s", e.Time, e.Name)
		for _, name := range sortedKeys(e.Props) {
			text += fmt.Sprintf(" %s=%v", name, show(e.Props[name]))
		}
		text += "\n"
	}
	return text
}

func show(v tree.Value) string {
	switch v.Type {
	case tree.NumberType:
		return v.Number().String()
	case tree.StringType:
		return fmt.Sprintf("%q", v.Str)
	case tree.ListType:
		return fmt.Sprint(v.List)
	}
	return fmt.Sprint(v.Int)
}

// sets evaluates p over all sources with query/eval.
func (c *testCase) sets(env *eval.Env, p tree.Pred) (map[string]bool, error) {
	compiled, err := eval.Compile(env, p)
	if err != nil {
		return nil, err
	}
	members := map[string]bool{}
	for _, src := range c.sources {
		e := compiled.On(src)
		var all, in query.Bits
		for chunk := range src.Chunks() {
			n, counted := e.Count(chunk, src.Profiles(chunk, &all))
			e.Chunk(chunk, &all, &in)
			if counted && !src.Hides(chunk) && n != in.Count() {
				return nil, fmt.Errorf("chunk %d counts %d, and has %d", chunk, n, in.Count())
			}
			for pos := range in.All {
				if !all.Has(pos) {
					return nil, fmt.Errorf("position %d of chunk %d is not a candidate", pos, chunk)
				}
				members[src.ID(uint32(chunk)<<query.ChunkBits|uint32(pos))] = true
			}
		}
	}
	return members, nil
}

func (c *testCase) cuts(env *eval.Env, p tree.Pred) error {
	queries, err := eval.Ranks(env, p)
	if err != nil {
		return err
	}
	for _, q := range queries {
		var total eval.RankPart
		for shard, src := range c.sources {
			scan := q.On(src)
			var part eval.RankPart
			var all query.Bits
			for chunk := range src.Chunks() {
				src.Profiles(chunk, &all)
				scan.Chunk(shard, chunk, &all, &part)
			}
			q.Merge(&total, &part)
		}
		end := q.End(&total)
		var ids []string
		for _, place := range end.Who {
			ids = append(ids, c.sources[place>>32].ID(uint32(place)))
		}
		env.Cuts[q.Node] = end.Cut(ids)
	}
	return nil
}

// shrink returns the smallest part of p about which the evaluators still disagree.
func (c *testCase) shrink(p tree.Pred, err error) (tree.Pred, error) {
	for _, part := range parts(p) {
		if smaller := c.disagreement(part); smaller != nil {
			return c.shrink(part, smaller)
		}
	}
	return p, err
}

func parts(p tree.Pred) []tree.Pred {
	switch p := p.(type) {
	case *tree.And:
		return p.Args
	case *tree.Or:
		return p.Args
	case *tree.Not:
		return []tree.Pred{p.Arg}
	}
	return nil
}

// FuzzEvaluatorsAgree looks for seeds with predicates about which the evaluators disagree.
func FuzzEvaluatorsAgree(f *testing.F) {
	f.Add(uint64(1))
	pool := exec.NewPool(1)
	f.Cleanup(pool.Close)
	f.Fuzz(func(t *testing.T, seed uint64) {
		c := drawCase(seed, pool)
		for k, p := range c.preds {
			err := c.disagreement(p)
			if err == nil {
				err = c.matchDisagreement(p, rand.New(rand.NewPCG(seed, uint64(k))))
			}
			if err != nil {
				t.Fatalf("seed %d, predicate %d:\n  %s\n%v", seed, k, syntax.FormatPred(p), err)
			}
		}
	})
}

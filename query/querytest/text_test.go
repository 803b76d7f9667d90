package querytest

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// TestDrawnTreesAreText checks that every drawn tree can be written as MQL: formatting and parsing it gives the
// same tree.
func TestDrawnTreesAreText(t *testing.T) {
	same := cmp.Options{cmpopts.IgnoreTypes(tree.Span{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(tree.OverlapStmt{}, "Texts")}
	for seed := range uint64(40) {
		g := NewGen(rand.New(rand.NewPCG(seed, 5)), 10)
		for range 20 {
			q := &tree.Query{Stmt: &tree.CountStmt{Where: g.Pred(3), Limit: -1}}
			if g.rng.IntN(2) == 0 {
				q = &tree.Query{Stmt: g.Stmt(), Zone: g.Zone}
			}
			text := syntax.Format(q)
			back, err := syntax.Parse(text, syntax.Limits{})
			if err != nil {
				t.Fatalf("seed %d: %s\n%v", seed, text, err)
			}
			if diff := cmp.Diff(q, back, same); diff != "" {
				t.Fatalf("seed %d: %s\n%s", seed, text, diff)
			}
		}
	}
}

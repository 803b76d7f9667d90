package member

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/musterdb/muster/query/querytest"
)

// TestEveryPredicateCanBeLive: the dependencies of every form of the language are known.
func TestEveryPredicateCanBeLive(t *testing.T) {
	for seed := range uint64(20) {
		gen := querytest.NewGen(rand.New(rand.NewPCG(seed, 7)), 14)
		schema := querytest.NewSchema(gen.History)
		for range 100 {
			p := gen.Pred(2)
			if _, err := dependsOn(schema, p); err != nil && strings.Contains(err.Error(), "cannot be live") {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

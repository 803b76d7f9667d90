package member

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQueueSorts: items are popped in order, whatever is pushed in between.
func TestQueueSorts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var q queue
	var twin []item
	for range 20_000 {
		if len(twin) > 0 && rng.IntN(3) == 0 {
			slices.SortFunc(twin, func(a, b item) int {
				switch {
				case a.before(b):
					return -1
				case b.before(a):
					return 1
				}
				return 0
			})
			at, ok := q.next()
			if got := q.pop(); got != twin[0] || at != got.at || !ok {
				t.Fatalf("%v instead of %v", got, twin[0])
			}
			twin = twin[1:]
			if len(twin) > 200 {
				q.items, twin = nil, nil
			}
			continue
		}
		x := item{at: rng.Int64N(50), what: uint8(rng.IntN(4)), id: rng.Uint32N(3), ordinal: rng.Uint32N(9)}
		q.push(x)
		twin = append(twin, x)
	}
}

package member

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
)

// TestQueueSorts: items come out in order, whatever was put in between.
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

// TestSetIsItsTwin: a set holds what a map holds, one by one and by chunk.
func TestSetIsItsTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var s set
	var counts paged[uint8]
	twin := map[uint32]bool{}
	numbers := map[uint32]uint8{}
	for range 50_000 {
		ordinal := rng.Uint32N(3 * query.ChunkSize)
		if rng.IntN(3) == 0 {
			ordinal %= 700
		}
		in := rng.IntN(2) == 0
		s.put(ordinal, in)
		twin[ordinal] = in
		n := uint8(rng.IntN(256))
		counts.put(ordinal, n)
		numbers[ordinal] = n
	}
	for chunk := range 4 {
		var bits query.Bits
		s.fill(chunk, &bits)
		var again set
		again.load(chunk, &bits)
		for pos := range query.ChunkSize {
			ordinal := uint32(chunk<<query.ChunkBits | pos)
			if bits.Has(uint16(pos)) != twin[ordinal] || s.has(ordinal) != twin[ordinal] || again.has(ordinal) != twin[ordinal] {
				t.Fatalf("ordinal %d", ordinal)
			}
			if counts.get(ordinal) != numbers[ordinal] {
				t.Fatalf("number of ordinal %d", ordinal)
			}
		}
	}
}

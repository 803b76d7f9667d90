package member

import (
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/query"
)

// TestRowsAreTheirTwin: rows hold the same values as maps, by profile and by chunk, while columns come and
// go.
func TestRowsAreTheirTwin(t *testing.T) {
	const mostBits, mostCounts = 11, 30
	rng := rand.New(rand.NewPCG(2, 2))
	var r rows
	var due paged[int64]
	twin := map[[2]uint32]bool{}
	numbers := map[[2]uint32]uint8{}
	instants := map[uint32]int64{}
	var bit, at []uint32
	for i := range 60_000 {
		if i%500 == 0 && len(bit) < mostBits {
			bit = append(bit, r.placeBit())
		}
		if i%300 == 0 && len(at) < mostCounts {
			at = append(at, r.place(1))
		}
		ordinal := rng.Uint32N(3 * query.ChunkSize)
		if rng.IntN(3) == 0 {
			ordinal %= 700
		}
		which, is := rng.IntN(len(bit)), rng.IntN(2) == 0
		r.setBit(ordinal, bit[which], is)
		twin[[2]uint32{ordinal, bit[which]}] = is
		place, n := at[rng.IntN(len(at))], uint8(rng.IntN(256))
		r.own(ordinal)[place] = n
		numbers[[2]uint32{ordinal, place}] = n
		instants[ordinal] = int64(i % 5)
		due.put(ordinal, int64(i%5))
		if i%9000 == 8999 { // a column is removed and its place reused
			gone := rng.IntN(len(at))
			r.release(at[gone], 1)
			at[gone] = r.place(1)
			for chunk := range 3 {
				r.zero(chunk, at[gone], 1)
			}
			for key := range numbers {
				if key[1] == at[gone] {
					delete(numbers, key)
				}
			}
		}
	}
	checkBits(t, &r, bit, twin)
	for key, n := range numbers {
		if row := r.row(key[0]); row[key[1]] != n {
			t.Fatalf("place %d of ordinal %d is %d, want %d", key[1], key[0], row[key[1]], n)
		}
	}
	for ordinal, at := range instants {
		if due.get(ordinal) != at {
			t.Fatalf("wrong instant of ordinal %d", ordinal)
		}
	}
}

// checkBits compares bits with their twin, by chunk and one by one.
func checkBits(t *testing.T, r *rows, bits []uint32, twin map[[2]uint32]bool) {
	var everybody query.Bits
	for i := range everybody {
		everybody[i] = ^uint64(0)
	}
	for chunk := range 4 {
		for _, b := range bits {
			var in, again query.Bits
			r.fillBit(chunk, b, &everybody, &in)
			r.loadBit(chunk, b, &query.Bits{})
			r.loadBit(chunk, b, &in)
			r.fillBit(chunk, b, &everybody, &again)
			if in != again {
				t.Fatalf("bit %d of chunk %d is not what was loaded", b, chunk)
			}
			for pos := range query.ChunkSize {
				ordinal := uint32(chunk<<query.ChunkBits | pos)
				if want := twin[[2]uint32{ordinal, b}]; in.Has(uint16(pos)) != want || r.bit(r.row(ordinal), b) != want {
					t.Fatalf("bit %d of ordinal %d is not %t", b, ordinal, want)
				}
			}
		}
	}
}

package exec

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestBucketerAgainstCalendar holds the tables of a bucketer, and the sets of visitors, against the
// calendar asked row by row: leaves and tails, some rows or all, hours and longer units, and so many
// hours that neither tables nor sets suffice.
func TestBucketerAgainstCalendar(t *testing.T) {
	const hour = 3_600_000
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, name := range []string{"UTC", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []tree.Unit{tree.Hour, tree.Day, tree.Week, tree.Month} {
			for _, span := range []int64{hour, 100 * hour, 2000 * hour, 20_000 * hour} {
				c := calendarOf{unit: unit, zone: zone}
				k, seen := newBucketer(c), &visitors{}
				want := map[int64]*query.Bits{}
				var members query.Bits
				for range 40_000 {
					members.Set(uint16(rng.IntN(query.ChunkSize)))
				}
				for range 3 {
					b, selected, from, to := randomRows(rng, span)
					rows, one := k.of(b, selected, from, to)
					seen.add(b, selected, k, rows, one)
					eachRow(b, selected, func(i int) {
						n := one
						if rows != nil {
							n = rows[i]
						}
						start := c.at(b.Time(i)).from
						if got := k.starts[n]; got != start {
							t.Fatalf("seed %d: %s, %v over %d h: row at %d is in the bucket from %d, want %d", seed, name, unit, span/hour, b.Time(i), got, start)
						}
						if want[start] == nil {
							want[start] = &query.Bits{}
						}
						if members.Has(b.Pos[i]) {
							want[start].Set(b.Pos[i])
						}
					})
				}
				met := map[int64]bool{}
				seen.each(&members, func(bucket int32, among *query.Bits) {
					start := k.starts[bucket]
					if met[start] {
						t.Fatalf("seed %d: bucket %d comes twice", seed, start)
					}
					met[start] = true
					if w := want[start]; w == nil && among.Any() || w != nil && *w != *among {
						t.Fatalf("seed %d: %s, %v over %d h: other visitors in the bucket from %d", seed, name, unit, span/hour, start)
					}
				})
				for start, w := range want {
					if w.Any() && !met[start] {
						t.Fatalf("seed %d: %s, %v over %d h: the bucket from %d is left out", seed, name, unit, span/hour, start)
					}
				}
				seen.each(&members, func(int32, *query.Bits) { t.Fatalf("seed %d: the sets were not emptied", seed) })
			}
		}
	}
}

// randomRows draws a block within a span of time and, most often, a window that selects rows of it.
func randomRows(rng *rand.Rand, span int64) (b *query.Block, selected []uint64, from, to int64) {
	const rows = 3000
	base := time.Date(2011, 12, 28, 0, 0, 0, 0, time.UTC).UnixMilli() + rng.Int64N(1<<38)
	b = &query.Block{Rows: rows, Base: base, Pos: make([]uint16, rows)}
	times := make([]int64, rows)
	for i := range times {
		times[i], b.Pos[i] = base+rng.Int64N(span), uint16(rng.IntN(query.ChunkSize))
	}
	b.Min, b.Max = slices.Min(times), slices.Max(times)
	if b.Max-base < 1<<32 && rng.IntN(3) > 0 {
		for _, at := range times {
			b.Off = append(b.Off, uint32(at-base))
		}
	} else {
		b.Times = times
	}
	from, to = b.Min, b.Max+1
	if rng.IntN(3) == 0 {
		return b, nil, from, to
	}
	from, to = base+rng.Int64N(span)/2, base+span-rng.Int64N(span)/3
	selected = make([]uint64, (rows+63)/64)
	for i, at := range times {
		if from <= at && at < to {
			selected[i>>6] |= 1 << (i & 63)
		}
	}
	if slices.Max(selected) == 0 {
		return b, nil, b.Min, b.Max + 1
	}
	return b, selected, from, to
}

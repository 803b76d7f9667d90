package exec

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestBucketerAgainstCalendar compares the tables of a bucketer, and the sets of visitors, with the calendar row by
// row: leaves and tails, some rows or all, hours and longer units, and too many hours for the tables and sets.
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
				c := bucketCalendar{unit: unit, zone: zone}
				k, seen := newBucketer(c), &visitors{}
				want := map[int64]*query.Bits{}
				var members query.Bits
				for range 40_000 {
					members.Set(uint16(rng.IntN(query.ChunkSize)))
				}
				for range 3 {
					b, selected, from, to := randomRows(rng, span)
					rows := take(k, seen, b, selected, from, to)
					eachRow(b, selected, func(i int) {
						n := rows[i]
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
				seen.each(func(bucket int32, among *query.Bits, lone *query.Block) {
					if lone != nil {
						among = &query.Bits{}
						setAll(among, lone)
					}
					among.And(&members)
					start := k.starts[bucket]
					if met[start] {
						t.Fatalf("seed %d: bucket %d is reported twice", seed, start)
					}
					met[start] = true
					if w := want[start]; w == nil && among.Any() || w != nil && *w != *among {
						t.Fatalf("seed %d: %s, %v over %d h: wrong visitors in the bucket from %d", seed, name, unit, span/hour, start)
					}
				})
				for start, w := range want {
					if w.Any() && !met[start] {
						t.Fatalf("seed %d: %s, %v over %d h: the bucket from %d is missing", seed, name, unit, span/hour, start)
					}
				}
				seen.each(func(int32, *query.Bits, *query.Block) { t.Fatalf("seed %d: the sets were not emptied", seed) })
			}
		}
	}
}

// take adds a block to visitors, in parts or row by row, and returns the buckets of its rows.
func take(k *bucketer, seen *visitors, b *query.Block, selected []uint64, from, to int64) []int32 {
	parts, few := k.parts(b, selected, from, to)
	if !few {
		rows := k.of(b, selected, from, to)
		seen.addRows(b, selected, k, rows)
		return rows
	}
	rows := make([]int32, b.Rows)
	for i := range rows {
		rows[i] = -1
	}
	for _, p := range parts {
		seen.add(b, p.rows, p.bucket)
		eachRow(b, p.rows, func(i int) {
			if rows[i] >= 0 {
				panic("a row is in two parts")
			}
			rows[i] = p.bucket
		})
	}
	return rows
}

// Distinct positions of sorted blocks are counted without a set.
func TestDifferentPositions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := range 200 {
		var want, members query.Bits
		pos := make([]uint16, n)
		for i := range pos {
			pos[i] = uint16(rng.IntN(40)) * 1638
			want.Set(pos[i])
			if rng.IntN(2) == 0 {
				members.Set(pos[i])
			}
		}
		slices.Sort(pos)
		if got := differentPositions(pos); got != want.Count() {
			t.Fatalf("seed %d: %d different positions in %v, want %d", seed, got, pos, want.Count())
		}
		want.And(&members)
		if got := differentMembers(pos, &members); got != want.Count() {
			t.Fatalf("seed %d: %d members in %v, want %d", seed, got, pos, want.Count())
		}
	}
}

// The sum of a column is that of its rows added one by one, or it is refused.
func TestColumnSum(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	summed := 0
	for range 400 {
		rows := 1 + rng.IntN(300)
		v := &query.Vec{Type: tree.NumberType, Rows: rows, Base: rng.Int64N(1<<rng.IntN(62)+1) - 50, Scale: int8(rng.IntN(10))}
		switch rng.IntN(5) {
		case 0:
			v.Const = true
		case 1:
			v.U8 = make([]uint8, rows)
			for i := range v.U8 {
				v.U8[i] = uint8(rng.IntN(256))
			}
		case 2:
			v.U16 = make([]uint16, rows)
			for i := range v.U16 {
				v.U16[i] = uint16(rng.IntN(1<<16) * rng.IntN(2))
			}
		case 3:
			v.Bounded, v.Lo, v.Hi = true, v.Base+1, v.Base+1<<20
			v.U32 = make([]uint32, rows)
			for i := range v.U32 {
				v.U32[i] = uint32(rng.IntN(1<<20 + 1))
			}
		case 4:
			v.Bounded, v.Lo, v.Hi = true, -v.Base-100, v.Base+100
			v.I64 = make([]int64, rows)
			for i := range v.I64 {
				if v.I64[i] = rng.Int64N(2*(v.Base+100)) - v.Base - 100; rng.IntN(4) == 0 {
					v.I64[i] = query.VecMissing
				}
			}
		}
		var want Cell
		for i := range rows {
			if x := v.Value(i); !x.Missing() {
				want.add(tree.SumFn, x)
			}
		}
		n, sum, ok := columnSum(tree.SumFn, v)
		if !ok {
			continue
		}
		summed++
		if n != want.N || (tree.Sum{}).AddInt(sum) != want.Sum {
			t.Fatalf("seed %d: %d numbers, %d billionths of %+v, want %+v", seed, n, sum, v, want)
		}
	}
	if summed < 100 {
		t.Fatalf("seed %d: only %d columns were added up", seed, summed)
	}
}

// randomRows returns a random block within a span of time and, in most cases, a window that selects some of its rows.
func randomRows(rng *rand.Rand, span int64) (b *query.Block, selected []uint64, from, to int64) {
	const rows = 3000
	base := time.Date(2011, 12, 28, 0, 0, 0, 0, time.UTC).UnixMilli() + rng.Int64N(1<<38)
	b = &query.Block{Rows: rows, Base: base, Pos: make([]uint16, rows)}
	times := make([]int64, rows)
	for i := range times {
		times[i], b.Pos[i] = base+rng.Int64N(span), uint16(rng.IntN(query.ChunkSize))
	}
	if b.Sorted = rng.IntN(2) == 0; b.Sorted {
		slices.Sort(b.Pos)
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

package eval

import (
	"math"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/places"
	"github.com/musterdb/muster/query/tree"
)

// RankPart is the contribution of some chunks to a rank: how many profiles have the measure, and those
// that may still be within the cut. Values are kept as keys, where the first place has the least key.
// It is plain data: a profile is its shard number << 32 | its ordinal. Ids are read in a separate
// round, and only of profiles with the value at the cut.
type RankPart struct {
	Total   int64
	who     []uint64
	scale   int8          // of the numbers the keys represent; tree.FloatScale for floats
	keys    []uint64      // of who
	plain   bool          // values have no common form and are in numbers
	numbers []tree.Number // of who, instead of keys
	worst   uint64        // greater keys cannot be within the cut; 0 if not known
}

// Bytes returns the memory of the part.
func (p *RankPart) Bytes() int { return 8*cap(p.who) + 8*cap(p.keys) + 16*cap(p.numbers) }

// flip converts the key of a value to the key of its place, and back.
func (q *RankQuery) flip(key uint64) uint64 {
	if q.Node.Bottom {
		return key
	}
	return ^key
}

// number returns the value of the key of a place.
func (q *RankQuery) number(p *RankPart, key uint64) tree.Number {
	if key = q.flip(key); p.scale == tree.FloatScale {
		n, _ := tree.FromFloat(places.Float(key))
		return n
	}
	return tree.Decimal(places.Int(key), p.scale)
}

// chunkPlace returns the first profile of a chunk, as parts identify it.
func chunkPlace(shard, chunk int) uint64 { return uint64(shard)<<32 | uint64(chunk)<<query.ChunkBits }

// toNumbers converts keys to numbers.
func (q *RankQuery) toNumbers(p *RankPart) {
	if p.plain {
		return
	}
	p.plain = true
	for _, k := range p.keys {
		p.numbers = append(p.numbers, q.number(p, k))
	}
	p.keys = nil
}

// align brings the keys of a part, and those about to be added, to one form. The coefficients to be
// added have the given scale and an absolute value of at most most. align returns the factor
// by which new coefficients must be multiplied. ok is false if there is no common form; the part then has
// numbers.
func (q *RankQuery) align(p *RankPart, scale int8, most int64) (factor int64, ok bool) {
	if p.plain {
		return 0, false
	}
	if len(p.keys) == 0 {
		p.scale, p.worst = scale, 0
	}
	if scale == p.scale {
		return 1, true
	}
	if scale != tree.FloatScale && p.scale != tree.FloatScale {
		up := max(scale, p.scale)
		held := int64(0)
		if scale > p.scale {
			for _, k := range p.keys {
				x := places.Int(q.flip(k))
				held = max(held, x, -max(x, -math.MaxInt64))
			}
		}
		if most <= mostGathered/tree.Pow10(up-scale) && held <= mostGathered/tree.Pow10(up-p.scale) {
			by := tree.Pow10(up - p.scale)
			for i, k := range p.keys {
				p.keys[i] = q.flip(places.OfInt(places.Int(q.flip(k)) * by))
			}
			p.scale, p.worst = up, 0
			return tree.Pow10(up - scale), true
		}
	}
	q.toNumbers(p)
	return 0, false
}

// addColumn adds the profiles of a set with the values of a column over their chunk. first is the first
// profile of the chunk. A column of FloatScale has keys of floats.
func (q *RankQuery) addColumn(p *RankPart, first uint64, col *query.Vec, profiles []uint64) {
	most := int64(0)
	eachBit(profiles, func(i int) {
		if x := col.I64[i]; x != query.VecMissing {
			most = max(most, x, -max(x, -math.MaxInt64))
		}
	})
	factor, ok := q.align(p, col.Scale, most)
	worst := p.worst
	if worst == 0 {
		worst = math.MaxUint64
	}
	flip := uint64(0)
	if !q.Node.Bottom {
		flip = math.MaxUint64
	}
	eachBit(profiles, func(i int) {
		x := col.I64[i]
		if x == query.VecMissing {
			return
		}
		p.Total++
		if !ok {
			p.who = append(p.who, first|uint64(i))
			p.numbers = append(p.numbers, q.number(&RankPart{scale: col.Scale}, q.flip(places.OfInt(x))))
			return
		}
		if key := places.OfInt(x*factor) ^ flip; key <= worst {
			p.who, p.keys = append(p.who, first|uint64(i)), append(p.keys, key)
		}
	})
	q.prune(p)
}

// addNumbers is addColumn for values without a common form.
func (q *RankQuery) addNumbers(p *RankPart, first uint64, v *Vector) {
	q.toNumbers(p)
	eachBit(v.Has, func(i int) {
		if n, ok := rankNumber(v, i); ok {
			p.Total++
			p.who, p.numbers = append(p.who, first|uint64(i)), append(p.numbers, n)
		}
	})
}

// prune drops profiles that cannot be within the cut, once there are many. It keeps those with the last
// value, as their ids decide.
func (q *RankQuery) prune(p *RankPart) {
	n, ok := q.Node.N.Int64()
	if q.Node.Percent || !ok || n <= 0 || p.plain || int64(len(p.keys)) < 2*n+4096 {
		return
	}
	p.worst = places.Find(p.keys, int(n-1))[0]
	kept := 0
	for i, k := range p.keys {
		if k <= p.worst {
			p.keys[kept], p.who[kept] = k, p.who[i]
			kept++
		}
	}
	p.keys, p.who = p.keys[:kept], p.who[:kept]
}

// Merge adds other to part. It may change both.
func (q *RankQuery) Merge(part, other *RankPart) {
	part.Total += other.Total
	if len(other.who) == 0 {
		return
	}
	if len(part.who) == 0 {
		total := part.Total
		*part = *other
		part.Total = total
		part.who, part.keys, part.numbers = slices.Clip(part.who), slices.Clip(part.keys), slices.Clip(part.numbers)
		return
	}
	switch {
	case part.plain || other.plain || part.scale == other.scale:
	case part.scale < other.scale: // either direction works; the part with the smaller scale is converted
		q.align(part, other.scale, 0)
	default:
		q.align(other, part.scale, 0)
	}
	if part.plain != other.plain {
		q.toNumbers(part)
		q.toNumbers(other)
	}
	part.who = append(part.who, other.who...)
	part.keys, part.numbers = append(part.keys, other.keys...), append(part.numbers, other.numbers...)
	q.prune(part)
}

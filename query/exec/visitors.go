package exec

import (
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
)

// visitors are the distinct profiles of one chunk in each bucket, as one set per bucket. A bucket often
// has the rows of just one leaf. Those are sorted by position, so the bucket keeps that block instead of
// a set.
type visitors struct {
	lone   []*query.Block // by bucket: the only block of the bucket, all of whose rows are in it
	planes []*query.Bits  // by bucket: set of positions; nil, or empty between chunks
	dirty  []int32        // buckets with a block or a set
	state  []bucketState  // by bucket
	pairs  []uint64       // bucket << 16 | position, for the buckets from maxPlanes on
	made   int            // sets made and not charged yet
	held   int            // bytes of pairs that are charged
}

// bucketState says in which form a bucket has its visitors.
type bucketState uint8

const (
	noVisitors bucketState = iota
	loneBlock
	inPlane
)

// maxPlanes limits the sets of a worker to 32 MiB, and keptPlanes those it keeps for the next statement to 1 MiB.
const (
	maxPlanes  = 4096
	keptPlanes = 128
)

// plane returns the set of a bucket. REQUIRES: bucket < maxPlanes.
func (v *visitors) plane(bucket int32) *query.Bits {
	v.reach(bucket)
	if v.planes[bucket] == nil {
		v.planes[bucket] = new(query.Bits)
		v.made++
	}
	plane := v.planes[bucket]
	switch v.state[bucket] {
	case noVisitors:
		v.dirty = append(v.dirty, bucket)
	case loneBlock:
		setAll(plane, v.lone[bucket])
		v.lone[bucket] = nil
	}
	v.state[bucket] = inPlane
	return plane
}

// chargeSets charges the sets that were made since its last call.
func (w *worker) chargeSets() error {
	v := &w.visitors
	n := v.made*query.ChunkSize/8 + max(8*cap(v.pairs)-v.held, 0)
	v.made, v.held = 0, max(v.held, 8*cap(v.pairs))
	return w.charge(n)
}

// reach extends the slices to a bucket.
func (v *visitors) reach(bucket int32) {
	for int(bucket) >= len(v.state) {
		v.planes, v.lone, v.state = append(v.planes, nil), append(v.lone, nil), append(v.state, noVisitors)
	}
}

// add adds the selected rows (nil: all) of a block that are in one bucket.
func (v *visitors) add(b *query.Block, selected []uint64, bucket int32) {
	if bucket >= maxPlanes {
		eachRow(b, selected, func(i int) { v.pairs = append(v.pairs, uint64(bucket)<<16|uint64(b.Pos[i])) })
		return
	}
	v.reach(bucket)
	if selected == nil && b.Sorted && v.state[bucket] == noVisitors {
		v.lone[bucket], v.state[bucket] = b, loneBlock
		v.dirty = append(v.dirty, bucket)
		return
	}
	plane := v.plane(bucket)
	if selected == nil {
		setAll(plane, b)
		return
	}
	pos := b.Pos[:b.Rows]
	for w, x := range selected {
		for ; x != 0; x &= x - 1 {
			p := pos[w<<6|bits.TrailingZeros64(x)]
			plane[p>>6] |= 1 << (p & 63)
		}
	}
}

func setAll(plane *query.Bits, b *query.Block) {
	for _, p := range b.Pos[:b.Rows] {
		plane[p>>6] |= 1 << (p & 63)
	}
}

// addRows adds the selected rows of a block, given the bucket of each row as found by the bucketer.
func (v *visitors) addRows(b *query.Block, selected []uint64, k *bucketer, buckets []int32) {
	if len(k.starts) > maxPlanes || !k.hasTable {
		eachRow(b, selected, func(i int) {
			if n := buckets[i]; n < maxPlanes {
				v.plane(n).Set(b.Pos[i])
			} else {
				v.pairs = append(v.pairs, uint64(n)<<16|uint64(b.Pos[i]))
			}
		})
		return
	}
	for _, l := range k.local {
		v.plane(l.number)
	}
	planes, pos := v.planes, b.Pos[:b.Rows]
	buckets = buckets[:len(pos)]
	if selected == nil {
		for i, p := range pos {
			planes[buckets[i]][p>>6] |= 1 << (p & 63)
		}
		return
	}
	for w, x := range selected {
		for ; x != 0; x &= x - 1 {
			i := w<<6 | bits.TrailingZeros64(x)
			planes[buckets[i]].Set(pos[i])
		}
	}
}

// each calls fn with every bucket that has rows, and its profiles: as a set, or as a block sorted by
// position all of whose rows count. Then it forgets them.
func (v *visitors) each(fn func(bucket int32, among *query.Bits, lone *query.Block)) {
	for _, n := range v.dirty {
		if v.state[n] == loneBlock {
			fn(n, nil, v.lone[n])
		} else {
			fn(n, v.planes[n], nil)
			*v.planes[n] = query.Bits{}
		}
		v.lone[n], v.state[n] = nil, noVisitors
	}
	v.dirty = v.dirty[:0]
	slices.Sort(v.pairs)
	for from := 0; from < len(v.pairs); {
		var among query.Bits
		bucket := v.pairs[from] >> 16
		for ; from < len(v.pairs) && v.pairs[from]>>16 == bucket; from++ {
			among.Set(uint16(v.pairs[from]))
		}
		fn(int32(bucket), &among, nil)
	}
	v.pairs = v.pairs[:0]
}

// reset forgets everything, even after a panic, and keeps some empty sets.
func (v *visitors) reset() {
	for _, n := range v.dirty {
		v.lone[n], v.state[n] = nil, noVisitors
		if v.planes[n] != nil {
			*v.planes[n] = query.Bits{}
		}
	}
	v.dirty, v.pairs, v.made, v.held = v.dirty[:0], nil, 0, 0
	if n := min(len(v.state), keptPlanes); n < len(v.state) {
		clear(v.planes[n:])
		v.planes, v.lone, v.state = v.planes[:n], v.lone[:n], v.state[:n]
	}
}

// differentPositions counts the distinct positions of a sorted block.
func differentPositions(pos []uint16) int {
	if len(pos) == 0 {
		return 0
	}
	return 1 + lanes.Steps(pos)
}

// differentMembers is differentPositions for members only.
func differentMembers(pos []uint16, members *query.Bits) int {
	if len(pos) == 0 {
		return 0
	}
	n, last := uint64(0), uint32(pos[0])^1
	for _, p := range pos {
		n += uint64(lanes.Differ(last, uint32(p))) & (members[p>>6] >> (p & 63))
		last = uint32(p)
	}
	return int(n)
}

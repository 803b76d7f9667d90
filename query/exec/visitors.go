package exec

import (
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/lanes"
)

// visitors are the different profiles of one chunk in each bucket: a set a bucket. The one leaf that a
// bucket often has is not made a set: its rows are in order of position.
type visitors struct {
	lone   []*query.Block // by number of the bucket: all of it, and the bucket has no set
	planes []*query.Bits  // by number; nil, or empty between chunks
	dirty  []int32        // numbers of the buckets with a block or a set
	state  []visited      // by number
	pairs  []uint64       // bucket << 16 | position, of the buckets beyond maxPlanes
	made   int            // sets made and not charged yet
	held   int            // bytes of pairs that were charged
}

type visited uint8

const (
	nobody visited = iota
	loneBlock
	inPlane
)

// maxPlanes bounds the sets of a worker to 32 MiB, keptPlanes those it keeps for the next statement to 1 MiB.
const (
	maxPlanes  = 4096
	keptPlanes = 128
)

// plane returns the set of a bucket below maxPlanes.
func (v *visitors) plane(bucket int32) *query.Bits {
	v.reach(bucket)
	if v.planes[bucket] == nil {
		v.planes[bucket] = new(query.Bits)
		v.made++
	}
	plane := v.planes[bucket]
	switch v.state[bucket] {
	case nobody:
		v.dirty = append(v.dirty, bucket)
	case loneBlock:
		setAll(plane, v.lone[bucket])
		v.lone[bucket] = nil
	}
	v.state[bucket] = inPlane
	return plane
}

// chargeSets charges the sets that were made.
func (w *worker) chargeSets() error {
	v := &w.visitors
	n := v.made*query.ChunkSize/8 + max(8*cap(v.pairs)-v.held, 0)
	v.made, v.held = 0, max(v.held, 8*cap(v.pairs))
	return w.charge(n)
}

// reach makes room for a bucket.
func (v *visitors) reach(bucket int32) {
	for int(bucket) >= len(v.state) {
		v.planes, v.lone, v.state = append(v.planes, nil), append(v.lone, nil), append(v.state, nobody)
	}
}

// add takes in the selected rows (nil: all) of a block that are in one bucket.
func (v *visitors) add(b *query.Block, selected []uint64, bucket int32) {
	if bucket >= maxPlanes {
		eachRow(b, selected, func(i int) { v.pairs = append(v.pairs, uint64(bucket)<<16|uint64(b.Pos[i])) })
		return
	}
	v.reach(bucket)
	if selected == nil && b.Sorted && v.state[bucket] == nobody {
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

// addRows takes in the selected rows of a block, each in its own bucket, all of which a bucketer found.
func (v *visitors) addRows(b *query.Block, selected []uint64, k *bucketer, buckets []int32) {
	if len(k.starts) > maxPlanes || !k.tabled {
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

// each calls fn with every bucket that has rows and its profiles: the set of them, or a block in order of
// position with all its rows. Then it forgets them.
func (v *visitors) each(fn func(bucket int32, among *query.Bits, lone *query.Block)) {
	for _, n := range v.dirty {
		if v.state[n] == loneBlock {
			fn(n, nil, v.lone[n])
		} else {
			fn(n, v.planes[n], nil)
			*v.planes[n] = query.Bits{}
		}
		v.lone[n], v.state[n] = nil, nobody
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

// reset forgets everything, also after a panic, but for some empty sets.
func (v *visitors) reset() {
	for _, n := range v.dirty {
		v.lone[n], v.state[n] = nil, nobody
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

// differentPositions counts the positions of a sorted block: one more than there are steps between
// neighbours.
func differentPositions(pos []uint16) int {
	if len(pos) == 0 {
		return 0
	}
	return 1 + lanes.Steps(pos)
}

// differentMembers is differentPositions of members only.
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

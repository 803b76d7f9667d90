package engine

import (
	"math/bits"
	"sort"

	"github.com/zeebo/xxh3"
)

const (
	dedupParts = 256
	// dedupSpan is the time after which a new generation begins, ms.
	dedupSpan = 600_000
	// dedupShare: a generation also ends when it has a 16th of the cap, so that reaching the cap
	// forgets no more than that in one step.
	dedupShare = 16
)

// dedup remembers the hashes of messageIds in order of arrival, divided into generations. A
// generation is forgotten as a whole: when all of it is older than the window, or when there are more
// hashes than the cap. Which generations count is part of the state; when their memory is freed is
// not.
type dedup struct {
	epoch uint64
	gens  []generation // the generations that count, oldest first
	first uint64       // number of gens[0]
	total int          // hashes in gens
	parts [dedupParts]dedupPart
}

// generation is a span of time with the number of hashes that arrived in it.
type generation struct {
	start int64 // Unix ms
	n     int
}

// dedupPart is 1/256 of the hash space: hashes in order of arrival, and where each generation begins.
type dedupPart struct {
	hashes []uint64   // append-only
	starts []genStart // append-only
}

type genStart struct {
	gen uint64
	at  int // index in hashes
}

// dedupIndex finds hashes in one part. It is derived, and only the writer uses it. A used slot has an
// index in hashes, plus 1, in its low atBits and low bits of the hash above them, so that most other
// hashes are excluded without reading them.
type dedupIndex struct {
	slots  []uint32
	used   int
	atBits uint8
}

func (d *dedup) own(e *epochs) *dedup {
	if !e.isFrozen(d.epoch) {
		return d
	}
	copied := *d
	copied.epoch = e.current
	copied.gens = append([]generation(nil), d.gens...)
	return &copied
}

func (s *Shard) messageHash(id string) uint64 { return xxh3.HashStringSeed(id, s.config.Key) }

// seenMessage reports whether a messageId with the hash was applied within the window.
func (s *Shard) seenMessage(hash uint64) bool {
	x := &s.dedupIndex[hash>>56]
	if x.used == 0 {
		return false
	}
	part := &s.root.dedup.parts[hash>>56]
	tag := uint32(hash) >> x.atBits
	for i := x.start(hash); x.slots[i] != 0; {
		if slot := x.slots[i]; slot>>x.atBits == tag {
			at := int(slot&(1<<x.atBits-1)) - 1
			if part.hashes[at] == hash && part.genOf(at) >= s.root.dedup.first {
				return true
			}
		}
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	return false
}

// genOf returns the generation of the hash at an index.
func (p *dedupPart) genOf(at int) uint64 {
	i := sort.Search(len(p.starts), func(i int) bool { return p.starts[i].at > at })
	return p.starts[i-1].gen
}

// rememberMessage adds a hash that seenMessage does not know. REQUIRES: the root is owned.
func (s *Shard) rememberMessage(hash uint64) {
	d := s.root.dedup.own(&s.epochs)
	s.root.dedup = d
	if n := len(d.gens); n == 0 || s.root.time-d.gens[n-1].start >= dedupSpan || d.gens[n-1].n >= max(s.config.DedupCap/dedupShare, 1) {
		d.gens = append(d.gens, generation{start: s.root.time})
	}
	d.gens[len(d.gens)-1].n++
	d.total++
	gen := d.first + uint64(len(d.gens)-1)
	s.forgetMessages()
	part := &d.parts[hash>>56]
	if len(part.starts) > 0 && part.starts[0].gen < d.first {
		s.trimPart(d, int(hash>>56))
	}
	if n := len(part.starts); n == 0 || part.starts[n-1].gen != gen {
		part.starts = append(part.starts, genStart{gen, len(part.hashes)})
	}
	part.hashes = append(part.hashes, hash)
	s.dedupIndex[hash>>56].put(part.hashes)
}

// forgetMessages drops the generations that no longer count. REQUIRES: the root is owned.
func (s *Shard) forgetMessages() {
	d := s.root.dedup
	for len(d.gens) > 0 && s.forgets(d) {
		d = d.own(&s.epochs)
		s.root.dedup = d
		d.total -= d.gens[0].n
		d.gens = d.gens[1:]
		d.first++
	}
}

// forgets reports whether the oldest generation no longer counts: all of it is older than the window
// (it took no hashes after its span), or there are too many hashes and it is not the generation that
// still grows.
func (s *Shard) forgets(d *dedup) bool {
	return d.gens[0].start+dedupSpan <= s.root.time-s.config.DedupWindow || d.total > s.config.DedupCap && len(d.gens) > 1
}

// trimPart frees the memory of forgotten generations once they are an eighth of the part.
func (s *Shard) trimPart(d *dedup, i int) {
	part := &d.parts[i]
	kept := sort.Search(len(part.starts), func(i int) bool { return part.starts[i].gen >= d.first })
	drop := len(part.hashes)
	if kept < len(part.starts) {
		drop = part.starts[kept].at
	}
	if drop*8 < len(part.hashes) {
		return
	}
	part.hashes = append(make([]uint64, 0, len(part.hashes)-drop+64), part.hashes[drop:]...)
	starts := append([]genStart(nil), part.starts[kept:]...)
	for i := range starts {
		starts[i].at -= drop
	}
	part.starts = starts
	s.dedupIndex[i].rebuild(part.hashes)
}

func (x *dedupIndex) start(hash uint64) int {
	hi, _ := bits.Mul64(hash<<8, uint64(len(x.slots)))
	return int(hi)
}

// put inserts the last of hashes.
func (x *dedupIndex) put(hashes []uint64) {
	if (x.used+1)*4 > len(x.slots)*3 {
		x.rebuild(hashes)
		return
	}
	at := len(hashes) - 1
	i := x.start(hashes[at])
	for x.slots[i] != 0 {
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	x.slots[i] = uint32(at+1) | uint32(hashes[at])>>x.atBits<<x.atBits
	x.used++
}

// rebuild inserts all hashes into new memory with space for a quarter more.
func (x *dedupIndex) rebuild(hashes []uint64) {
	x.slots = make([]uint32, len(hashes)*5/3+16)
	x.used, x.atBits = 0, uint8(bits.Len(uint(len(x.slots))))
	for n := range hashes {
		x.put(hashes[:n+1])
	}
}

func (d *dedup) memory() (bytes int64) {
	for i := range d.parts {
		bytes += int64(8*cap(d.parts[i].hashes) + 16*cap(d.parts[i].starts))
	}
	return bytes
}

func (s *Shard) dedupIndexMemory() (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.dedupIndex {
		bytes += int64(4 * cap(s.dedupIndex[i].slots))
	}
	return bytes
}

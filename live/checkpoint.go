package live

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/wire"
)

// checkpoints are stored memberships of a shard. With them, the membership at an instant is found by
// undoing the changes of about a day instead of all since. They only save time: what is not in a checkpoint
// is read from the log.
//
// In the store, a checkpoint is under the seq of the log at which it began: place 0 records the time, and
// the parts of a segment's membership are at places derived from the hash of its name.
type checkpoints struct {
	store Store
	all   []checkpoint // ascending; guarded by the shard log's mu
}

type checkpoint struct {
	seq   uint64
	at    int64 // not later than any membership in it
	bytes int64
}

const (
	maxCheckpoints = 32
	partBytes      = 512 << 10
	partBits       = 16 // low bits of a place: the number of the part
)

// The formats of checkpoints: a membership is stored as lists and words by chunk, or as a roaring bitmap.
const (
	checkpointOfChunks = 1 // read, no longer written
	checkpointFormat   = 2
)

func placeOf(segment string) int { return int(xxh3.HashString(segment)>>24|1) << partBits }

// openCheckpoints finds the completed checkpoints of this incarnation.
func (s *shardLog) openCheckpoints(store Store) error {
	s.points.store = store
	found := map[uint64]checkpoint{}
	err := store.Blocks(func(seq uint64, n, size int) error {
		c := found[seq]
		c.seq, c.bytes = seq, c.bytes+int64(size)
		found[seq] = c
		return nil
	})
	if err != nil {
		return err
	}
	for _, seq := range slices.Sorted(maps.Keys(found)) {
		data, err := store.Read(seq, 0)
		if err != nil {
			return err
		}
		r := wire.NewReader(data)
		c := found[seq]
		format, incarnation := r.Byte(), r.Uvarint()
		c.at = r.Varint()
		if r.Done() == nil && (format == checkpointFormat || format == checkpointOfChunks) && incarnation == s.incarnation {
			s.points.all = append(s.points.all, c)
		}
	}
	return nil
}

// checkpointDue reports whether it is time for a checkpoint, and the seq of the log.
func (s *shardLog) checkpointDue(now int64) (seq uint64, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.points.store == nil || s.mu.changed == 0 {
		return 0, false
	}
	last := int64(0)
	if n := len(s.points.all); n > 0 {
		last = s.points.all[n-1].at
		if s.mu.head <= s.points.all[n-1].seq {
			return 0, false
		}
	}
	return s.mu.head, s.mu.fresh >= s.log.cfg.CheckpointBytes || now-last >= s.log.cfg.CheckpointEvery.Milliseconds()
}

// checkpoint stores the memberships of the segments that have changed since the last checkpoint.
func (s *shardLog) checkpoint(ctx context.Context, seq uint64) error {
	s.mu.Lock()
	changed := s.changedLocked()
	s.mu.Unlock()
	c := checkpoint{seq: seq}
	err := s.writeCheckpoint(ctx, &c, changed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for _, name := range changed { // the next checkpoint must have them
			s.changeLocked(s.segmentLocked(name))
		}
		return fmt.Errorf("keep a checkpoint at entry %d: %w", seq, err)
	}
	s.points.all = append(s.points.all, c)
	return nil
}

func (s *shardLog) writeCheckpoint(ctx context.Context, c *checkpoint, segments []string) error {
	for _, name := range segments {
		m, err := s.log.cfg.Source.SegmentMembers(ctx, s.number, name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue // it no longer exists
		}
		if c.at == 0 {
			c.at = m.At
		}
		place := placeOf(name)
		parts := encodeMembership(m, name)
		for i, part := range slices.Backward(parts) { // the first part last: it is valid only with the others
			if err := s.points.store.Write(c.seq, place+i, part); err != nil {
				return err
			}
			c.bytes += int64(len(part))
		}
	}
	if c.at == 0 {
		c.at = s.log.cfg.Now().UnixMilli()
	}
	head := binary.AppendVarint(binary.AppendUvarint([]byte{checkpointFormat}, s.incarnation), c.at)
	return s.points.store.Write(c.seq, 0, head)
}

// dropCheckpoints drops checkpoints that are no longer useful, and the oldest ones if there are too many.
func (s *shardLog) dropCheckpoints() error {
	s.mu.Lock()
	share := s.log.cfg.DiskBytes / int64(4*len(s.log.shards))
	bytes := int64(0)
	for _, c := range s.points.all {
		bytes += c.bytes
	}
	drop := 0
	for ; drop < len(s.points.all); drop++ {
		c := s.points.all[drop]
		if c.at > s.mu.dropped && len(s.points.all)-drop <= maxCheckpoints && bytes <= share {
			break
		}
		bytes -= c.bytes
	}
	if drop == 0 {
		s.mu.Unlock()
		return nil
	}
	last := s.points.all[drop-1].seq
	s.points.all = slices.Clone(s.points.all[drop:])
	s.mu.Unlock()
	return s.points.store.Drop(last+1, 0)
}

// checkpointAfter returns the first stored membership of a segment after an instant, nil if there is none.
func (s *shardLog) checkpointAfter(segment string, at int64) (*node.Membership, error) {
	s.mu.Lock()
	all := slices.Clone(s.points.all)
	s.mu.Unlock()
	for _, c := range all {
		if c.at <= at {
			continue
		}
		m, err := s.readMembers(c.seq, segment)
		if m != nil || err != nil {
			return m, err
		}
	}
	return nil, nil
}

func (s *shardLog) readMembers(seq uint64, segment string) (*node.Membership, error) {
	place := placeOf(segment)
	data, err := s.points.store.Read(seq, place)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	p, err := readPart(data)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %d: %w", seq, err)
	}
	if p.name != segment { // another name with the same hash
		return nil, nil
	}
	body := p.body
	for i := 1; i < p.parts; i++ {
		data, err := s.points.store.Read(seq, place+i)
		if err != nil || len(data) == 0 { // dropped meanwhile
			return nil, err
		}
		next, err := readPart(data)
		if err != nil {
			return nil, fmt.Errorf("read checkpoint %d: %w", seq, err)
		}
		body = append(body, next.body...)
	}
	m := &node.Membership{Seq: p.seq, At: p.at}
	if m.Ordinals, err = p.ordinals(body); err != nil {
		return nil, fmt.Errorf("read checkpoint %d: %w", seq, err)
	}
	return m, nil
}

// encodeMembership returns the membership as parts of at most partBytes each, after a head: name, number of
// parts, seq and time. The bodies of all parts together are one set.
func encodeMembership(m *node.Membership, name string) [][]byte {
	body := wire.AppendSet(nil, m.Ordinals)
	parts := make([][]byte, (len(body)+partBytes-1)/partBytes)
	for i := range parts {
		head := wire.AppendString([]byte{checkpointFormat}, name)
		head = binary.AppendUvarint(head, uint64(len(parts)))
		head = binary.AppendVarint(binary.AppendUvarint(head, m.Seq), m.At)
		parts[i] = append(head, body[i*partBytes:min((i+1)*partBytes, len(body))]...)
	}
	return parts
}

// part is one part of a stored membership.
type part struct {
	format byte
	name   string
	parts  int
	seq    uint64
	at     int64
	body   []byte // aliases the data read, with no spare capacity
}

func readPart(data []byte) (p part, err error) {
	r := wire.NewReader(data)
	if p.format = r.Byte(); p.format != checkpointFormat && p.format != checkpointOfChunks {
		r.Fail("format of a checkpoint")
	}
	p.name, p.parts = r.String(), int(r.Uint32())
	p.seq, p.at = r.Uvarint(), r.Varint()
	p.body = r.Take(r.Len())
	return p, r.Err()
}

// ordinals decodes the concatenated bodies of all parts.
func (p *part) ordinals(body []byte) (s *roaring.Bitmap, err error) {
	r := wire.NewReader(body)
	if p.format == checkpointFormat {
		s = r.Set()
		return s, r.Done()
	}
	s = roaring.New()
	for r.Err() == nil && r.Len() > 0 {
		chunkOrdinals(r, s)
	}
	return s, r.Err()
}

// chunkOrdinals adds a chunk of the first format: its number, its number of ordinals and, below 2,048 of
// them, each ordinal as the difference to the previous one, else 1,024 words.
func chunkOrdinals(r *wire.Reader, s *roaring.Bitmap) {
	const words, sparse = 1024, 2048
	chunk, n := r.Uint32(), r.Uvarint()
	if chunk >= 1<<16 || n == 0 || n > words*64 {
		r.Fail("chunk of a checkpoint")
		return
	}
	ordinals := make([]uint32, 0, n)
	if n < sparse {
		for at := uint64(0); n > 0 && r.Err() == nil; n-- {
			if at += r.Uvarint(); at >= words*64 {
				r.Fail("position of a checkpoint")
			}
			ordinals = append(ordinals, chunk<<16|uint32(at))
		}
	} else {
		for i := range uint32(words) {
			for w := r.Fixed64(); w != 0; w &= w - 1 {
				ordinals = append(ordinals, chunk<<16|i<<6|uint32(bits.TrailingZeros64(w)))
			}
		}
	}
	s.AddMany(ordinals)
}

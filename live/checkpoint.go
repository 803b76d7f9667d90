package live

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/wire"
)

// checkpoints are memberships of a shard that were kept, so that the membership of an instant is found by
// taking back a day's changes and not all since. They speed up; what they lack is read from the log.
//
// In their store a checkpoint is under the entry the log stood at: place 0 says when it was begun, and a
// segment's membership lies in parts behind a place made of the hash of its name.
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
	maxCheckpoints   = 32
	checkpointFormat = 1
	partBytes        = 512 << 10
	partBits         = 16 // of a place: the number of the part
)

func placeOf(segment string) int { return int(xxh3.HashString(segment)>>24|1) << partBits }

// openCheckpoints finds those that were completed, of this incarnation.
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
		if r.Done() == nil && format == checkpointFormat && incarnation == s.incarnation {
			s.points.all = append(s.points.all, c)
		}
	}
	return nil
}

// checkpointDue tells whether it is time for a checkpoint, and where the log stands.
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

// checkpoint keeps the memberships of the segments that have changed since the last one.
func (s *shardLog) checkpoint(ctx context.Context, seq uint64) error {
	s.mu.Lock()
	changed := s.changedLocked()
	s.mu.Unlock()
	c := checkpoint{seq: seq}
	err := s.writeCheckpoint(ctx, &c, changed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for _, name := range changed { // they are to be in the next one
			s.changeLocked(s.knownLocked(name))
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
			continue // it is no more
		}
		if c.at == 0 {
			c.at = m.At
		}
		place := placeOf(name)
		parts := encodeMembership(m, name)
		for i, part := range slices.Backward(parts) { // the first one counts only with the others there
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

// dropCheckpoints drops those that nobody can need and the oldest of too many.
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

// checkpointBehind returns the first kept membership of a segment behind an instant; nil if there is none.
func (s *shardLog) checkpointBehind(segment string, at int64) (*node.Membership, error) {
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
	m := &node.Membership{}
	name, parts, err := decodeMembership(m, data)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %d: %w", seq, err)
	}
	if name != segment { // of the same hash
		return nil, nil
	}
	for i := 1; i < parts; i++ {
		data, err := s.points.store.Read(seq, place+i)
		if err != nil || len(data) == 0 { // dropped meanwhile
			return nil, err
		}
		if _, _, err := decodeMembership(m, data); err != nil {
			return nil, fmt.Errorf("read checkpoint %d: %w", seq, err)
		}
	}
	return m, nil
}

// sparse is the number of members below which a chunk is kept as a list.
const sparse = 2048

// encode returns the membership as parts of about partBytes. Each holds the name, how many parts there
// are, seq and time, and chunks: their number, and a list of positions or all words.
func encodeMembership(m *node.Membership, name string) [][]byte {
	var bodies [][]byte
	var body []byte
	for chunk, words := range m.Chunks {
		n := 0
		for _, w := range words {
			n += bits.OnesCount64(w)
		}
		if n == 0 {
			continue
		}
		body = binary.AppendUvarint(binary.AppendUvarint(body, uint64(chunk)), uint64(n))
		last := 0
		for i, w := range words {
			if n >= sparse {
				body = binary.LittleEndian.AppendUint64(body, w)
				continue
			}
			for ; w != 0; w &= w - 1 {
				at := i<<6 | bits.TrailingZeros64(w)
				body = binary.AppendUvarint(body, uint64(at-last))
				last = at
			}
		}
		if len(body) >= partBytes {
			bodies, body = append(bodies, body), nil
		}
	}
	bodies = append(bodies, body)
	parts := make([][]byte, len(bodies))
	for i, body := range bodies {
		head := wire.AppendString([]byte{checkpointFormat}, name)
		head = binary.AppendUvarint(head, uint64(len(bodies)))
		head = binary.AppendVarint(binary.AppendUvarint(head, m.Seq), m.At)
		parts[i] = append(head, body...)
	}
	return parts
}

// decode adds a part.
func decodeMembership(m *node.Membership, data []byte) (name string, parts int, err error) {
	r := wire.NewReader(data)
	if r.Byte() != checkpointFormat {
		r.Fail("format of a checkpoint")
	}
	name, parts = r.String(), int(r.Uint32())
	m.Seq, m.At = r.Uvarint(), r.Varint()
	for r.Err() == nil && r.Len() > 0 {
		chunk, n := r.Uint32(), r.Uvarint()
		if chunk >= 1<<16 || n == 0 || n > chunkWords*64 {
			r.Fail("chunk of a checkpoint")
			break
		}
		words := wordsAt(&m.Chunks, int(chunk))
		if n >= sparse {
			if data := r.Take(8 * chunkWords); data != nil {
				for i := range words {
					words[i] = binary.LittleEndian.Uint64(data[8*i:])
				}
			}
			continue
		}
		at := uint64(0)
		for range n {
			if at += r.Uvarint(); at >= chunkWords*64 || r.Err() != nil {
				r.Fail("position of a checkpoint")
				break
			}
			words[at>>6] |= 1 << (at & 63)
		}
	}
	return name, parts, r.Err()
}

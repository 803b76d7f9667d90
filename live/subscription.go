package live

import (
	"context"
	"slices"
	"time"

	"github.com/musterdb/muster/internal/node"
)

// From is where a subscription begins.
type From uint8

// The values of From.
const (
	FromNow      From = iota // changes from now on
	FromSnapshot             // the members, then changes from then on
	FromCursor               // changes since a cursor
	FromAcked                // changes since the consumer's acknowledged cursor; a snapshot if there is none
)

// Request describes a subscription.
type Request struct {
	Segment  string
	From     From
	Cursor   string // for FromCursor
	Consumer string // for FromAcked
}

// Subscription reads one segment. It is used by one goroutine and needs no closing.
type Subscription struct {
	log       *Log
	segment   string
	cursor    *Cursor
	readers   []*reader
	members   *memberPages // nil unless a snapshot is being sent
	nextShard int          // the shard to read first
	items     []Item
	ids       []string
}

// Batch is the next part of a subscription: members of a snapshot, changes, or neither. An empty batch
// means that the cursor has moved over changes of other segments. It is valid until the next call of Next.
type Batch struct {
	Snapshot bool     // Members is a page of a snapshot
	Members  []string // canonical ids
	More     bool     // further pages follow
	Items    []Item
	Start    *Cursor // before the first of Items
	Cursor   *Cursor // after the batch
}

// Subscribe starts a subscription. Errors are ErrCursor, those for which IsResync is true, and those of the
// Source.
func (l *Log) Subscribe(ctx context.Context, q Request) (*Subscription, error) {
	s := &Subscription{log: l, segment: q.Segment}
	text := q.Cursor
	if q.From == FromAcked {
		consumer, ok := l.consumers.Get(q.Consumer)
		if text = consumer.Cursor; !ok || consumer.Segment != q.Segment {
			q.From = FromSnapshot
		}
	}
	first := 0
	switch q.From {
	case FromNow, FromSnapshot:
		s.cursor = l.Now()
		s.cursor.paging.active = q.From == FromSnapshot
	default:
		var err error
		if s.cursor, err = ParseCursor(text); err != nil {
			return nil, err
		}
		if err := l.checkOwner(s.cursor); err != nil {
			return nil, err
		}
		first = s.cursor.paging.shard
	}
	if s.cursor.paging.active {
		if err := s.snapshot(ctx, first, q.From == FromSnapshot); err != nil {
			return nil, err
		}
	}
	for i, pos := range s.cursor.shards {
		s.readers = append(s.readers, &reader{shard: l.shards[i], segment: q.Segment, pos: pos})
	}
	if q.From == FromCursor || q.From == FromAcked {
		for _, r := range s.readers {
			if err := r.check(); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// Now returns the cursor at the end of the log.
func (l *Log) Now() *Cursor {
	c := &Cursor{cluster: l.cluster, incarnations: l.incarnations, shards: make([]Position, len(l.shards))}
	for i, s := range l.shards {
		s.mu.Lock()
		c.shards[i] = after(s.mu.head)
		s.mu.Unlock()
	}
	return c
}

// checkOwner returns an error if a cursor is not from this log.
func (l *Log) checkOwner(c *Cursor) error {
	switch {
	case c.cluster != l.cluster:
		return resync(ReasonCluster)
	case !slices.Equal(c.incarnations, l.incarnations):
		return resync(ReasonIncarnation)
	}
	return nil
}

// snapshot copies the memberships of the shards from first on. If fresh, changes will be read from the seqs
// of these copies. A continued snapshot keeps the positions it began with, so changes made meanwhile are
// delivered again.
func (s *Subscription) snapshot(ctx context.Context, first int, fresh bool) error {
	s.members = &memberPages{next: s.cursor.paging.next}
	for shard := range s.log.shards {
		if shard < first {
			s.members.shards = append(s.members.shards, nil)
			continue
		}
		m, err := s.log.cfg.Source.SegmentMembers(ctx, shard, s.segment)
		if err != nil {
			return err
		}
		s.members.shards = append(s.members.shards, m)
		if err := s.log.shards[shard].await(ctx, m.Seq); err != nil {
			return err
		}
		if fresh {
			s.cursor.shards[shard] = after(m.Seq)
		}
	}
	s.members.shard = first
	return nil
}

// Cursor returns a copy of the current cursor.
func (s *Subscription) Cursor() *Cursor { return s.cursor.Clone() }

// Next returns up to limit profiles. If there are none, it waits for at most idle (not at all if that is
// 0), and then returns an empty batch, whose cursor may have moved. Errors are ErrClosed, those for which
// IsResync is true, and those of ctx.
func (s *Subscription) Next(ctx context.Context, limit int, idle time.Duration) (Batch, error) {
	if s.members != nil {
		return s.page(ctx, limit)
	}
	var timer *time.Timer
	for {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		wake := s.log.waiters.watch(s.segment) // before reading, or a change in between would be missed
		batch, err := s.read(limit)
		if err != nil || len(batch.Items) > 0 || idle <= 0 {
			return batch, err
		}
		if timer == nil {
			timer = time.NewTimer(idle)
			defer timer.Stop()
		}
		select {
		case <-wake:
		case <-timer.C:
			return s.read(limit)
		case <-s.log.stopped.Done():
			return Batch{}, ErrClosed
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		}
	}
}

// shareFloor is the least number of items taken from a shard before the next, since switching has a cost.
const shareFloor = 16

// read reads all shards in turn, so that none delays the others.
func (s *Subscription) read(limit int) (Batch, error) {
	batch := Batch{Start: s.cursor.Clone()}
	s.items = s.items[:0]
	share := max(shareFloor, (limit+len(s.readers)-1)/len(s.readers))
	var err error
	for more := true; more && len(s.items) < limit; {
		more = false
		for i := range s.readers {
			r := s.readers[(s.nextShard+i)%len(s.readers)]
			before := len(s.items)
			if s.items, err = r.read(min(share, limit-before), s.items); err != nil {
				return Batch{}, err
			}
			more = more || len(s.items) > before
		}
		s.nextShard = (s.nextShard + 1) % len(s.readers)
	}
	for i, r := range s.readers {
		s.cursor.shards[i] = r.pos
	}
	batch.Items, batch.Cursor = s.items, s.cursor.Clone()
	return batch, nil
}

// memberPages is the rest of a snapshot that is being sent.
type memberPages struct {
	shards []*node.Membership
	shard  int
	next   uint32
}

// page returns the next page of the snapshot. A member without an id, whose profile was removed, is left
// out: its exit follows.
func (s *Subscription) page(ctx context.Context, limit int) (Batch, error) {
	batch := Batch{Snapshot: true, More: true, Start: s.cursor.Clone()}
	m := s.members
	s.ids = s.ids[:0]
	for len(s.ids) < limit && m.shard < len(m.shards) {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		ordinals := membersFrom(m.shards[m.shard], m.next, limit-len(s.ids))
		if len(ordinals) == 0 {
			m.shards[m.shard] = nil
			m.shard, m.next = m.shard+1, 0
			continue
		}
		m.next = ordinals[len(ordinals)-1] + 1
		at := len(s.ids)
		s.ids = s.log.cfg.Source.IDs(m.shard, ordinals, s.ids)
		kept := s.ids[:at]
		for _, id := range s.ids[at:] {
			if id != "" {
				kept = append(kept, id)
			}
		}
		s.ids = kept
	}
	if m.shard == len(m.shards) {
		batch.More, s.members, s.cursor.paging = false, nil, paging{}
	} else {
		s.cursor.paging = paging{true, m.shard, m.next}
	}
	batch.Members, batch.Cursor = s.ids, s.cursor.Clone()
	return batch, nil
}

// membersFrom returns up to limit ordinals at or above next.
func membersFrom(m *node.Membership, next uint32, limit int) []uint32 {
	if m == nil {
		return nil
	}
	var found []uint32
	ordinals := m.Ordinals.Iterator()
	for ordinals.AdvanceIfNeeded(next); len(found) < limit && ordinals.HasNext(); {
		found = append(found, ordinals.Next())
	}
	return found
}

package live

import (
	"context"
	"slices"
	"time"

	"github.com/musterdb/muster/internal/node"
)

// From says where a subscription begins.
type From uint8

// The beginnings.
const (
	FromNow      From = iota // what happens from now on
	FromSnapshot             // the members, then what happens from then on
	FromCursor               // what happened since a cursor
	FromAcked                // since the consumer's acknowledged cursor; without one a snapshot
)

// Request asks for a subscription.
type Request struct {
	Segment  string
	From     From
	Cursor   string // for FromCursor
	Consumer string // for FromAcked
}

// Subscription follows one segment. It belongs to one goroutine and holds nothing that must be closed.
type Subscription struct {
	log     *Log
	segment string
	cursor  *Cursor
	readers []*reader
	members *memberPages // nil unless a snapshot is being sent
	turn    int          // the shard to begin with
	items   []Item
	ids     []string
}

// Batch is what a subscription says next: members of a snapshot, changes, or neither: then the cursor
// has moved over what concerns others. It is good until the next one.
type Batch struct {
	Snapshot bool     // Members is a page of a snapshot
	Members  []string // canonical ids
	More     bool     // further pages follow
	Items    []Item
	Start    *Cursor // before the first of Items
	Cursor   *Cursor // behind the batch
}

// Subscribe begins to follow a segment. Errors are ErrCursor, one that IsResync knows, and those of the Source.
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
		if err := l.owns(s.cursor); err != nil {
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

// Now returns the cursor behind everything there is.
func (l *Log) Now() *Cursor {
	c := &Cursor{cluster: l.cluster, incarnations: l.incarnations, shards: make([]Position, len(l.shards))}
	for i, s := range l.shards {
		s.mu.Lock()
		c.shards[i] = after(s.mu.head)
		s.mu.Unlock()
	}
	return c
}

// owns tells why a cursor is not one of this log, or nil.
func (l *Log) owns(c *Cursor) error {
	switch {
	case c.cluster != l.cluster:
		return resync(ReasonCluster)
	case !slices.Equal(c.incarnations, l.incarnations):
		return resync(ReasonIncarnation)
	}
	return nil
}

// snapshot copies the membership of the shards from first on. A fresh one also says from where on
// changes are told; one that is continued keeps the place it began with, so that what has changed
// meanwhile comes again.
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

// Cursor returns a copy of how far the subscription has got.
func (s *Subscription) Cursor() *Cursor { return s.cursor.Clone() }

// Next returns up to limit profiles. When there are none it waits until there are, at most for idle
// (not at all if that is 0), and then returns an empty batch whose cursor is further on. Errors are
// ErrClosed, one that IsResync knows, and ctx's.
func (s *Subscription) Next(ctx context.Context, limit int, idle time.Duration) (Batch, error) {
	if s.members != nil {
		return s.page(ctx, limit)
	}
	var timer *time.Timer
	for {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		wake := s.log.wakes.watch(s.segment) // before reading, or a change in between would not wake
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

// shareFloor is what a shard may tell at least before the next one: looking for more costs something.
const shareFloor = 16

// read takes what there is, of all shards in turn, so that none keeps the others waiting.
func (s *Subscription) read(limit int) (Batch, error) {
	batch := Batch{Start: s.cursor.Clone()}
	s.items = s.items[:0]
	share := max(shareFloor, (limit+len(s.readers)-1)/len(s.readers))
	var err error
	for more := true; more && len(s.items) < limit; {
		more = false
		for i := range s.readers {
			r := s.readers[(s.turn+i)%len(s.readers)]
			before := len(s.items)
			if s.items, err = r.read(min(share, limit-before), s.items); err != nil {
				return Batch{}, err
			}
			more = more || len(s.items) > before
		}
		s.turn = (s.turn + 1) % len(s.readers)
	}
	for i, r := range s.readers {
		s.cursor.shards[i] = r.pos
	}
	batch.Items, batch.Cursor = s.items, s.cursor.Clone()
	return batch, nil
}

// memberPages is what is left to send of a snapshot.
type memberPages struct {
	shards []*node.Membership
	shard  int
	next   uint32
}

// page returns the next page of the snapshot. Somebody who has no id any more is left out: their exit
// follows.
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

package live

import (
	"context"
	"errors"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/wire"
)

// Past returns the membership that a segment of a shard had at an instant. It takes now, the current
// membership, or the first checkpoint after the instant, and undoes the changes since the instant. The
// result is what was reported then, by the definition at that time. The error is a *node.UnknownPastError
// where it is not known.
func (l *Log) Past(ctx context.Context, shard int, segment string, at int64, now *node.Membership) (*node.Membership, error) {
	s := l.shards[shard]
	if err := s.await(ctx, now.Seq); err != nil {
		return nil, err
	}
	if at >= now.At {
		return now, nil
	}
	base, err := s.checkpointAfter(segment, at)
	if err != nil {
		return nil, err
	}
	if base == nil || base.Seq > now.Seq {
		base = now
	}
	u := undo{segment: segment, at: at, before: after(base.Seq), is: base.Ordinals.Clone(), seen: roaring.New()}
	err = s.eachBlock(ctx, at+1, Position{}, u.before, u.block)
	if since := s.since(); at < since { // checked after reading: blocks dropped meanwhile were not read
		return nil, &node.UnknownPastError{Since: since}
	}
	return &node.Membership{Seq: base.Seq, At: at, Ordinals: u.is}, err
}

// undo undoes changes. Blocks are read in order, so a profile's first change shows whether it was a member
// before all of them.
type undo struct {
	segment string
	at      int64
	before  Position
	is      *roaring.Bitmap
	seen    *roaring.Bitmap
	marked  bool
}

func (u *undo) block(data []byte) error {
	return piecesOf(data, u.segment, func(h *head) error {
		if h.at <= u.at || !(Position{h.seq, h.n}).less(u.before) {
			return nil
		}
		if h.cause == segmentBegins || h.cause == segmentEnds {
			if h.cause == segmentBegins && !u.marked {
				return &node.UnknownPastError{Since: h.at, Made: true}
			}
			u.marked = true
			return nil
		}
		if h.group.bulk {
			return u.undoBulk(h)
		}
		return h.each(func(enter bool, number int) { u.undo(enter, h.group.ordinal(number)) })
	})
}

// piecesOf calls fn with the pieces of a segment in a block, each valid until fn returns.
func piecesOf(data []byte, segment string, fn func(h *head) error) error {
	var h head
	code := -1
	sc := scanner{data: data}
	for {
		var ok bool
		var err error
		if h, ok, err = sc.next(); err != nil || !ok {
			return err
		}
		if h.name == segment && h.name != "" {
			code = h.code
		}
		if h.code != code {
			continue
		}
		if err := fn(&h); err != nil {
			return err
		}
	}
}

func (u *undo) undo(enter bool, ordinal uint32) {
	switch {
	case !u.seen.CheckedAdd(ordinal):
	case enter:
		u.is.Remove(ordinal)
	default:
		u.is.Add(ordinal)
	}
}

// undoBulk undoes the change of all profiles of a bulk.
func (u *undo) undoBulk(h *head) error {
	all, err := h.group.ordinals()
	if err != nil {
		return err
	}
	first := roaring.AndNot(all, u.seen)
	u.seen.Or(all)
	if h.enters > 0 {
		u.is.AndNot(first)
	} else {
		u.is.Or(first)
	}
	return nil
}

// Left returns the ids of the profiles of a shard in a set that have left a segment after an instant, up to
// an entry. A member at that instant that has been removed since has left, and the log has its id although
// the shard does not.
func (l *Log) Left(ctx context.Context, shard int, segment string, at int64, seq uint64, of *roaring.Bitmap) (ids []string, err error) {
	x := exitFinder{segment: segment, at: at, before: after(seq), open: of.Clone()}
	err = l.shards[shard].eachBlock(ctx, at+1, Position{}, x.before, x.block)
	return x.ids, err
}

// exitFinder finds the first exit of each profile of a set.
type exitFinder struct {
	segment string
	at      int64
	before  Position
	open    *roaring.Bitmap
	ids     []string
}

func (x *exitFinder) block(data []byte) error {
	return piecesOf(data, x.segment, func(h *head) error {
		if h.at <= x.at || h.exits == 0 || !(Position{h.seq, h.n}).less(x.before) {
			return nil
		}
		return x.piece(h)
	})
}

func (x *exitFinder) piece(h *head) error {
	damaged := false
	take := func(number int) {
		id, ok := h.group.id(number)
		damaged = damaged || !ok
		x.ids = append(x.ids, string([]byte(id)))
	}
	var err error
	if h.group.bulk {
		var all *roaring.Bitmap
		if all, err = h.group.ordinals(); err == nil {
			gone := roaring.And(all, x.open)
			x.open.AndNot(gone)
			for ordinal := range roaring.Values(gone) {
				take(int(all.Rank(ordinal)) - 1)
			}
		}
	} else {
		err = h.each(func(enter bool, number int) {
			if !enter && x.open.CheckedRemove(h.group.ordinal(number)) {
				take(number)
			}
		})
	}
	if err == nil && damaged {
		err = wire.ErrMalformed
	}
	return err
}

// eachBlock calls fn with the bytes of the blocks between two positions. Blocks known to end before since
// are skipped, and so are blocks that are dropped meanwhile.
func (s *shardLog) eachBlock(ctx context.Context, since int64, from, before Position, fn func(data []byte) error) error {
	s.mu.Lock()
	number := s.mu.base
	s.mu.Unlock()
	for ; ; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		number = max(number, s.mu.base)
		i := int(number - s.mu.base)
		if i >= len(s.mu.blocks) || !s.mu.blocks[i].first.less(before) {
			s.mu.Unlock()
			return nil
		}
		b := s.mu.blocks[i]
		data, old := b.data, b.latest != 0 && b.latest < since || !from.less(b.end)
		s.mu.Unlock()
		if old {
			continue
		}
		if data == nil {
			loaded, err := s.load(b)
			if errors.Is(err, errGone) {
				continue
			}
			if err != nil {
				return err
			}
			s.mu.Lock()
			b.latest = loaded.latest
			s.mu.Unlock()
			data = loaded.data
		}
		if err := fn(data); err != nil {
			return err
		}
	}
}

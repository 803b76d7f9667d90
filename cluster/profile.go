package cluster

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/query/wire"
)

// find returns the profile that a literal id belongs to: in the shard the id is placed in, or, for an
// anonymous id that has been joined to a user, in the user's shard.
func (v *views) find(id string) (shard int, ordinal uint32, ok bool) {
	first := place(id, len(v.all))
	if ordinal, ok := v.all[first].Find(id); ok {
		return first, ordinal, true
	}
	for i, view := range v.all {
		if ordinal, ok := view.Find(id); ok && i != first {
			return i, ordinal, true
		}
	}
	return 0, 0, false
}

// viewOf returns a view of the shard that has the profile a literal id belongs to, and the profile's
// ordinal. If ok is false there is no view to release. Usually the shard is the one the id is placed in;
// for an id that has been joined to another, or is about to be, all shards are searched.
func (n *Node) viewOf(id string) (view *engine.View, shard int, ordinal uint32, ok bool) {
	shard = place(id, len(n.shards))
	view = n.shards[shard].state.Load().View()
	if ordinal, ok = view.Find(id); ok && !view.Moves(ordinal) {
		return view, shard, ordinal, true
	}
	view.Release()
	v := n.takeViews()
	shard, ordinal, ok = v.find(id)
	for i, view := range v.all {
		if !ok || i != shard {
			view.Release()
		}
	}
	return v.all[shard], shard, ordinal, ok
}

// About returns the profile of a user id or an anonymous id, or node.ErrNoProfile.
func (n *Node) About(_ context.Context, id string) (*engine.About, error) {
	view, shard, _, ok := n.viewOf(id)
	if !ok {
		return nil, node.ErrNoProfile
	}
	defer view.Release()
	about, ok := view.About(id)
	if !ok {
		return nil, node.ErrNoProfile
	}
	about.Shard, about.Seq = shard, view.Seq()
	return about, nil
}

// source is one place with messages of a profile: those of a literal id in a shard.
type source struct {
	shard  int
	id     string
	before disk.Position
	ended  bool // there are no messages older than before
	queue  []engine.Received
}

// maxTimeline is the largest page of a timeline.
const maxTimeline = 1000

// Timeline returns the messages received for a profile, newest first, older than a position ("" for the
// newest); next is "" at the end. Messages stay with the literal id that received them, in the shard
// that took them: that of the id, or, if the id had been joined already, that of its owner.
func (n *Node) Timeline(ctx context.Context, id, before string, limit int) (messages []engine.Received, next string, err error) {
	about, err := n.About(ctx, id)
	if err != nil {
		return nil, "", err
	}
	sources := n.timelineSources(about)
	if err := n.awaitHistory(ctx, sources); err != nil {
		return nil, "", err
	}
	if err := decodePositions(sources, before); err != nil {
		return nil, "", err
	}
	if limit <= 0 || limit > maxTimeline {
		limit = maxTimeline
	}
	for len(messages) < limit {
		newest, err := n.newest(ctx, sources, limit)
		if err != nil {
			return nil, "", err
		}
		if newest == nil {
			return messages, "", nil
		}
		m := newest.queue[0]
		newest.queue = newest.queue[1:]
		newest.before = disk.Position{Seq: m.Seq, N: uint32(m.N)}
		messages = append(messages, m)
	}
	if last, err := n.newest(ctx, sources, 1); err != nil || last == nil {
		return messages, "", err
	}
	return messages, encodePositions(sources), nil
}

// historyWait is how long a reader waits for a history that lags because the disk fails or is slow.
const historyWait = 5 * time.Second

// awaitHistory waits until the histories have every acknowledged message.
func (n *Node) awaitHistory(ctx context.Context, sources []*source) error {
	limited, cancel := context.WithTimeout(ctx, historyWait)
	defer cancel()
	for i, s := range sources {
		if slices.ContainsFunc(sources[:i], func(before *source) bool { return before.shard == s.shard }) {
			continue
		}
		if err := n.shards[s.shard].historyWriter.await(limited); err != nil {
			if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				return &node.Error{Code: codes.HistoryIncomplete, Text: "the history is behind: the disk is slow or refuses writes", Retry: time.Second}
			}
			return err
		}
	}
	return nil
}

func (n *Node) timelineSources(about *engine.About) []*source {
	canonical := place(about.ID, len(n.shards))
	var all []*source
	for _, id := range append([]string{about.UserID}, about.AnonymousIDs...) {
		if id == "" {
			continue
		}
		own := place(id, len(n.shards))
		all = append(all, &source{shard: own, id: id})
		if own != canonical {
			all = append(all, &source{shard: canonical, id: id})
		}
	}
	return all
}

// newest returns the source whose next message was received last, or nil when all have ended.
func (n *Node) newest(ctx context.Context, sources []*source, limit int) (*source, error) {
	var best *source
	for _, s := range sources {
		if err := n.fill(ctx, s, limit); err != nil {
			return nil, err
		}
		if len(s.queue) == 0 {
			continue
		}
		if best == nil || later(&s.queue[0], &best.queue[0]) {
			best = s
		}
	}
	return best, nil
}

func later(a, b *engine.Received) bool {
	if c := cmp.Compare(a.ReceivedAt, b.ReceivedAt); c != 0 {
		return c > 0
	}
	if a.Shard != b.Shard {
		return a.Shard < b.Shard
	}
	return a.Seq > b.Seq || a.Seq == b.Seq && a.N > b.N
}

// fill reads the next messages of a source that has none queued. Keys are hashes: records of other ids
// with the same key are left out.
func (n *Node) fill(ctx context.Context, s *source, limit int) error {
	for from := s.before; len(s.queue) == 0 && !s.ended; {
		entries, err := n.shards[s.shard].historyWriter.store.Scan(ctx, historyKey(s.id), from, limit)
		if err != nil {
			return fmt.Errorf("read timeline in shard %d: %w", s.shard, err)
		}
		state := n.registry.state.Load()
		for _, e := range entries {
			in, err := readRecord(e.Data, state)
			if err != nil {
				return fmt.Errorf("read timeline in shard %d at %d: %w", s.shard, e.Seq, err)
			}
			if literalID(in.UserID, in.AnonymousID) == s.id {
				s.queue = append(s.queue, engine.Received{Incoming: in, Shard: s.shard, Seq: e.Seq, N: int(e.N)})
			}
			from = e.Position
		}
		s.ended = len(entries) < limit
	}
	return nil
}

// encodePositions encodes the position of every source.
func encodePositions(sources []*source) string {
	b := binary.AppendUvarint(nil, uint64(len(sources)))
	for _, s := range sources {
		b = binary.AppendUvarint(b, uint64(s.shard))
		b = wire.AppendString(b, s.id)
		b = binary.AppendUvarint(b, s.before.Seq)
		b = binary.AppendUvarint(b, uint64(s.before.N))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodePositions sets the sources to the positions of an encoded text. A source that it does not name
// starts at the newest message.
func decodePositions(sources []*source, before string) error {
	if before == "" {
		return nil
	}
	bad := refused(codes.BadRequest, "this is not a position in a timeline")
	data, err := base64.RawURLEncoding.DecodeString(before)
	if err != nil {
		return bad
	}
	r := wire.NewReader(data)
	for range r.Count(4) {
		shard, id := int(r.Uvarint()), r.String()
		at := disk.Position{Seq: r.Uvarint(), N: r.Uint32()}
		for _, s := range sources {
			if s.shard == shard && s.id == id {
				s.before = at
			}
		}
	}
	if r.Done() != nil {
		return bad
	}
	return nil
}

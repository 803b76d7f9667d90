package server

import (
	"context"
	"strconv"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/server/render"
)

// Live is the change log as the server uses it. *live.Log implements it.
type Live interface {
	Subscribe(ctx context.Context, q live.Request) (*live.Subscription, error)
	Consumers() *live.Consumers
	Stats(ctx context.Context, segment string, since, until, step int64) (*live.Stats, error)
}

// AttachLive sets the server's change log, once that is open.
func (s *Server) AttachLive(l Live) { s.changes.Store(&l) }

// live returns the change log, or an error while there is none.
func (s *Server) live() (Live, error) {
	if l := s.changes.Load(); l != nil {
		return *l, nil
	}
	return nil, busy(codes.NotReady, "the node has no change log yet", time.Second)
}

// feed reads the changes of a subscription in the form in which they are sent.
type feed struct {
	live     Live
	profiles Profiles
	sub      *live.Subscription
	segment  string
	fields   []string
	format   render.ChangeFormat
	changes  []render.Change
	ids      []string
	paging   bool                            // a snapshot is being sent
	known    func(ctx context.Context) error // for a dropped segment: an error unless it exists again; nil for others
}

// feedUpdate is the next update of a feed: a page of members, changes, or neither.
type feedUpdate struct {
	snapshot bool
	members  []member
	more     bool
	changes  []render.Change
	cursor   string // after all of it
}

type member struct {
	id     string
	person *node.Person
}

// openFeed begins to follow a segment. The segment must exist, as far as this node knows, unless the
// client continues from a cursor: then it gets the exits that came with a drop, and only after them the
// error that there is no such segment.
func (s *Server) openFeed(ctx context.Context, q live.Request, fields []string, format render.ChangeFormat) (*feed, error) {
	l, err := s.live()
	if err != nil {
		return nil, err
	}
	f := &feed{live: l, profiles: s.node().Profiles, segment: q.Segment, fields: fields, format: format}
	if err := s.knownSegment(ctx, q.Segment); err != nil {
		if q.From == live.FromNow || q.From == live.FromSnapshot {
			return nil, err
		}
		f.known = func(ctx context.Context) error { return s.knownSegment(ctx, q.Segment) }
	}
	if f.sub, err = l.Subscribe(ctx, q); err != nil {
		return nil, err
	}
	f.paging = f.sub.Cursor().Paging()
	return f, nil
}

// batch returns how many profiles are sent together if the client sets no limit.
func (f *feed) batch() int64 {
	if f.paging {
		return pageBatch
	}
	return streamBatch
}

// dropGrace is how long to wait for the exits of a segment that was dropped.
const dropGrace = time.Second

func (s *Server) knownSegment(ctx context.Context, name string) error {
	_, ok, err := s.node().Segments.Segment(ctx, name)
	if err == nil && !ok {
		err = problem(codes.NoSegment, "no segment is called "+strconv.Quote(name))
	}
	return err
}

// next returns an update with up to limit profiles; see live.Subscription.Next.
func (f *feed) next(ctx context.Context, limit int, idle time.Duration) (feedUpdate, error) {
	if f.known != nil {
		idle = min(idle, dropGrace)
	}
	b, err := f.sub.Next(ctx, limit, idle)
	if err != nil {
		return feedUpdate{}, err
	}
	if f.known != nil && !b.Snapshot && len(b.Items) == 0 {
		if err := f.known(ctx); err != nil {
			return feedUpdate{}, err
		}
		f.known = nil // it was created again
	}
	f.paging = b.Snapshot && b.More
	out := feedUpdate{snapshot: b.Snapshot, more: b.More, cursor: b.Cursor.String()}
	f.ids = f.ids[:0]
	f.ids = append(f.ids, b.Members...)
	for i := range b.Items {
		f.ids = append(f.ids, b.Items[i].Profile)
	}
	people, err := f.people(ctx)
	if err != nil {
		return feedUpdate{}, err
	}
	for i, id := range b.Members {
		out.members = append(out.members, member{id, people[i]})
	}
	f.changes = f.changes[:0]
	at := b.Start
	for i := range b.Items {
		item := &b.Items[i]
		at.Advance(item)
		f.changes = append(f.changes, render.Change{
			ID: render.ChangeID(item.Shard, item.Seq, item.N), Segment: f.segment, Profile: item.Profile, Enter: item.Enter,
			At: item.At, Cause: item.Cause.String(), Version: item.Version, Cursor: at.String(), Person: people[i],
		})
	}
	out.changes = f.changes
	return out, nil
}

// people returns the persons of f.ids; nils if no details are needed.
func (f *feed) people(ctx context.Context) ([]*node.Person, error) {
	if len(f.ids) == 0 || len(f.fields) == 0 && !f.format.NeedsPerson() {
		return make([]*node.Person, len(f.ids)), nil
	}
	return f.profiles.People(ctx, f.ids, f.fields)
}

package server

import (
	"context"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Node is what the server needs of a running node. What the asker is told of an error is that of a
// *node.Error; a *tree.Diagnostic is the asker's mistake; anything else is "internal" and goes to the log only. Every call ends when its ctx does.
type Node interface {
	// Begin queues messages behind those of every Begin that returned before. finish makes them durable and
	// applied, and must be called; until then what msgs refers to must not change. outcomes[i] belongs to
	// msgs[i]; on an error nothing is known of any of them and all may be sent again. mayName is asked, before
	// Begin returns, whether the sender may bring a name that the catalog lacks and has room for; nil lets it
	// bring any. What a message loses is in its outcome's Dropped.
	Begin(ctx context.Context, msgs []engine.Incoming, mayName func(catalog.Name) bool) (finish func() (outcomes []engine.Outcome, err error), err error)

	// Query runs one statement of any kind.
	Query(ctx context.Context, ask node.Ask) (*query.Answer, error)
	// Schema is the newest catalog this node knows.
	Schema() query.Schema
	// Names describes attributes, events or segments with what memory holds of them.
	Names(ctx context.Context, kind query.NameKind) ([]engine.NameInfo, error)

	// About finds a profile by a user id or an anonymous id; ErrNoProfile if there is none.
	About(ctx context.Context, id string) (*engine.About, error)
	// Timeline returns the messages received for a profile, newest first, below the position before
	// ("" from the newest); next is "" at the end.
	Timeline(ctx context.Context, id, before string, limit int) (messages []engine.Received, next string, err error)

	// PutSegment saves a segment from the text of its predicate; DropSegment removes one.
	PutSegment(ctx context.Context, segment node.SegmentText, replace, allowUnknown bool) ([]tree.Diagnostic, error)
	DropSegment(ctx context.Context, name string) error
	// Segments lists the saved segments in ascending order of name.
	Segments(ctx context.Context) ([]node.SegmentText, error)
	// Segment returns one of them; ok is false where there is none of the name.
	Segment(ctx context.Context, name string) (segment node.SegmentText, ok bool, err error)
	// Members calls fn with the canonical id of every member in storage order (shard, ordinal), after
	// the position `after` ("" from the start), until fn returns false or limit is reached (0: no limit).
	Members(ctx context.Context, predicate, after string, limit int, fn func(id, position string) bool) (query.Stats, error)
	// MemberOf tells whether a profile is in a segment.
	MemberOf(ctx context.Context, segment, id string) (bool, error)

	// ListEdit adds and removes ids of a static list, creating it if needed.
	ListEdit(ctx context.Context, list string, add, remove []string) error
	// DropList removes a static list that no segment asks.
	DropList(ctx context.Context, list string) error

	// Status tells how the node is.
	Status(ctx context.Context) node.Status
}

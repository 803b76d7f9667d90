package cluster

import (
	"context"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Changes receives the changes of membership that entries cause. Calls about one shard come from one
// goroutine at a time, in the order of the shard's log.
type Changes interface {
	// Append takes the changes of one entry, often none. It is called after the entry is applied and before
	// the result is reported to anyone. It must not wait. After a restart an entry may come again.
	Append(shard int, seq uint64, changes []engine.Change)
	// Mark says that a segment begins or ceases to exist at an instant (Unix ms), with the entry that is
	// appended next.
	Mark(shard int, at int64, segment string, begins bool)
	// Restored says that a shard's state was restored as of an entry and an instant. Earlier changes do not
	// come.
	Restored(shard int, seq uint64, at int64)
	// Past returns the membership of a segment as it was at an instant; now is the present one. If the past
	// is not known, the error is a *node.UnknownPastError. It may be called from any goroutine.
	Past(ctx context.Context, shard int, segment string, at int64, now *node.Membership) (*node.Membership, error)
	// Left returns the ids of those of some profiles, given by ordinal, that have left a segment after an
	// instant and up to an entry. It knows ids of profiles that no longer exist.
	Left(ctx context.Context, shard int, segment string, at int64, seq uint64, of *roaring.Bitmap) ([]string, error)
	// Sync makes the changes up to seq durable. The log may be cut at seq afterwards.
	Sync(shard int, seq uint64) error
	// Flush writes what is kept in the node's tables. It is called before the node closes, Close after.
	Flush() error
	Close() error
}

// openChanges opens the receiver of changes, after the shards are made and before their logs are read.
func (n *Node) openChanges() error {
	if n.config.Changes == nil {
		return nil
	}
	sink, err := n.config.Changes(n)
	if err != nil {
		return fmt.Errorf("open changes: %w", err)
	}
	n.changes = sink
	for _, s := range n.shards {
		s.sink = n.changes
	}
	return nil
}

// Cluster returns the id of the cluster.
func (n *Node) Cluster() string { return n.meta.Cluster }

// Shards returns the number of shards.
func (n *Node) Shards() int { return len(n.shards) }

// IDs appends the canonical ids of some ordinals of a shard, "" for an ordinal without a profile. Within
// Changes.Append it still knows the profiles that the entry removed.
func (n *Node) IDs(shard int, ordinals []uint32, ids []string) []string {
	if len(ordinals) == 0 {
		return ids
	}
	return n.shards[shard].state.Load().IDs(ordinals, ids)
}

// SegmentMembers copies the live membership of a segment in a shard.
func (n *Node) SegmentMembers(ctx context.Context, shard int, segment string) (*node.Membership, error) {
	view := n.shards[shard].state.Load().View()
	defer view.Release()
	members, ok := view.Members(segment)
	if !ok {
		return nil, noSegment(segment)
	}
	return &node.Membership{Seq: view.Seq(), At: view.Time(), Ordinals: members.Ordinals()}, ctx.Err()
}

// SegmentSizes returns how many members a segment has in each shard. A profile that is being joined to
// another is counted once.
func (n *Node) SegmentSizes(segment string) ([]node.SegmentSize, error) {
	v := n.takeViews()
	defer v.release()
	sizes := make([]node.SegmentSize, len(v.all))
	for shard, view := range v.all {
		members, ok := view.Members(segment)
		if !ok {
			return nil, noSegment(segment)
		}
		sizes[shard] = node.SegmentSize{Seq: view.Seq(), Members: members.Count}
		for _, ordinal := range view.Hidden() {
			if members.Has(ordinal) {
				sizes[shard].Members--
			}
		}
	}
	return sizes, nil
}

// People returns what is known now of each id, with the named attributes; nil for an id that no longer
// exists. An attribute that does not exist has no values.
func (n *Node) People(ctx context.Context, ids, names []string) ([]*node.Person, error) {
	v := n.takeViews()
	defer v.release()
	people := make([]*node.Person, len(ids))
	for i, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		shard, ordinal, ok := v.find(id)
		if !ok {
			continue
		}
		view := v.all[shard]
		p := &node.Person{Fields: []engine.NamedField{}}
		for _, ref := range view.Refs(ordinal) {
			switch {
			case ref.Anonymous:
				p.AnonymousIDs = append(p.AnonymousIDs, ref.ID)
			case p.UserID == "":
				p.UserID = ref.ID
			}
		}
		schema := view.Catalog().Schema()
		for _, name := range names {
			if value := attributeOf(schema, view, name, ordinal); !value.Missing() {
				p.Fields = append(p.Fields, engine.NamedField{Name: name, Value: value, Exact: true})
			}
		}
		people[i] = p
	}
	return people, nil
}

func attributeOf(schema query.Schema, view *engine.View, name string, ordinal uint32) tree.Value {
	id, _, ok := schema.Attribute(name)
	if !ok {
		return tree.Value{}
	}
	return view.AttributeValue(id, ordinal)
}

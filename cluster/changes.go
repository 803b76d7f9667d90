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

// Changes is who hears of the changes of membership that entries cause. The calls about one shard come
// from one goroutine at a time, in the order of its log.
type Changes interface {
	// Append takes the changes of one entry, often none. It comes after the entry is applied and before
	// anybody is told so; it must not wait. An entry may come again after a restart.
	Append(shard int, seq uint64, changes []engine.Change)
	// Mark says that at an instant (Unix ms) a segment begins or ends to be, in the entry that is appended
	// next.
	Mark(shard int, at int64, segment string, begins bool)
	// Restored says that a shard's state was restored as of seq and of an instant: the changes before it do
	// not come.
	Restored(shard int, seq uint64, at int64)
	// Past returns the membership of a segment as it was at an instant; now is the present one. The
	// error is a *node.UnknownPastError where that is not known. It may be called from any goroutine.
	Past(ctx context.Context, shard int, segment string, at int64, now *node.Membership) (*node.Membership, error)
	// Left returns the ids of those of some profiles, by ordinal, that have left a segment after an instant,
	// up to an entry. Profiles that are no more are known by it.
	Left(ctx context.Context, shard int, segment string, at int64, seq uint64, of *roaring.Bitmap) ([]string, error)
	// Sync makes the changes up to seq durable; after it the log may be cut there.
	Sync(shard int, seq uint64) error
	// Flush writes what is kept in the node's tables. It comes before the node closes, and Close after.
	Flush() error
	Close() error
}

// openChanges opens who hears of changes, once the shards are there and before their logs are read.
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

// Cluster is the id of the cluster; Shards the number of its shards.
func (n *Node) Cluster() string { return n.meta.Cluster }

// Shards is the number of shards.
func (n *Node) Shards() int { return len(n.shards) }

// IDs appends the canonical ids of ordinals of a shard, "" for one that names nobody. Within
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

// SegmentSizes returns how many members a segment has, by shard. Who joins another is counted once.
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

// People tells of each id what is known as of now, with the named attributes; nil for one that is gone.
// An attribute that does not exist has no values.
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

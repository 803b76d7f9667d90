package exec

import (
	"sync/atomic"

	"github.com/musterdb/muster/query"
)

// Shard is a source with its number, which is the same on every node. Partials identify a profile by
// shard number and ordinal.
type Shard struct {
	Number int
	query.Source
}

// Shards numbers sources by their index, for callers that have all of them.
func Shards(sources []query.Source) []Shard {
	shards := make([]Shard, len(sources))
	for i, src := range sources {
		shards[i] = Shard{i, src}
	}
	return shards
}

// feed hands out the chunks of some shards, one at a time, to the workers of a round. Chunks are counted
// through all shards.
type feed struct {
	shards  []Shard
	to      int          // end of the chunks to hand out
	next    atomic.Int64 // the next chunk
	stopped atomic.Bool  // no more chunks are handed out
}

// newFeed returns a feed of all chunks.
func newFeed(shards []Shard) *feed {
	f := &feed{shards: shards}
	for _, s := range shards {
		f.to += s.Chunks()
	}
	return f
}

// feedOf returns a feed of chunks [from, to).
func feedOf(shards []Shard, from, to int) *feed {
	f := &feed{shards: shards, to: to}
	f.next.Store(int64(from))
	return f
}

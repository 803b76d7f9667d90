package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/internal/node/disk"
)

// Source is the interface to the shards.
type Source interface {
	// SegmentSizes returns the number of members of a segment by shard, each as of one seq. Together they
	// count every member once.
	SegmentSizes(segment string) ([]node.SegmentSize, error)
	// IDs appends the canonical id of each ordinal of a shard to ids, "" for an ordinal without a profile.
	// During Append it still returns the ids of profiles that the entry removed.
	IDs(shard int, ordinals []uint32, ids []string) []string
	// SegmentMembers returns a copy of the membership of a segment in a shard as of one seq.
	SegmentMembers(ctx context.Context, shard int, segment string) (*node.Membership, error)
}

// Store stores the blocks of one shard on disk. One goroutine writes; any may read.
type Store interface {
	// Blocks calls fn with the place and size of each block, in ascending order of place.
	Blocks(fn func(seq uint64, n, size int) error) error
	Read(seq uint64, n int) ([]byte, error)
	Write(seq uint64, n int, block []byte) error
	// Drop removes the blocks that begin before a place, Cut those whose seq is greater.
	Drop(seq uint64, n int) error
	Cut(seq uint64) error
	// State returns the state of the last Commit, nil if there was none. Commit makes everything written
	// durable, then state.
	State() ([]byte, error)
	Commit(state []byte) error
}

// Config configures a Log. Zero values select the defaults named here.
type Config struct {
	Cluster string // id of the cluster; required
	// Incarnations of the shards' logs. An incarnation changes when a log does not continue what it was
	// before. If empty, all are 1.
	Incarnations []uint64
	Shards       int    // required
	Source       Source // required
	Stores       []Store
	// Checkpoints store memberships, so that the membership at an instant is found without reading all later
	// changes. There are no checkpoints without them.
	Checkpoints     []Store
	CheckpointBytes int64         // bytes of changes in a shard after which a checkpoint is due; 16 MiB
	CheckpointEvery time.Duration // time after which one is due if there are changes; 24 h
	MemoryBytes     int64         // bytes of blocks in memory, at least four blocks per shard; 256 MiB
	BlockBytes      int           // size of a block, the unit of storing and dropping; 64 KiB
	DiskBytes       int64         // bytes of blocks in all stores; 2 GiB
	Age             time.Duration // greatest age of a block; 7 days
	Consumers       disk.Table    // stores acknowledged cursors; nil: they are kept in memory only
	Now             func() time.Time
	Log             *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.CheckpointBytes == 0 {
		c.CheckpointBytes = 16 << 20
	}
	if c.CheckpointEvery == 0 {
		c.CheckpointEvery = 24 * time.Hour
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = 256 << 20
	}
	if c.BlockBytes == 0 {
		c.BlockBytes = 64 << 10
	}
	c.MemoryBytes = max(c.MemoryBytes, int64(4*c.BlockBytes*c.Shards))
	if c.DiskBytes == 0 {
		c.DiskBytes = 2 << 30
	}
	if c.Age == 0 {
		c.Age = 7 * 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c *Config) incarnation(shard int) uint64 {
	if len(c.Incarnations) == 0 {
		return 1
	}
	return c.Incarnations[shard]
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("live config: "+format, args...))
		}
	}
	bad(c.Cluster == "", "Cluster is missing")
	bad(c.Shards < 1, "Shards is %d, want 1 or more", c.Shards)
	bad(c.Source == nil, "Source is missing")
	bad(len(c.Stores) != 0 && len(c.Stores) != c.Shards, "%d Stores for %d shards", len(c.Stores), c.Shards)
	bad(len(c.Checkpoints) != 0 && len(c.Checkpoints) != len(c.Stores), "%d Checkpoints for %d Stores", len(c.Checkpoints), len(c.Stores))
	bad(len(c.Incarnations) != 0 && len(c.Incarnations) != c.Shards, "%d Incarnations for %d shards", len(c.Incarnations), c.Shards)
	bad(c.CheckpointBytes < 0 || c.CheckpointEvery < 0, "CheckpointBytes and CheckpointEvery must be positive")
	bad(c.MemoryBytes < 0 || c.BlockBytes < 0 || c.DiskBytes < 0 || c.Age < 0, "MemoryBytes, BlockBytes, DiskBytes and Age must be positive")
	return errors.Join(errs...)
}

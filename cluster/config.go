package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// MaxShards is the largest number of shards of a cluster.
const MaxShards = 64

// Config configures a node. A zero value means the default.
type Config struct {
	Dir     string  // the data directory, which has cluster.meta
	Storage Storage // required; closed by the node
	Shards  int     // of a new cluster, default 8; for an existing one 0, or the number it has
	Log     *slog.Logger
	Clock   func() time.Time // default time.Now
	// Changes opens the receiver of changes of membership; the node closes it. It is called while the node
	// opens, and may call only Cluster, Shards and Table then; the rest is for later calls. May be nil.
	Changes func(*Node) (Changes, error)

	// Failed is called with the reason why the process must end, without Close: a state machine has
	// panicked and its state cannot be trusted. The logs have everything that was acknowledged. Failed must
	// not wait. May be nil.
	Failed func(error)

	Gate *Gate // lets statements go before ingest; nil: no gate

	TickEvery       time.Duration // how often a shard checks whether a tick is due, default 250 ms; negative: never
	IdleTick        time.Duration // the longest time without an entry when no tick is due, default 30 s
	BatchBytes      int           // largest size of the messages in an entry, default 256 KiB
	BatchWait       time.Duration // the beat of entries of messages, default 10 ms
	FlightEntries   int           // entries proposed and not yet applied, per shard, default 4
	FlightBytes     int           // bytes of them, default 1 MiB
	QueueBytes      int           // bytes of messages queued for a shard, default 8 MiB
	HistoryBytes    int           // bytes of entries queued for the history of a shard, default 8 MiB
	SnapshotBytes   int64         // log bytes after which a snapshot is taken, default 64 MiB
	SnapshotAge     time.Duration // time after which a snapshot is taken, default 6 h
	TrailingLogs    uint64        // entries kept in the log that a snapshot includes, default 64 (a single node has no followers)
	MemoryLimit     int64         // bytes of the process beyond which ingest is refused; 0: no limit
	Evaluations     int           // statements evaluated at the same time, default GOMAXPROCS
	StatementTime   time.Duration // the longest time for a statement, default 30 s
	StatementBytes  int64         // memory of one statement, default 256 MiB; all together: Evaluations times that, at most a sixth of MemoryLimit
	DefaultRefresh  time.Duration // of segments with a rank, default 10 min
	SegmentMemory   int64         // bytes of all live segments, default a third of MemoryLimit; without either no limit
	SegmentEvent    time.Duration // processor time of all live segments for one event, default 500 µs
	SegmentSecond   time.Duration // processor time of all live segments per second without ingest, default 250 ms
	SegmentBuild    time.Duration // processor time to rebuild all live segments, as a restart does, default 8 min
	SegmentStop     time.Duration // the longest time a shard may block to compute a part of a segment, default 1 s
	Skip            []string      // segments that are not evaluated, so that the node opens and they can be dropped
	DedupBytes      int64         // memory for messageIds of a new cluster, default 512 MiB; fixed when it is made
	WatchEvery      time.Duration // how often disk and memory are checked, default 200 ms
	MaintainBudget  int           // rows of one maintenance step, default 32,768
	ElectionTimeout time.Duration // default 50 ms

	repairs []Repair // noted in the directory
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	wait := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.BatchBytes, 256<<10)
	def(&c.FlightEntries, 4)
	def(&c.FlightBytes, 1<<20)
	def(&c.QueueBytes, 8<<20)
	def(&c.HistoryBytes, 8<<20)
	def(&c.Evaluations, runtime.GOMAXPROCS(0))
	def(&c.MaintainBudget, 32<<10)
	wait(&c.TickEvery, 250*time.Millisecond)
	wait(&c.IdleTick, 30*time.Second)
	wait(&c.BatchWait, 10*time.Millisecond)
	wait(&c.SnapshotAge, 6*time.Hour)
	wait(&c.StatementTime, 30*time.Second)
	wait(&c.DefaultRefresh, 10*time.Minute)
	wait(&c.SegmentEvent, 500*time.Microsecond)
	wait(&c.SegmentSecond, 250*time.Millisecond)
	wait(&c.SegmentBuild, 8*time.Minute)
	wait(&c.SegmentStop, time.Second)
	wait(&c.WatchEvery, 200*time.Millisecond)
	wait(&c.ElectionTimeout, 50*time.Millisecond)
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = 64 << 20
	}
	if c.StatementBytes == 0 {
		c.StatementBytes = 256 << 20
	}
	if c.SegmentMemory == 0 {
		c.SegmentMemory = c.MemoryLimit / 3
	}
	if c.DedupBytes == 0 {
		c.DedupBytes = 512 << 20
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = 64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Failed == nil {
		c.Failed = func(error) {}
	}
	return c
}

// memoryShare is the divisor of MemoryLimit that gives the memory of all statements together: an eighth
// of the memory of the process, if MemoryLimit is three quarters of it.
const memoryShare = 6

// statementMemory returns how many bytes all statements together may hold.
func (c *Config) statementMemory() int64 {
	all := int64(c.Evaluations) * c.StatementBytes
	if c.MemoryLimit > 0 {
		all = min(all, c.MemoryLimit/memoryShare)
	}
	return all
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Dir == "", "config: Dir is missing")
	bad(c.Storage == nil, "config: Storage is missing")
	bad(c.Shards < 0 || c.Shards > MaxShards, "config: Shards is %d, want 1 to %d", c.Shards, MaxShards)
	bad(c.BatchBytes < 0 || c.BatchBytes > 4<<20, "config: BatchBytes is %d, want up to 4 MiB", c.BatchBytes)
	bad(c.FlightEntries < 0 || c.FlightBytes < 0, "config: FlightEntries and FlightBytes must not be negative")
	bad(c.QueueBytes < 0 || c.HistoryBytes < 0, "config: QueueBytes and HistoryBytes must not be negative")
	bad(c.BatchWait < 0, "config: BatchWait is %v, want 0 or more", c.BatchWait)
	bad(c.SnapshotBytes < 0 || c.SnapshotAge < 0, "config: SnapshotBytes and SnapshotAge must not be negative")
	bad(c.MemoryLimit < 0, "config: MemoryLimit is %d, want 0 or more", c.MemoryLimit)
	bad(c.Evaluations < 0, "config: Evaluations is %d, want 1 or more", c.Evaluations)
	bad(c.StatementTime < 0 || c.StatementBytes < 0, "config: StatementTime and StatementBytes must not be negative")
	bad(c.SegmentMemory < 0 || c.SegmentEvent < 0 || c.SegmentSecond < 0 || c.SegmentBuild < 0 || c.SegmentStop < 0,
		"config: SegmentMemory, SegmentEvent, SegmentSecond, SegmentBuild and SegmentStop must not be negative")
	bad(c.ElectionTimeout < 0 || c.ElectionTimeout > 0 && c.ElectionTimeout < 10*time.Millisecond,
		"config: ElectionTimeout is %v, want 10 ms or more", c.ElectionTimeout)
	return errors.Join(errs...)
}

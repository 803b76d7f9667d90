package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// MaxShards is the largest number of shards a cluster can be made with.
const MaxShards = 64

// Config is how a node runs. Zero values stand for the defaults.
type Config struct {
	Dir     string  // where cluster.meta lies
	Storage Storage // required; closed by the node
	Shards  int     // of a new cluster, default 8; 0 takes what an existing one has
	Log     *slog.Logger
	Clock   func() time.Time // default time.Now
	// Changes opens who hears of changes of membership; the node closes it. It is called while the node
	// opens: only Cluster and Shards may be asked at once, the rest from within its calls. nil: nobody.
	Changes func(*Node) (Changes, error)

	// Failed is told why the process must end, without Close: a state machine has panicked, and what it holds is
	// not to be relied on. The logs have everything that was acknowledged. It must not wait. nil: nobody.
	Failed func(error)

	Gate *Gate // lets statements go before ingest; nil: they share the processors as it comes

	TickEvery       time.Duration // how often a shard looks whether time has something to do, default 250 ms; negative: never
	IdleTick        time.Duration // how long its log may be silent where time has nothing to do, default 30 s
	BatchBytes      int           // of messages in an entry, default 256 KiB
	BatchWait       time.Duration // default 10 ms
	FlightEntries   int           // proposed and not yet applied, per shard, default 4
	FlightBytes     int           // default 1 MiB
	QueueBytes      int           // waiting in front of a shard, default 8 MiB
	HistoryBytes    int           // waiting for the history of a shard, default 8 MiB
	SnapshotBytes   int64         // of log since the last snapshot, default 64 MiB
	SnapshotAge     time.Duration // default 6 h
	TrailingLogs    uint64        // entries kept behind a snapshot, default 64 (one node has no follower to catch up)
	MemoryLimit     int64         // bytes of the process beyond which ingest is refused; 0: none
	Evaluations     int           // at once, default GOMAXPROCS
	StatementTime   time.Duration // default 30 s
	StatementBytes  int64         // default 256 MiB; all together may hold that for each of Evaluations, but a sixth of MemoryLimit
	DefaultRefresh  time.Duration // of segments with a rank, default 10 min
	SegmentMemory   int64         // bytes of all live segments; default a third of MemoryLimit, without one no limit
	SegmentEvent    time.Duration // processor time that all of them may take for one event, default 500 µs
	SegmentSecond   time.Duration // and in every second though nothing comes in, default 250 ms
	SegmentBuild    time.Duration // and to compute them anew, as a restart does, default 8 min
	SegmentStop     time.Duration // for which a shard may stand still to compute a part of one, default 1 s
	Skip            []string      // segments that are not evaluated, so that they can be dropped
	DedupBytes      int64         // of a new cluster, default 512 MiB; fixed when it is made
	WatchEvery      time.Duration // how often disk and memory are looked at, default 200 ms
	MaintainBudget  int           // of one step of maintenance, in rows, default 32,768
	ElectionTimeout time.Duration // default 50 ms; one node elects itself

	repairs []Repair // of the directory
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

// memoryShare is the part of MemoryLimit that all statements together may hold: an eighth of what the
// process has, if MemoryLimit is three quarters of that.
const memoryShare = 6

// statementMemory is what all statements together may hold.
func (c *Config) statementMemory() int64 {
	all := int64(c.Evaluations) * c.StatementBytes
	if c.MemoryLimit > 0 {
		all = min(all, c.MemoryLimit/memoryShare)
	}
	return all
}

// Validate reports all that is wrong with c at once.
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
	bad(c.FlightEntries < 0 || c.FlightBytes < 0, "config: FlightEntries and FlightBytes must be positive")
	bad(c.QueueBytes < 0 || c.HistoryBytes < 0, "config: QueueBytes and HistoryBytes must be positive")
	bad(c.BatchWait < 0, "config: BatchWait is %v, want a positive time", c.BatchWait)
	bad(c.SnapshotBytes < 0 || c.SnapshotAge < 0, "config: SnapshotBytes and SnapshotAge must be positive")
	bad(c.MemoryLimit < 0, "config: MemoryLimit is %d, want 0 or more", c.MemoryLimit)
	bad(c.Evaluations < 0, "config: Evaluations is %d, want 1 or more", c.Evaluations)
	bad(c.StatementTime < 0 || c.StatementBytes < 0, "config: StatementTime and StatementBytes must be positive")
	bad(c.SegmentMemory < 0 || c.SegmentEvent < 0 || c.SegmentSecond < 0 || c.SegmentBuild < 0 || c.SegmentStop < 0,
		"config: SegmentMemory, SegmentEvent, SegmentSecond, SegmentBuild and SegmentStop must be positive")
	bad(c.ElectionTimeout < 0 || c.ElectionTimeout > 0 && c.ElectionTimeout < 10*time.Millisecond,
		"config: ElectionTimeout is %v, want 10 ms or more", c.ElectionTimeout)
	return errors.Join(errs...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/persist"
	"github.com/musterdb/muster/query/tree"
)

// testConfig is the configuration of a node for tests: small buffers, and a disk floor far below what any disk has.
func testConfig(dir string) nodeConfig {
	return nodeConfig{Dir: dir, DiskFloor: 1 << 20, MemTable: 8 << 20}
}

// openTest opens a node and closes it at the end of the test. No goroutine may be left then.
func openTest(t *testing.T, c nodeConfig) *cluster.Node {
	t.Helper()
	before := goleak.IgnoreCurrent()
	n, err := openCluster(t.Context(), c)
	if err != nil {
		t.Fatalf("open node: %v", err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close node: %v", err)
		}
		if !t.Failed() {
			goleak.VerifyNone(t, before)
		}
	})
	return n
}

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli()

func track(message, user, event string, fields ...engine.NamedField) engine.Incoming {
	return engine.Incoming{
		Kind: engine.Track, MessageID: message, UserID: user, Event: event, Fields: fields, Time: testTime, ReceivedAt: testTime,
	}
}

func identify(message, user string, fields ...engine.NamedField) engine.Incoming {
	return engine.Incoming{Kind: engine.Identify, MessageID: message, UserID: user, Fields: fields, Time: testTime, ReceivedAt: testTime}
}

func field(name string, v tree.Value) engine.NamedField {
	return engine.NamedField{Name: name, Value: v}
}

// ingest sends messages and fails the test unless all have the status.
func ingest(t *testing.T, n *cluster.Node, want engine.Status, msgs ...engine.Incoming) {
	t.Helper()
	outcomes, err := n.Ingest(t.Context(), msgs)
	if err != nil {
		t.Fatalf("ingest: %v", err)
	}
	for i, o := range outcomes {
		if o.Status != want {
			t.Fatalf("message %d: status %d (%s), want %d", i, o.Status, o.Reason, want)
		}
	}
}

// queryValue runs a statement and returns the last column of the first row.
func queryValue(t *testing.T, n *cluster.Node, text string) string {
	t.Helper()
	answer, err := n.Query(t.Context(), node.Ask{Text: text})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if len(answer.Rows) == 0 {
		return ""
	}
	row := answer.Rows[0]
	v := row[len(row)-1]
	if v.Type == tree.NumberType {
		return v.Number().String()
	}
	return v.Str
}

func wantAnswer(t *testing.T, n *cluster.Node, text, want string) {
	t.Helper()
	if got := queryValue(t, n, text); got != want {
		t.Errorf("%s: %s, want %s", text, got, want)
	}
}

func TestNodeAnswersWhatWasIngested(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	var msgs []engine.Incoming
	for i := range 100 {
		user := fmt.Sprint("user-", i)
		msgs = append(msgs,
			identify(fmt.Sprint("i", i), user, field("country", tree.Str([]string{"BR", "DE"}[i%2])), field("age", tree.NumInt(int64(i)))),
			track(fmt.Sprint("t", i), user, "Order Completed", field("amount", tree.NumInt(10))))
	}
	ingest(t, n, engine.Accepted, msgs...)
	wantAnswer(t, n, "count", "100")
	wantAnswer(t, n, `count where country = "BR"`, "50")
	wantAnswer(t, n, `count where did "Order Completed" where (amount > 5) and age < 10`, "10")
	wantAnswer(t, n, `stats sum(amount) of "Order Completed"`, "1000")
	ingest(t, n, engine.Duplicate, msgs...)
	wantAnswer(t, n, `stats count of "Order Completed"`, "100")

	about, err := n.About(t.Context(), "user-7")
	if err != nil || about.ID != "user-7" || len(about.Events) != 1 || about.Events[0].Count != 1 {
		t.Errorf("about: %+v, %v", about, err)
	}
	if _, err := n.About(t.Context(), "nobody"); !errors.Is(err, node.ErrNoProfile) {
		t.Errorf("about nobody: %v, want ErrNoProfile", err)
	}
	received, next, err := n.Timeline(t.Context(), "user-7", "", 1)
	if err != nil || len(received) != 1 || received[0].MessageID != "t7" || received[0].Event != "Order Completed" || next == "" {
		t.Fatalf("first page of the timeline: %+v, %q, %v", received, next, err)
	}
	received, next, err = n.Timeline(t.Context(), "user-7", next, 1)
	if err != nil || len(received) != 1 || received[0].MessageID != "i7" || len(received[0].Fields) != 2 || next != "" {
		t.Fatalf("second page of the timeline: %+v, %q, %v", received, next, err)
	}
}

func TestNodeAnswersTheSameAfterRestart(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.Shards = 3
	c.Tune = func(cc *cluster.Config) { cc.SnapshotBytes = 2 << 10 } // small, so that some snapshots are taken
	texts := []string{"count", `count where did "A" at least 2 times`, `stats sum(v) of "A"`, `count where in list "vips"`, `count where in segment "S"`}
	var before []string
	var last []engine.Incoming
	for round := range 3 {
		n, err := openCluster(t.Context(), c)
		if err != nil {
			t.Fatalf("open round %d: %v", round, err)
		}
		for i, text := range texts {
			if round > 0 {
				wantAnswer(t, n, text, before[i])
			}
		}
		if round > 0 {
			ingest(t, n, engine.Duplicate, last...)
		} else {
			if err := n.ListEdit(t.Context(), "vips", []string{"user-1", "user-2", "later"}, nil); err != nil {
				t.Fatalf("edit list: %v", err)
			}
			if _, err := n.PutSegment(t.Context(), node.SegmentText{Name: "S", Predicate: `did "A"`}, false, true); err != nil {
				t.Fatalf("put segment: %v", err)
			}
		}
		last = nil
		for i := range 200 {
			last = append(last, track(fmt.Sprintf("r%d-%d", round, i), fmt.Sprint("user-", i%50), "A", field("v", tree.NumInt(int64(i)))))
		}
		ingest(t, n, engine.Accepted, last...)
		before = before[:0]
		for _, text := range texts {
			before = append(before, queryValue(t, n, text))
		}
		if err := n.Close(); err != nil {
			t.Fatalf("close round %d: %v", round, err)
		}
	}
	if before[0] != "50" || before[3] != "2" || before[4] != "50" {
		t.Errorf("answers %q", before)
	}
	c.Shards = 8
	if n, err := openCluster(t.Context(), c); err == nil {
		t.Errorf("opened with another number of shards")
		_ = n.Close()
	}
}

func TestNodeRestoresItsSnapshots(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Shards = 3
	c.Tune = func(cc *cluster.Config) {
		cc.SnapshotAge, cc.TrailingLogs, cc.IdleTick = 10*time.Millisecond, 1, 50*time.Millisecond
	}
	texts := []string{"count", `count where did "A" at least 2 times`, `stats sum(v) of "A"`, `count where in segment "S"`}
	var want []string
	n, err := openCluster(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.PutSegment(t.Context(), node.SegmentText{Name: "S", Predicate: `did "A"`}, false, true); err != nil {
		t.Fatal(err)
	}
	var msgs []engine.Incoming
	for i := range 300 {
		msgs = append(msgs, track(fmt.Sprint("m", i), fmt.Sprint("user-", i%70), "A", field("v", tree.NumInt(int64(i)))))
	}
	ingest(t, n, engine.Accepted, msgs...)
	taken := n.Status(t.Context()).Counters["snapshots"]
	await(t, "every group writes a snapshot of it", func() bool {
		return n.Status(t.Context()).Counters["snapshots"] >= taken+8
	})
	for _, text := range texts {
		want = append(want, queryValue(t, n, text))
	}
	hashes := shardHashes(t, n)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, c)
	for i, text := range texts {
		wantAnswer(t, again, text, want[i])
	}
	if got := shardHashes(t, again); !slices.Equal(got, hashes) {
		t.Errorf("state hashes after the restart are %v, want %v", got, hashes)
	}
	ingest(t, again, engine.Duplicate, msgs...)
	received, _, err := again.Timeline(t.Context(), "user-3", "", 10)
	if err != nil || len(received) != 5 {
		t.Errorf("timeline after the restart: %d messages, %v; want 5", len(received), err)
	}
}

func shardHashes(t *testing.T, n *cluster.Node) (hashes []string) {
	t.Helper()
	for _, s := range n.Status(t.Context()).Shards {
		hashes = append(hashes, s.Hash)
	}
	return hashes
}

func TestNodeFreezesRankedSegments(t *testing.T) {
	now := time.Now()
	var clock atomic.Int64 // offset of the node's clock, ns
	c := testConfig(t.TempDir())
	c.Tune = func(cc *cluster.Config) {
		cc.Clock = func() time.Time { return now.Add(time.Duration(clock.Load())) }
		cc.TickEvery = 20 * time.Millisecond
	}
	n := openTest(t, c)
	set := func(message, user string, ltv int64) {
		ingest(t, n, engine.Accepted, identify(message, user, field("ltv", tree.NumInt(ltv))))
	}
	for i := range 20 {
		set(fmt.Sprint("m", i), fmt.Sprint("user-", i), int64(i))
	}
	for _, text := range []string{`create segment "Top" as in top 3 by ltv`, `create segment "Rich" refresh every 1 minute as ltv >= 17`, `create segment "Both" as in segment "Top" and in segment "Rich"`} {
		queryValue(t, n, text)
	}
	counts := func(want string) {
		t.Helper()
		for _, name := range []string{"Top", "Rich", "Both"} {
			wantAnswer(t, n, fmt.Sprintf(`count where in segment "%s"`, name), want)
		}
	}
	counts("3")
	set("late", "user-99", 1000)
	set("poor", "user-19", 0)
	counts("3") // as of the last refresh
	if in, err := n.MemberOf(t.Context(), "Top", "user-99"); err != nil || in {
		t.Errorf("user-99 in Top before a refresh: %v, %v", in, err)
	}
	wantAnswer(t, n, fmt.Sprintf(`count where in segment "Rich" and user_id = "user-99" as of %s`, now.Add(time.Hour).UTC().Format(time.RFC3339)), "1")
	clock.Store(int64(11 * time.Minute))
	for _, name := range []string{"Top", "Rich"} { // shards are refreshed one after the other
		await(t, "a refresh of "+name, func() bool {
			in99, err := n.MemberOf(t.Context(), name, "user-99")
			in19, err2 := n.MemberOf(t.Context(), name, "user-19")
			return err == nil && err2 == nil && in99 && !in19
		})
	}
	counts("3")
}

func TestNodeKeepsTheOrderOfAnID(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			for round := range 5 {
				var msgs []engine.Incoming
				for i := range 100 {
					user := fmt.Sprintf("s%d-%d", sender, i%10)
					msgs = append(msgs, identify(fmt.Sprintf("%d-%d-%d", sender, round, i), user, field("step", tree.NumInt(int64(round*100+i)))))
				}
				if _, err := n.Ingest(t.Context(), msgs); err != nil {
					t.Errorf("ingest: %v", err)
				}
			}
		})
	}
	senders.Wait()
	wantAnswer(t, n, "count where step between 490 and 499", "40")
}

func TestNodeLimitsNames(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	named, unnamed := 0, 0
	for from := 0; from < 12_000; from += 2000 {
		var msgs []engine.Incoming
		for i := from; i < from+2000; i++ {
			msgs = append(msgs, track(fmt.Sprint("m", i), "u", fmt.Sprint("event ", i), field(fmt.Sprint("p", i), tree.NumInt(1))))
		}
		outcomes, err := n.Ingest(t.Context(), msgs)
		if err != nil {
			t.Fatalf("ingest: %v", err)
		}
		for _, o := range outcomes {
			switch {
			case o.Status != engine.Accepted:
				t.Fatalf("%+v", o)
			case len(o.Dropped) > 0 && o.Dropped[0].WholeMessage():
				unnamed++
			default:
				named++
			}
		}
	}
	if named != 10_000 || unnamed != 2000 {
		t.Errorf("%d events have names and %d none, want 10,000 and 2,000", named, unnamed)
	}
	wantAnswer(t, n, `count where did "event 9999"`, "1")
}

func TestNodeDefinesSegmentsDuringIngest(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	ingest(t, n, engine.Accepted, track("first", "u", "E0"))
	var work sync.WaitGroup
	for w := range 3 {
		work.Go(func() {
			for i := range 20 {
				msgs := []engine.Incoming{track(fmt.Sprintf("%d-%d", w, i), fmt.Sprint("u", i), fmt.Sprintf("E%d-%d", w, i))}
				if _, err := n.Ingest(t.Context(), msgs); err != nil {
					t.Errorf("ingest: %v", err)
				}
			}
		})
	}
	work.Go(func() {
		for i := range 20 {
			text := fmt.Sprintf(`create segment "S%d" as did "E0"`, i)
			if _, err := n.Query(t.Context(), node.Ask{Text: text}); err != nil {
				t.Errorf("%s: %v", text, err)
			}
			wantAnswer(t, n, fmt.Sprintf(`count where in segment "S%d"`, i), "1")
		}
	})
	work.Wait()
	segments, err := n.Segments(t.Context())
	if err != nil || len(segments) != 20 {
		t.Errorf("%d segments, %v; want 20", len(segments), err)
	}
	_, err = n.Query(t.Context(), node.Ask{Text: `create segment "S1" as did "E0"`})
	wantCode(t, err, "segment_exists")
	_, err = n.Query(t.Context(), node.Ask{Text: `drop segment "none"`})
	if err == nil {
		t.Error("dropped a segment that does not exist")
	}
}

func wantCode(t *testing.T, err error, want string) {
	t.Helper()
	var coded *node.Error
	if !errors.As(err, &coded) || coded.Code != want {
		t.Errorf("error %v, want code %s", err, want)
	}
}

// fullDisk is a storage whose disk the test can fill: low is what the node's disk watch sees, and full makes
// writes to the log of one shard fail.
type fullDisk struct {
	cluster.Storage
	low, full atomic.Bool
}

func (s *fullDisk) Space() (int64, bool, error) { return 1 << 30, s.low.Load(), nil }

func (s *fullDisk) Log(group string) (cluster.Log, error) {
	log, err := s.Storage.Log(group)
	if err != nil || group != "shard-003" {
		return log, err
	}
	return &fullDiskLog{log, s}, nil
}

type fullDiskLog struct {
	cluster.Log
	storage *fullDisk
}

func (l *fullDiskLog) StoreLogs(logs []*raft.Log) error {
	if l.storage.full.Load() {
		return persist.ErrDiskFull
	}
	return l.Log.StoreLogs(logs)
}

func (l *fullDiskLog) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

func TestIngestContinuesWhenSpaceIsFreed(t *testing.T) {
	storage := &fullDisk{}
	c := testConfig(t.TempDir())
	c.Tune = func(cc *cluster.Config) {
		storage.Storage = cc.Storage
		cc.Storage, cc.WatchEvery = storage, time.Millisecond
	}
	n := openTest(t, c)
	ingest(t, n, engine.Accepted, track("a", "u", "E"))
	storage.low.Store(true)
	await(t, "ingest is refused", func() bool {
		_, err := n.Ingest(t.Context(), []engine.Incoming{track("b", "u", "E")})
		if err == nil {
			return false
		}
		wantCode(t, err, "disk_full")
		return true
	})
	if st := n.Status(t.Context()); !st.Ready || !st.Degraded || st.Reason == "" {
		t.Errorf("status while full: %+v", st)
	}
	wantAnswer(t, n, `count where did "E"`, "1")
	storage.low.Store(false)
	await(t, "ingest continues", func() bool {
		_, err := n.Ingest(t.Context(), []engine.Incoming{track("c", "v", "E")})
		return err == nil
	})
	wantAnswer(t, n, `count where did "E"`, "2")
}

// await waits until a condition is true.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("timed out waiting: %s", what)
		}
	}
}

func TestNodePagesMembers(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	want := map[string]bool{}
	var msgs []engine.Incoming
	for i := range 300 {
		user := fmt.Sprint("user-", i)
		age := random.IntN(100)
		want[user] = age >= 50
		msgs = append(msgs, identify(fmt.Sprint(i), user, field("age", tree.NumInt(int64(age)))))
	}
	ingest(t, n, engine.Accepted, msgs...)
	got := map[string]bool{}
	for after := ""; ; {
		page := 0
		_, err := n.Members(t.Context(), "age >= 50", after, 7, func(id, position string) bool {
			if got[id] {
				t.Errorf("%s came twice (seed %d)", id, seed)
			}
			got[id], after = true, position
			page++
			return true
		})
		if err != nil {
			t.Fatalf("members: %v", err)
		}
		if page == 0 {
			break
		}
	}
	for user, in := range want {
		if got[user] != in {
			t.Errorf("%s: member %v, want %v (seed %d)", user, got[user], in, seed)
		}
	}
	if _, err := n.PutSegment(t.Context(), node.SegmentText{Name: "old", Predicate: "age >= 50"}, false, false); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"user-0", "user-1", "user-2"} {
		in, err := n.MemberOf(t.Context(), "old", user)
		if err != nil || in != want[user] {
			t.Errorf("%s in segment: %v (%v), want %v (seed %d)", user, in, err, want[user], seed)
		}
	}
}

func TestNodeRefusesOverload(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Shards = 1
	c.Tune = func(cc *cluster.Config) { cc.QueueBytes, cc.BatchWait = 4000, 50*time.Millisecond }
	n := openTest(t, c)
	ingest(t, n, engine.Accepted, track("first", "u", "E"))
	var senders sync.WaitGroup
	var overloaded, accepted atomic.Int64
	for s := range 50 {
		senders.Go(func() {
			var msgs []engine.Incoming
			for i := range 20 {
				msgs = append(msgs, track(fmt.Sprintf("%d-%d", s, i), fmt.Sprint("u", s), "E"))
			}
			_, err := n.Ingest(t.Context(), msgs)
			if err == nil {
				accepted.Add(1)
				return
			}
			wantCode(t, err, "overloaded")
			var later *node.Error
			if !errors.As(err, &later) || later.Retry <= 0 {
				t.Errorf("refused without a time to retry: %v", err)
			}
			overloaded.Add(1)
		})
	}
	senders.Wait()
	if overloaded.Load() == 0 || accepted.Load() == 0 {
		t.Errorf("%d requests accepted and %d refused, want some of both", accepted.Load(), overloaded.Load())
	}
	wantAnswer(t, n, `stats count of "E"`, fmt.Sprint(accepted.Load()*20+1))
}

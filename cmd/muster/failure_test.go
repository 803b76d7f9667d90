package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/engine"
)

// TestNodeWithoutLeaderIsNotReady lets writes to the log of one shard fail. Raft steps down and is elected again
// over and over, and the node must not report that it is ready in between.
func TestNodeWithoutLeaderIsNotReady(t *testing.T) {
	storage := &fullDisk{}
	c := testConfig(t.TempDir())
	c.Tune = func(cc *cluster.Config) {
		storage.Storage = cc.Storage
		cc.Storage, cc.TickEvery, cc.IdleTick = storage, 10*time.Millisecond, 10*time.Millisecond
	}
	n := openTest(t, c)
	ingest(t, n, engine.Accepted, track("a", "u", "E"))
	storage.full.Store(true)
	await(t, "the node is not ready", func() bool { return !n.Status(t.Context()).Ready })
	for range 200 {
		st := n.Status(t.Context())
		if st.Ready || !strings.Contains(st.Reason, "no leader: shard-003") || st.Shards[3].Leader {
			t.Fatalf("ready %t while a shard cannot write: %q, shard %+v", st.Ready, st.Reason, st.Shards[3])
		}
		wantAnswer(t, n, `count where did "E"`, "1")
	}
	storage.full.Store(false)
	await(t, "the node is ready again", func() bool { return n.Status(t.Context()).Ready })
}

// TestNodeReportsThatItsDirectoryIsGone moves the data directory, or a part of it, away under a running node
// and back.
func TestNodeReportsThatItsDirectoryIsGone(t *testing.T) {
	for _, part := range []string{"", "db", "raft", "raft/shard-002", "raft/catalog"} {
		t.Run(strings.ReplaceAll("all/"+part, "/", "-"), func(t *testing.T) {
			c := testConfig(filepath.Join(t.TempDir(), "data"))
			c.Tune = func(cc *cluster.Config) { cc.WatchEvery = time.Millisecond }
			n := openTest(t, c)
			ingest(t, n, engine.Accepted, track("a", "u", "E"))
			here := filepath.Join(c.Dir, part)
			away := here + ".away"
			if err := os.Rename(here, away); err != nil {
				t.Fatal(err)
			}
			await(t, "the node is not ready", func() bool { return !n.Status(t.Context()).Ready })
			if st := n.Status(t.Context()); !strings.Contains(st.Reason, "was removed or replaced") {
				t.Errorf("not ready because %q, want that the directory was removed", st.Reason)
			}
			_, err := n.Ingest(t.Context(), []engine.Incoming{track("b", "u", "E")})
			wantCode(t, err, "not_ready")
			wantAnswer(t, n, `count where did "E"`, "1")
			if err := os.MkdirAll(here, 0o755); err != nil { // a new directory in its place does not count
				t.Fatal(err)
			}
			_, err = n.Ingest(t.Context(), []engine.Incoming{track("b", "u", "E")})
			wantCode(t, err, "not_ready")
			if err := os.Remove(here); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(away, here); err != nil {
				t.Fatal(err)
			}
			await(t, "the node is ready again", func() bool { return n.Status(t.Context()).Ready })
			ingest(t, n, engine.Accepted, track("b", "v", "E"))
		})
	}
}

// TestNoDirectoryIfAddressIsInUse checks that a node that is started on a port in use creates no data directory.
func TestNoDirectoryIfAddressIsInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := filepath.Join(t.TempDir(), "data")
	var errs bytes.Buffer
	a := app{stdin: strings.NewReader(""), stdout: &errs, stderr: &errs}
	if code := a.run(t.Context(), []string{"serve", "--data", dir, "--listen", taken.Addr().String()}); code != exitFailed {
		t.Errorf("exit %d, want %d", code, exitFailed)
	}
	if !strings.Contains(errs.String(), "address already in use") {
		t.Errorf("stderr is %q, want that the address is in use", errs.String())
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("there is a data directory: %v", err)
	}
}

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

// TestNodeWithoutLeaderIsNotReady lets the log of one shard refuse: raft steps down and is elected again,
// over and over, and the node does not say that it is ready in between.
func TestNodeWithoutLeaderIsNotReady(t *testing.T) {
	thin := &thinStorage{}
	c := testConfig(t.TempDir())
	c.Tune = func(cc *cluster.Config) {
		thin.Storage = cc.Storage
		cc.Storage, cc.TickEvery, cc.IdleTick = thin, 10*time.Millisecond, 10*time.Millisecond
	}
	n := openTest(t, c)
	ingest(t, n, engine.Accepted, track("a", "u", "E"))
	thin.full.Store(true)
	await(t, "the node is not ready", func() bool { return !n.Status(t.Context()).Ready })
	for range 200 {
		st := n.Status(t.Context())
		if st.Ready || !strings.Contains(st.Reason, "no leader: shard-003") || st.Shards[3].Leader {
			t.Fatalf("ready %t while a shard takes nothing: %q, shard %+v", st.Ready, st.Reason, st.Shards[3])
		}
		wantAnswer(t, n, `count where did "E"`, "1")
	}
	thin.full.Store(false)
	await(t, "the node is ready again", func() bool { return n.Status(t.Context()).Ready })
}

// TestNodeSaysThatItsDirectoryIsGone moves the data directory away under a node, and back.
func TestNodeSaysThatItsDirectoryIsGone(t *testing.T) {
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
			if err := os.MkdirAll(here, 0o755); err != nil { // another one in its place is not it
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

// TestNoDirectoryWhereTheAddressIsTaken starts a node on a port that is in use: it leaves nothing behind.
func TestNoDirectoryWhereTheAddressIsTaken(t *testing.T) {
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
		t.Errorf("it says %q", errs.String())
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("there is a data directory: %v", err)
	}
}

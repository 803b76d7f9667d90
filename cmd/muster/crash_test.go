package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/tree"
)

// The crash test runs this test binary as a child process that ingests messages and prints which were
// acknowledged. It kills the child and checks the directory that is left.
const (
	crashDir  = "MUSTER_TEST_CRASH_DIR"
	crashFrom = "MUSTER_TEST_CRASH_FROM"
)

// crashBatch is how many messages the child ingests at a time.
const crashBatch = 20

func crashMessages(batch int) []engine.Incoming {
	var msgs []engine.Incoming
	for i := range crashBatch {
		k := batch*crashBatch + i
		msgs = append(msgs, track(fmt.Sprint("m", k), fmt.Sprint("user-", k%97), "E", field("v", tree.NumInt(int64(k)))))
	}
	return msgs
}

func crashConfig(dir string) nodeConfig {
	c := testConfig(dir)
	c.Shards = 2
	c.Tune = func(cc *cluster.Config) { cc.SnapshotBytes = 100 << 10 }
	return c
}

// TestCrashChild is the child process that is killed. It is skipped in an ordinary run.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only runs as the child of TestNodeSurvivesKill")
	}
	from, err := strconv.Atoi(os.Getenv(crashFrom))
	if err != nil {
		t.Fatal(err)
	}
	n, err := openCluster(t.Context(), crashConfig(dir))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	for batch := from; ; batch++ {
		if _, err := n.Ingest(t.Context(), crashMessages(batch)); err != nil {
			t.Fatalf("ingest: %v", err)
		}
		fmt.Println("acknowledged", batch)
	}
}

func TestNodeSurvivesKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	rounds := 4
	if s := os.Getenv("MUSTER_TEST_CRASH_ROUNDS"); s != "" {
		rounds, _ = strconv.Atoi(s)
	}
	dir := t.TempDir()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 7))
	next := 0
	for round := range rounds {
		next = killChild(t, dir, next, time.Duration(random.IntN(400))*time.Millisecond)
		n, err := openCluster(t.Context(), crashConfig(dir))
		if err != nil {
			t.Fatalf("open after kill %d (seed %d): %v", round, seed, err)
		}
		// The batch that was in flight may have been stored or not. Send it again, as a client would.
		if _, err := n.Ingest(t.Context(), crashMessages(next)); err != nil {
			t.Fatalf("ingest after kill %d: %v", round, err)
		}
		next++
		total := next * crashBatch
		if got := queryValue(t, n, `stats count of "E"`); got != fmt.Sprint(total) {
			t.Errorf("after kill %d: %s events, want %d (seed %d)", round, got, total, seed)
		}
		if got := queryValue(t, n, `stats sum(v) of "E"`); got != fmt.Sprint(total*(total-1)/2) {
			t.Errorf("after kill %d: sum %s, want %d (seed %d)", round, got, total*(total-1)/2, seed)
		}
		received := 0
		for before := ""; ; {
			page, more, err := n.Timeline(t.Context(), "user-5", before, 50)
			if err != nil {
				t.Fatalf("timeline after kill %d: %v (seed %d)", round, err, seed)
			}
			received += len(page)
			if before = more; more == "" {
				break
			}
		}
		if want := (total - 5 + 96) / 97; received != want {
			t.Errorf("after kill %d: %d messages in the timeline, want %d (seed %d)", round, received, want, seed)
		}
		if err := n.Close(); err != nil {
			t.Fatalf("close after kill %d: %v", round, err)
		}
	}
}

// killChild starts a child that ingests batches from first on, and kills it some time after the first
// acknowledgement. It returns the first batch that was not acknowledged.
func killChild(t *testing.T, dir string, first int, after time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	child.Env = append(os.Environ(), crashDir+"="+dir, crashFrom+"="+strconv.Itoa(first))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	next := first
	var output strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		batch, ok := strings.CutPrefix(lines.Text(), "acknowledged ")
		if !ok {
			fmt.Fprintln(&output, lines.Text())
			continue
		}
		k, err := strconv.Atoi(batch)
		if err != nil || k != next {
			t.Fatalf("the child printed %q, want batch %d", lines.Text(), next)
		}
		if next++; k == first {
			time.AfterFunc(after, func() { _ = child.Process.Kill() }) // it may have exited already
		}
	}
	_ = child.Wait() // killed
	if next == first {
		t.Fatalf("the child acknowledged nothing: %s", output.String())
	}
	return next
}

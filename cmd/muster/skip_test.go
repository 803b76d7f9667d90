package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
)

// createSegments creates a data directory with profiles and three segments. One of them refers to another.
func createSegments(t *testing.T, dir string) {
	t.Helper()
	n, err := openCluster(t.Context(), testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	ingest(t, n, engine.Accepted, track("m1", "u1", "A"), track("m2", "u2", "A"), track("m3", "u2", "B"))
	for _, s := range [][2]string{{"heavy", "did A"}, {"asks", `in segment "heavy" and did B`}, {"other", "did B"}} {
		if _, err := n.PutSegment(t.Context(), node.SegmentText{Name: s[0], Predicate: s[1]}, false, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDropOffline drops segments from a directory that no node is using. Afterwards there are snapshots, so that a
// start no longer reads log entries about them. A segment that another one refers to is refused. Repeating the
// command does no harm.
func TestDropOffline(t *testing.T) {
	dir := t.TempDir()
	createSegments(t, dir)
	if _, errs, code := command(t, "", "segment", "drop", "heavy", "--offline", "--data", dir); code != exitFailed || !strings.Contains(errs, `segment "asks" uses segment "heavy"`) {
		t.Errorf("drop of a segment that another one refers to: exit code %d, %s", code, errs)
	}
	out, errs, code := command(t, "", "segment", "drop", "heavy", "asks", "--offline", "--data", dir)
	if code != exitDone || !strings.Contains(out, "dropped segment heavy") || !strings.Contains(out, "dropped segment asks") {
		t.Fatalf("exit code %d, %s %s", code, out, errs)
	}
	if out, errs, code := command(t, "", "segment", "drop", "heavy", "--offline", "--data", dir); code != exitDone || !strings.Contains(out, "there is no segment heavy") {
		t.Errorf("again: exit code %d, %s %s", code, out, errs)
	}
	if _, errs, code := command(t, "", "segment", "drop", "heavy", "--offline", "--data", dir+"/nothing"); code != exitFailed || !strings.Contains(errs, "not a data directory") {
		t.Errorf("in no directory: exit code %d, %s", code, errs)
	}
	storage, err := openStorage(testConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"catalog", "shard-000", "shard-007"} {
		snapshots, err := storage.Snapshots(group)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := snapshots.List(); err != nil || len(kept) == 0 {
			t.Errorf("%s has %d snapshots: %v", group, len(kept), err)
		}
	}
	if err := storage.Close(); err != nil {
		t.Fatal(err)
	}
	n := openTest(t, testConfig(dir))
	if all, _ := n.Segments(t.Context()); len(all) != 1 || all[0].Name != "other" || all[0].State != "live" {
		t.Errorf("segments are %+v", all)
	}
	if got := queryValue(t, n, `count where in segment "other"`); got != "1" {
		t.Errorf("%s are in the other segment, want 1", got)
	}
}

// TestSkipSegment checks that a node which skips a segment reports it, follows the other segments, and can drop
// it, and that a node which is opened without skipping it has it as before.
func TestSkipSegment(t *testing.T) {
	dir := t.TempDir()
	createSegments(t, dir)
	skip := testConfig(dir)
	skip.Segments.SkipSegment = []string{"heavy"}
	state := func(n *cluster.Node, name string) string {
		t.Helper()
		s, ok, err := n.Segment(t.Context(), name)
		if err != nil || !ok {
			return "gone"
		}
		return s.State
	}
	open := func(c nodeConfig, work func(n *cluster.Node)) {
		t.Helper()
		n, err := openCluster(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		work(n)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open(skip, func(n *cluster.Node) {
		if h, a, o := state(n, "heavy"), state(n, "asks"), state(n, "other"); h != "failed" || a != "failed" || o != "live" {
			t.Errorf("heavy is %s, asks %s, other %s", h, a, o)
		}
		if st := n.Status(t.Context()); !st.Ready || !st.Degraded || !strings.Contains(st.Reason, `"heavy"`) {
			t.Errorf("status is %+v", st)
		}
		ingest(t, n, engine.Accepted, track("m4", "u3", "B"))
		if got := queryValue(t, n, `count where in segment "other"`); got != "2" {
			t.Errorf("%s are in the other segment, want 2", got)
		}
	})
	open(testConfig(dir), func(n *cluster.Node) {
		await(t, "both are live again", func() bool { return state(n, "heavy") == "live" && state(n, "asks") == "live" })
		if st := n.Status(t.Context()); st.Degraded {
			t.Errorf("status is %+v", st)
		}
	})
	open(skip, func(n *cluster.Node) {
		for _, name := range []string{"asks", "heavy"} {
			if err := n.DropSegment(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if st := n.Status(t.Context()); st.Degraded {
			t.Errorf("after the drop status is %+v", st)
		}
	})
	open(testConfig(dir), func(n *cluster.Node) {
		if h, o := state(n, "heavy"), state(n, "other"); h != "gone" || o != "live" {
			t.Errorf("at last heavy is %s, other %s", h, o)
		}
	})
}

// TestSegmentPrice checks that a definition which is too expensive is refused with a code and figures and without
// side effects, and that segments are listed with their prices.
func TestSegmentPrice(t *testing.T) {
	c := testConfig(t.TempDir())
	c.Segments.SegmentEvent = 40 * time.Microsecond
	n := openTest(t, c)
	ingest(t, n, engine.Accepted, track("m1", "u1", "A"))
	long := "did A in last 1 hour"
	for i := range 60 {
		long += fmt.Sprintf(" or did A in last %d days", i+1)
	}
	_, err := n.PutSegment(t.Context(), node.SegmentText{Name: "long", Predicate: long}, false, false)
	var coded *node.Error
	if !errors.As(err, &coded) || coded.Code != "segment_too_expensive" || !strings.Contains(err.Error(), "one segment may take 10µs") {
		t.Errorf("the answer is %v", err)
	}
	if _, err := n.PutSegment(t.Context(), node.SegmentText{Name: "short", Predicate: "did A in last 1 day"}, false, false); err != nil {
		t.Fatal(err)
	}
	all, _ := n.Segments(t.Context())
	if len(all) != 1 || all[0].Price.Event <= 0 || all[0].Price.Memory <= 0 {
		t.Errorf("segments are %+v", all)
	}
	if p := n.Prices(); p.Event < all[0].Price.Event || p.Limit.Event != 40*time.Microsecond {
		t.Errorf("all cost %+v", p)
	}
}

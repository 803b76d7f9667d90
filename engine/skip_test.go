package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
)

// TestSkip checks that a shard that is restored with a segment skipped keeps its members, evaluates
// neither it nor a segment that refers to it, evaluates all others, can drop it, and builds it again
// once it is no longer skipped.
func TestSkip(t *testing.T) {
	s, seq := pricedShard(t, 300, 3_000)
	for _, x := range [][2]string{{"poison", "did event0 at least 2 times"}, {"asks", `in segment "poison" and did event1`}, {"other", "did event2 at least 2 times"}} {
		putSegment(t, s, seq, x[0], x[1])
		seq++
	}
	building := snapshotOf(t, s) // while all of them are being built
	for ; len(s.root.builds) > 0; seq++ {
		mustApply(t, s, seq, EncodeTick(s.Time()))
	}
	snapshot := snapshotOf(t, s)
	poison, other := liveCount(t, s, "poison"), liveCount(t, s, "other")
	for _, from := range []*memoryPages{building, snapshot} {
		skipFrom(t, s.config.Key, seq, from, from == snapshot, poison, other)
	}
}

// skipFrom runs the test with one snapshot. built means that the segments in it have their members.
func skipFrom(t *testing.T, key, seq uint64, from *memoryPages, built bool, poison, other int64) {
	var costly []string
	config := Config{Key: key, Parse: parsePred, Skip: []string{"poison"}, Building: func(name string, _ Price) { costly = append(costly, name) }}
	r, err := Restore(config, from)
	if err != nil {
		t.Fatal(err)
	}
	next := seq
	step := func(r *Shard, entry []byte) Result {
		t.Helper()
		next++
		return mustApply(t, r, next, entry)
	}
	for i := range 20 {
		step(r, EncodeTick(r.Time()+int64(i)))
	}
	for _, name := range []string{"poison", "asks"} {
		if m, _ := r.Segment(name); m.State != SegmentFailed || !strings.Contains(m.Reason, "skipped") || built && name == "poison" && m.Count != poison {
			t.Errorf("%s is %v with %d members (%d before): %s", name, m.State, m.Count, poison, m.Reason)
		}
	}
	if n := liveCount(t, r, "other"); n != other {
		t.Errorf("the other has %d members, want %d", n, other)
	}
	// Without skipping it is built again.
	config.Skip = nil
	u, err := Restore(config, snapshotOf(t, r))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		step(u, EncodeTick(u.Time()+int64(i)))
	}
	if n := liveCount(t, u, "poison"); n != poison {
		t.Errorf("built again, it has %d members, want %d", n, poison)
	}
	liveCount(t, u, "asks")
	if err := u.Check(); err != nil {
		t.Error(err)
	}
	// Or it is dropped, after the segment that refers to it.
	for _, name := range []string{"asks", "poison"} {
		change := catalog.Change{Version: r.Catalog().Version() + 1, Kind: catalog.DropSegment, Name: name}
		if got := step(r, EncodeCatalog(r.Time(), change)); got.Reason != "" {
			t.Fatal(got.Reason)
		}
		if _, ok := r.Segment(name); ok {
			t.Errorf("%s is still there", name)
		}
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	if len(costly) > 0 {
		t.Errorf("%s were reported as costly", fmt.Sprint(costly))
	}
}

// liveCount returns the number of members of a segment, which must be live.
func liveCount(t *testing.T, s *Shard, name string) int64 {
	t.Helper()
	m, ok := s.Segment(name)
	if !ok || m.State != SegmentLive {
		t.Fatalf("%s is %v: %s", name, m.State, m.Reason)
	}
	return m.Count
}

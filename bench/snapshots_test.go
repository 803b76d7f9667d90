package bench

import (
	"testing"
	"time"
)

// TestReadSnapshots parses the log lines of snapshots of two groups, mixed.
func TestReadSnapshots(t *testing.T) {
	got, err := readSnapshots(`time=2026-11-01T12:00:00.000Z level=INFO msg="node is ready" shards=2
time=2026-11-01T12:00:01.500Z level=INFO msg="snapshot written" group=shard-000 pages=7 bytes=1000 new_pages=2 new_bytes=300
time=2026-11-01T12:00:01.900Z level=INFO msg="snapshot written" group=shard-001 pages=9 bytes=2000 new_pages=9 new_bytes=1900
time=2026-11-01T12:00:02.000Z level=INFO msg="snapshot taken" group=shard-000 log_bytes=5 elapsed=1.5s
time=2026-11-01T12:00:03.000Z level=INFO msg="snapshot taken" group=shard-001 log_bytes=5 elapsed=250ms
`)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	at := time.Date(2026, 11, 1, 12, 0, 2, 0, time.UTC)
	want := []Snapshot{
		{Span{at.Add(-1500 * time.Millisecond), at}, 1000, 300},
		{Span{at.Add(750 * time.Millisecond), at.Add(time.Second)}, 2000, 1900},
	}
	for i := range want {
		if !got[i].From.Equal(want[i].From) || !got[i].To.Equal(want[i].To) || got[i].Bytes != want[i].Bytes || got[i].Fresh != want[i].Fresh {
			t.Errorf("snapshot %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if _, err := readSnapshots("time=now msg=\"snapshot taken\" group=a elapsed=1s\n"); err == nil {
		t.Error("a malformed time was accepted")
	}
}

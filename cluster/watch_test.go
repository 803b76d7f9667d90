package cluster

import (
	"errors"
	"testing"
)

func TestWatchRefusesAndRecovers(t *testing.T) {
	var low bool
	var spaceErr, failed error
	used, live, runs, inStatements := int64(10), int64(70), uint64(1), int64(0)
	w := &watch{
		space:          func() (int64, bool, error) { return 5, low, spaceErr },
		failed:         func() error { return failed },
		memory:         func() memoryUse { return memoryUse{used: used, live: live, other: 1, runs: runs} },
		statementBytes: func() int64 { return inStatements }, limit: 100, warn: func(string, ...any) {},
	}
	for _, step := range []struct {
		what string
		set  func()
		want string
	}{
		{"enough of everything", func() {}, ""},
		{"disk low", func() { low = true }, "disk_full"},
		{"space freed", func() { low = false }, ""},
		{"disk does not answer", func() { spaceErr = errors.New("io") }, "not_ready"},
		{"disk answers again, and is low", func() { spaceErr, low = nil, true }, "disk_full"},
		{"space freed again", func() { low = false }, ""},
		{"memory over the limit", func() { used = 101 }, "memory_full"},
		{"a little less", func() { used = 95 }, "memory_full"},
		{"clearly less", func() { used = 80 }, ""},
		{"again below the limit", func() { used = 99 }, ""},
		{"little live memory, and a statement takes much", func() { used, live, inStatements = 130, 60, 30 }, ""},
		{"the collector finds what it holds", func() { live, runs = 90, 2 }, ""},
		{"the statement ends", func() { inStatements = 0 }, ""},
		{"the collector runs again", func() { live, runs = 60, 3 }, ""},
		{"much live memory, without statements", func() { live, runs = 90, 4 }, "memory_full"},
		{"less live memory", func() { live, runs = 50, 5 }, ""},
		{"a write failed", func() { failed = errors.New("io") }, "not_ready"},
	} {
		step.set()
		w.look()
		if err := w.admit(); code(err) != step.want {
			t.Errorf("%s: %v, want code %q", step.what, err, step.want)
		}
	}
}

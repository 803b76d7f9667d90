package cluster

import (
	"errors"
	"testing"
)

func TestWatchRefusesAndGoesOn(t *testing.T) {
	var low bool
	var spaceErr error
	used := int64(10)
	w := &watch{
		space:  func() (int64, bool, error) { return 5, low, spaceErr },
		memory: func() int64 { return used }, limit: 100, warn: func(string, ...any) {},
	}
	for _, step := range []struct {
		what string
		set  func()
		want string
	}{
		{"room for all", func() {}, ""},
		{"disk low", func() { low = true }, "disk_full"},
		{"space freed", func() { low = false }, ""},
		{"disk does not answer", func() { spaceErr = errors.New("io") }, "disk_full"},
		{"disk answers again", func() { spaceErr = nil }, ""},
		{"memory over the limit", func() { used = 101 }, "memory_full"},
		{"a little less", func() { used = 95 }, "memory_full"},
		{"clearly less", func() { used = 80 }, ""},
		{"again below the limit", func() { used = 99 }, ""},
	} {
		step.set()
		w.look()
		if err := w.admit(); code(err) != step.want {
			t.Errorf("%s: %v, want code %q", step.what, err, step.want)
		}
	}
}

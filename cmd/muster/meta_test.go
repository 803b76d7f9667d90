package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMetaIsNotRecreated damages and then removes the file with the number of shards. A node that created a new
// one could look up profiles in the wrong shards, and would give wrong answers.
func TestMetaIsNotRecreated(t *testing.T) {
	c := nodeConfig{Dir: t.TempDir(), Shards: 2, DiskFloor: 1 << 20, MemTable: 8 << 20}
	n, err := openCluster(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Dir, "cluster.meta")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 4
	for _, damage := range []struct {
		wants string
		do    func() error
	}{
		{"checksum", func() error { return os.WriteFile(path, text, 0o644) }},
		{"is missing", func() error { return os.Remove(path) }},
	} {
		if err := damage.do(); err != nil {
			t.Fatal(err)
		}
		c.Shards = 0
		if n, err := openCluster(t.Context(), c); err == nil {
			t.Errorf("opened, want an error with %q: %v", damage.wants, n.Close())
		} else if !strings.Contains(err.Error(), damage.wants) {
			t.Errorf("open: %v, want %q", err, damage.wants)
		}
	}
}

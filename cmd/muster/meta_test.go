package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMetaIsNotMadeAnew loses the file that says how many shards there are: a node that made a new
// one would look for every profile in other shards, and answer.
func TestMetaIsNotMadeAnew(t *testing.T) {
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
		says string
		do   func() error
	}{
		{"checksum", func() error { return os.WriteFile(path, text, 0o644) }},
		{"is missing", func() error { return os.Remove(path) }},
	} {
		if err := damage.do(); err != nil {
			t.Fatal(err)
		}
		c.Shards = 0
		if n, err := openCluster(t.Context(), c); err == nil {
			t.Errorf("opened, want an error with %q: %v", damage.says, n.Close())
		} else if !strings.Contains(err.Error(), damage.says) {
			t.Errorf("open: %v, want %q", err, damage.says)
		}
	}
}

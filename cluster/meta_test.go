package cluster

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestMetaIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made, err := loadMeta(dir, 4, 1000, Found{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadMeta(dir, 0, 77, Found{})
	if err != nil || !reflect.DeepEqual(again, made) {
		t.Errorf("loaded %+v (%v), want %+v", again, err, made)
	}
	if _, err := loadMeta(dir, 8, 1000, Found{}); err == nil || !strings.Contains(err.Error(), "made with 4 shards") {
		t.Errorf("with 8 shards: %v, want an error that names the 4", err)
	}
	other, err := loadMeta(t.TempDir(), 0, 1000, Found{})
	if err != nil || other.Shards != 8 || other.Cluster == made.Cluster {
		t.Errorf("another cluster: %+v (%v), want 8 shards and a different id", other, err)
	}
}

func TestMetaNoticesDamage(t *testing.T) {
	dir := t.TempDir()
	if _, err := loadMeta(dir, 8, 1000, Found{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := append([]byte(nil), text...)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if m, err := loadMeta(dir, 0, 1000, Found{}); err == nil {
			t.Errorf("with a flipped bit in byte %d: loaded %+v", i, m)
		}
		if err := os.WriteFile(path, text[:i], 0o644); err != nil {
			t.Fatal(err)
		}
		if m, err := loadMeta(dir, 0, 1000, Found{}); err == nil {
			t.Errorf("cut after %d bytes: loaded %+v", i, m)
		}
	}
}

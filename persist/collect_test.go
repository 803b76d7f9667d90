package persist

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSpaceOfOldSnapshotsComesBack takes snapshots that each replace all pages: the space they take on
// disk must not grow with their number.
func TestSpaceOfOldSnapshotsComesBack(t *testing.T) {
	cfg := smallDB(t.TempDir())
	cfg.CollectAfter = 32 << 20
	db := openTestDB(t, cfg)
	s := openTestSnapshots(t, db, 2)
	rnd := rand.New(rand.NewPCG(1, 1))
	var most int64
	for index := uint64(1); index <= 8; index++ {
		pages := make([]testPage, 300)
		for i := range pages {
			pages[i] = testPage{1, fmt.Sprint(i), make([]byte, 100<<10)}
			for j := 0; j < len(pages[i].data); j += 16 {
				pages[i].data[j] = byte(rnd.Uint32())
			}
		}
		id := takeSnapshot(t, s, index, pages)
		wantSnapshot(t, s, id, pages)
		most = max(most, blocksOf(t, cfg.Dir))
	}
	// Two snapshots of 30 MB are kept, files are 64 MiB, and collection is a few files late.
	if limit := int64(150 << 20); most > limit {
		t.Fatalf("%d MiB on disk for two snapshots of 30 MB, limit %d MiB", most>>20, limit>>20)
	}
	t.Logf("at most %d MiB, at the end %d MiB", most>>20, blocksOf(t, cfg.Dir)>>20)
}

// blocksOf returns the bytes that a directory's files take on disk, without holes.
func blocksOf(t *testing.T, dir string) int64 {
	t.Helper()
	var sum int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Stat(path, &st) != nil {
			return err
		}
		sum += st.Blocks * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

package persist

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft-wal/metadb"
)

// TestFreeListIsChecked makes the free list of raft-wal's metadata name a page that does not exist:
// bbolt would only notice at a later write, and panic.
func TestFreeListIsChecked(t *testing.T) {
	dir := t.TempDir()
	l := openVerified(t, smallLog(dir))
	appendTo(t, l, batch(1, 1, 100))
	for term := range uint64(3) {
		if err := l.SetUint64([]byte("CurrentTerm"), term); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, metadb.FileName)
	b := readFile(t, path)
	damaged := 0
	for page := os.Getpagesize() * 2; page < len(b); page += os.Getpagesize() {
		const freeListPage, headerSize = 0x10, 16 // of bbolt's pages: id, flags, count, overflow
		if flags, count := binary.LittleEndian.Uint16(b[page+8:]), binary.LittleEndian.Uint16(b[page+10:]); flags == freeListPage && count > 0 {
			b[page+headerSize] ^= 0x40
			damaged++
		}
	}
	if damaged == 0 {
		t.Fatal("the file has no free list with entries")
	}
	writeFile(t, path, b)
	l, err := OpenLog(smallLog(dir))
	if err == nil {
		err = errors.Join(errors.New("opened"), l.Close())
	}
	wantDamage(t, err, 0)
	wantDamage(t, logDamage(dir), 0)
}

package persist

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// DiskSpace is the free and total space of a file system, in bytes.
type DiskSpace struct {
	Free  uint64 // available to an ordinary process
	Total uint64
}

// StatFunc measures the file system that holds dir. Configs have one so that a test can simulate a full
// disk.
type StatFunc func(dir string) (DiskSpace, error)

// Space reports whether writes may continue. Low is an early warning: callers stop accepting new work. Full
// means that persist itself refuses writes.
type Space struct {
	DiskSpace
	Floor uint64
	Low   bool
	Full  bool
}

// guard refuses writes before the disk is full. Both libraries need it: Badger writes through mmap, where a
// full disk is SIGBUS and ends the process; raft-wal preallocates segments in the background and seals
// itself forever if that fails.
type guard struct {
	dir   string
	floor uint64
	stat  StatFunc
}

// checkFree returns a *FullError unless n more bytes leave the floor free.
func (g guard) checkFree(n uint64) error {
	s, err := g.stat(g.dir)
	if err != nil {
		return fmt.Errorf("measure free space of %s: %w", g.dir, err)
	}
	if s.Free < g.floor+n {
		return &FullError{Dir: g.dir, Free: s.Free, Needs: g.floor + n}
	}
	return nil
}

// lowGuard is for deletions, which free space: they may go below the floor, but not to the last block.
func (db *DB) lowGuard() guard {
	g := db.guard
	g.floor /= 4
	return g
}

func (g guard) space() (Space, error) {
	s, err := g.stat(g.dir)
	if err != nil {
		return Space{}, fmt.Errorf("measure free space of %s: %w", g.dir, err)
	}
	return Space{DiskSpace: s, Floor: g.floor, Low: s.Free < g.floor+g.floor/2, Full: s.Free < g.floor}, nil
}

// ballast is a file of real blocks that is deleted when the disk runs out of space, so that work in progress
// (flushing a memtable, rotating a segment, deleting old pages) can finish.
type ballast struct {
	path string
	size uint64

	mu struct {
		sync.Mutex
		held bool
	}
}

func openBallast(dir string, size uint64) *ballast {
	b := &ballast{path: filepath.Join(dir, "ballast"), size: size}
	if fi, err := os.Stat(b.path); err == nil && uint64(fi.Size()) == size {
		b.mu.held = true
	}
	return b
}

// adjust creates or deletes the ballast according to the free space. The two thresholds differ by more than
// the size of the ballast, so creating it never causes deleting it.
func (b *ballast) adjust(s Space) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.mu.held && s.Free < s.Floor/2:
		if err := os.Remove(b.path); err != nil {
			return fmt.Errorf("delete ballast: %w", err)
		}
		b.mu.held = false
	case !b.mu.held && b.size > 0 && s.Free > 2*s.Floor+b.size:
		if err := fillFile(b.path, b.size); err != nil {
			_ = os.Remove(b.path)
			return fmt.Errorf("create ballast: %w", err)
		}
		b.mu.held = true
	}
	return nil
}

// fillFile writes real blocks: a sparse file would take no space.
func fillFile(path string, size uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for left := size; left > 0; {
		n := min(left, uint64(len(block)))
		if _, err := f.Write(block[:n]); err != nil {
			return err
		}
		left -= n
	}
	return f.Sync()
}

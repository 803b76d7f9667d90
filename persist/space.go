package persist

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// DiskSpace is what the file system under a directory has, in bytes.
type DiskSpace struct {
	Free  uint64 // available to an ordinary process
	Total uint64
}

// StatFunc measures the file system that holds dir. Configs take one so that a test can fill a
// disk without filling one.
type StatFunc func(dir string) (DiskSpace, error)

// Space is the answer to "may I go on writing?". Low is the earlier warning: writers upstream stop
// taking new work. Full means that persist itself refuses.
type Space struct {
	DiskSpace
	Floor uint64
	Low   bool
	Full  bool
}

// guard refuses writes before the disk is full. Both users need it to act early: Badger writes
// through mmap, where a full disk is SIGBUS and ends the process; raft-wal preallocates segments in
// the background and seals itself for ever if that fails.
type guard struct {
	dir   string
	floor uint64
	stat  StatFunc
}

// room returns a *FullError unless n more bytes leave the floor untouched.
func (g guard) room(n uint64) error {
	s, err := g.stat(g.dir)
	if err != nil {
		return fmt.Errorf("measure free space of %s: %w", g.dir, err)
	}
	if s.Free < g.floor+n {
		return &FullError{Dir: g.dir, Free: s.Free, Needs: g.floor + n}
	}
	return nil
}

// lowGuard is for what gives space back: it may go on below the floor, but not to the last block.
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

// ballast is a file of real blocks that is given up when the disk runs dry, so that what is already
// under way (flushing a memtable, rotating a segment, deleting old pages) has room to finish.
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

// adjust takes or gives up the ballast, whichever the free space asks for. Between the two levels
// lies more than the ballast itself, so that taking it never causes giving it up.
func (b *ballast) adjust(s Space) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.mu.held && s.Free < s.Floor/2:
		if err := os.Remove(b.path); err != nil {
			return fmt.Errorf("give up ballast: %w", err)
		}
		b.mu.held = false
	case !b.mu.held && b.size > 0 && s.Free > 2*s.Floor+b.size:
		if err := fillFile(b.path, b.size); err != nil {
			_ = os.Remove(b.path)
			return fmt.Errorf("take ballast: %w", err)
		}
		b.mu.held = true
	}
	return nil
}

// fillFile writes real blocks: a sparse file would hold nothing back.
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

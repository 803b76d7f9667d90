package persist

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// failingFiles are raft-wal's files on a disk whose fsyncs fail while cause is set.
type failingFiles struct {
	types.VFS
	cause atomic.Pointer[syscall.Errno]
}

func newFailingFiles() *failingFiles { return &failingFiles{VFS: fs.New()} }

func (f *failingFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	file, err := f.VFS.Create(dir, name, size)
	return &failingFile{file, f}, err
}

func (f *failingFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	file, err := f.VFS.OpenWriter(dir, name)
	return &failingFile{file, f}, err
}

type failingFile struct {
	types.WritableFile
	files *failingFiles
}

func (f *failingFile) Sync() error {
	if cause := f.files.cause.Load(); cause != nil {
		return *cause
	}
	return f.WritableFile.Sync()
}

// TestLogFailsForGood lets one fsync fail. The log reports it once, with the reason, and refuses every
// write after it although the disk works again. Entries acknowledged earlier are there after a reopen.
func TestLogFailsForGood(t *testing.T) {
	for _, cause := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		t.Run(cause.Error(), func(t *testing.T) {
			files, cfg := newFailingFiles(), smallLog(t.TempDir())
			var reported []error
			cfg.files, cfg.Failed = files, func(err error) { reported = append(reported, err) }
			l := openVerified(t, cfg)
			appendTo(t, l, batch(1, 1, 10, 10))
			files.cause.Store(&cause)
			if err := l.StoreLogs(batch(3, 1, 10)); !errors.Is(err, cause) {
				t.Fatalf("append with a failing fsync: %v, want %v", err, cause)
			}
			files.cause.Store(nil)
			for range 2 {
				if err := l.StoreLogs(batch(3, 1, 10)); !errors.Is(err, cause) {
					t.Errorf("append after a failed one: %v, want %v", err, cause)
				}
			}
			if err := l.DeleteRange(1, 1); !errors.Is(err, cause) {
				t.Errorf("truncate after a failed append: %v, want %v", err, cause)
			}
			if len(reported) != 1 || !errors.Is(reported[0], cause) || !errors.Is(l.Err(), cause) {
				t.Errorf("Failed was called with %v, Err is %v, want %v once", reported, l.Err(), cause)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openVerified(t, smallLog(cfg.Dir))
			if last, err := l.LastIndex(); err != nil || last < 2 {
				t.Errorf("after reopening the log ends at %d (%v), want at least 2", last, err)
			}
		})
	}
}

// TestFullDiskIsNoFailure refuses an append for lack of space and accepts it when there is some.
func TestFullDiskIsNoFailure(t *testing.T) {
	free := uint64(1 << 30)
	cfg := smallLog(t.TempDir())
	cfg.Stat = func(string) (DiskSpace, error) { return DiskSpace{Free: free, Total: 1 << 30}, nil }
	cfg.Failed = func(err error) { t.Errorf("the log failed: %v", err) }
	l := openVerified(t, cfg)
	appendTo(t, l, batch(1, 1, 10))
	free = 100
	if err := l.StoreLogs(batch(2, 1, 10)); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("append on a full disk: %v, want ErrDiskFull", err)
	}
	free = 1 << 30
	appendTo(t, l, batch(2, 1, 10))
}

// TestStableStoreEndsTheProcess checks that raft, which would panic, never sees the error of a vote that
// could not be stored: its goroutine waits for the process to end.
func TestStableStoreEndsTheProcess(t *testing.T) {
	cfg := smallLog(t.TempDir())
	reported := make(chan error, 1)
	cfg.Failed = func(err error) { reported <- err }
	l := openVerified(t, cfg)
	returned := make(chan error, 1)
	go func() { returned <- l.failAndBlock(syscall.EIO) }()
	if err := <-reported; !errors.Is(err, syscall.EIO) {
		t.Errorf("Failed was called with %v, want EIO", err)
	}
	if err := l.StoreLogs(batch(1, 1, 10)); !errors.Is(err, syscall.EIO) {
		t.Errorf("append after a vote that was not stored: %v, want EIO", err)
	}
	select {
	case err := <-returned:
		t.Errorf("raft got %v", err)
	default:
	}
}

// TestLogClosedIsNoFailure reads from a closed log, as raft may do while it shuts down.
func TestLogClosedIsNoFailure(t *testing.T) {
	cfg := smallLog(t.TempDir())
	cfg.Failed = func(err error) { t.Errorf("the log failed: %v", err) }
	l := openVerified(t, cfg)
	appendTo(t, l, batch(1, 1, 10))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Set([]byte("CurrentTerm"), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("set: %v, want ErrClosed", err)
	}
	if err := l.GetLog(1, new(raft.Log)); err == nil {
		t.Error("a closed log returned an entry")
	}
}

// TestDatabaseFailsForGood checks that after a failure every Sync fails, so that no manifest refers to data that
// may be lost, and that the failure is reported once.
func TestDatabaseFailsForGood(t *testing.T) {
	cfg := smallDB(t.TempDir())
	var reported []error
	cfg.Failed = func(err error) { reported = append(reported, err) }
	db := openTestDB(t, cfg)
	if err := db.Sync(); err != nil {
		t.Fatal(err)
	}
	_ = db.fail(syscall.EIO)
	_ = db.fail(syscall.ENOSPC)
	if err := db.Sync(); !errors.Is(err, syscall.EIO) || !errors.Is(db.Err(), syscall.EIO) {
		t.Errorf("sync: %v, Err says %v, want EIO", err, db.Err())
	}
	if len(reported) != 1 {
		t.Errorf("Failed was called with %v, want one error", reported)
	}
}

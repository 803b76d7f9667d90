package persist

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterdb/muster/internal/node/disk"
)

// childEnv is set when a test runs the test binary again, because it needs a process that it can kill.
const childEnv = "MUSTER_PERSIST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := childAppends(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// childAppends appends to a log and a history until it is killed, and prints each index once it is
// acknowledged.
func childAppends(data string) error {
	l, err := OpenLog(LogConfig{Dir: LogDir(data, "g"), SegmentSize: 16 << 10, Floor: 1})
	if err != nil {
		return err
	}
	if err := l.Verify(context.Background()); err != nil {
		return err
	}
	db, err := OpenDB(smallDB(DBDir(data)))
	if err != nil {
		return err
	}
	h, err := NewHistory(db, HistoryConfig{Group: "g", BlobSize: 4000, RunLength: 100})
	if err != nil {
		return err
	}
	last, err := l.LastIndex()
	if err != nil {
		return err
	}
	// The history replays the entries that it lacks.
	for index := h.Synced() + 1; index <= last; index++ {
		if err := h.Append(index, []disk.Record{{Key: index % 3, Data: strconv.AppendUint(nil, index, 10)}}); err != nil {
			return err
		}
	}
	for index := last + 1; ; {
		sizes := make([]int, 1+rand.IntN(4))
		for i := range sizes {
			sizes[i] = rand.IntN(3000)
		}
		if err := l.StoreLogs(batch(index, 1, sizes...)); err != nil {
			return err
		}
		for range sizes {
			if err := h.Append(index, []disk.Record{{Key: index % 3, Data: strconv.AppendUint(nil, index, 10)}}); err != nil {
				return err
			}
			index++
		}
		if rand.IntN(20) == 0 {
			if err := h.Sync(index - 1); err != nil {
				return err
			}
		}
		fmt.Println(index - 1)
	}
}

// TestKilledProcess kills an appending process ten times and checks that all acknowledged entries are there.
func TestKilledProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	data := t.TempDir()
	var acked uint64
	for round := range 10 {
		acked = killAfter(t, data, acked, 5+rand.IntN(60))
		l := openVerified(t, LogConfig{Dir: LogDir(data, "g"), SegmentSize: 16 << 10, Floor: 1})
		if last, _ := l.LastIndex(); last < acked {
			t.Fatalf("round %d: log ends at %d, %d was acknowledged", round, last, acked)
		}
		l.Close()
	}
	if problems := checkData(t, data); len(problems) > 0 {
		t.Fatal(problems)
	}
	db := openTestDB(t, smallDB(DBDir(data)))
	h, err := NewHistory(db, HistoryConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	next := uint64(1)
	err = h.All(context.Background(), func(e disk.Entry) error {
		if e.Seq != next || string(e.Data) != strconv.FormatUint(next, 10) {
			return fmt.Errorf("record %d is %q of entry %d", next, e.Data, e.Seq)
		}
		next++
		return nil
	})
	if err != nil || next != h.Synced()+1 || next == 1 {
		t.Fatalf("history ends at %d, synced %d, %v", next-1, h.Synced(), err)
	}
}

// killAfter lets a child acknowledge n batches, kills it, and returns the last acknowledged index.
func killAfter(t *testing.T, data string, acked uint64, n int) uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+data)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		if acked, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
		if i == n {
			_ = cmd.Process.Kill()
		}
	}
	_, _ = io.Copy(io.Discard, out)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return acked
}

// TestFullDisk fills a small real disk, frees some space, and continues. If one write passed the floor,
// Badger would end this process with SIGBUS.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=160m"); err != nil {
		t.Skipf("mount tmpfs: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	other := dir + "/other"
	if err := fillFile(other, 40<<20); err != nil {
		t.Fatal(err)
	}
	db, err := OpenDB(DBConfig{Dir: DBDir(dir), MemTableSize: minMemTable, Floor: 40 << 20, Ballast: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(LogConfig{Dir: LogDir(dir, "g"), SegmentSize: 1 << 20, Floor: 20 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
	h, err := NewHistory(db, HistoryConfig{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	fill := filler{l: l, h: h, index: 1, rnd: rand.New(rand.NewPCG(1, 1))}
	logged, kept := fill.run(t)
	s, err := db.Space()
	if err != nil || !s.Full || logged == 0 || kept == 0 || kept >= logged {
		t.Fatalf("%d entries logged, %d kept, space %+v, %v", logged, kept, s, err)
	}
	if err := h.Sync(0); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("got %v, want ErrDiskFull", err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if more, _ := fill.run(t); more == 0 {
		t.Fatal("nothing was accepted after space was freed")
	}
	if err := errors.Join(l.Err(), l.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := logDamage(LogDir(dir, "g")); err != nil {
		t.Fatal(err)
	}
}

// filler appends incompressible entries to a log and a history.
type filler struct {
	l     *Log
	h     *History
	index uint64
	rnd   *rand.Rand
}

// run appends until the log refuses, and returns how many entries the log and the history accepted.
func (f *filler) run(t *testing.T) (logged, kept int) {
	t.Helper()
	data := make([]byte, 100<<10)
	for {
		for i := 0; i < len(data); i += 4 {
			binary.LittleEndian.PutUint32(data[i:], f.rnd.Uint32())
		}
		entries := batch(f.index, 1, 0)
		entries[0].Data = data
		errLog := f.l.StoreLogs(entries)
		errHistory := f.h.Append(f.index, []disk.Record{{Key: 1, Data: data}})
		for _, err := range []error{errLog, errHistory} {
			if err != nil && !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
		}
		if errHistory == nil {
			kept++
		}
		if errLog != nil {
			return logged, kept
		}
		logged++
		f.index++
	}
}

package persist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/metadb"
)

func smallLog(dir string) LogConfig {
	return LogConfig{Dir: dir, SegmentSize: 4096, Floor: 1, MarkInterval: time.Hour}
}

// openVerified opens and verifies the log in dir. The log is closed when the test ends, if it is not yet.
func openVerified(t testing.TB, cfg LogConfig) *Log {
	t.Helper()
	l, err := OpenLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.Verify(context.Background()); err != nil {
		t.Fatal(err)
	}
	return l
}

func batch(from uint64, term uint64, sizes ...int) []*raft.Log {
	var logs []*raft.Log
	for i, n := range sizes {
		index := from + uint64(i)
		logs = append(logs, &raft.Log{
			Index: index, Term: term, Type: raft.LogCommand,
			Data:       bytes.Repeat([]byte{byte(index), byte(term)}, n/2),
			AppendedAt: time.Unix(1700000000, int64(index)).UTC(),
		})
	}
	return logs
}

func appendTo(t testing.TB, l *Log, logs []*raft.Log) {
	t.Helper()
	if err := l.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

// logDamage returns what Check finds in a log.
func logDamage(dir string) error {
	_, _, err := checkLog(context.Background(), dir)
	return err
}

// copyDir copies a log as a kill -9 at this moment would leave it.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func wantDamage(t testing.TB, err error, index uint64) {
	t.Helper()
	var d *DamageError
	if !errors.As(err, &d) {
		t.Fatalf("got %v, want a DamageError", err)
	}
	if index != 0 && d.Index != index {
		t.Fatalf("got %v, want it at %d", d, index)
	}
}

func TestLogRefusesUseBeforeVerify(t *testing.T) {
	l, err := OpenLog(smallLog(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.StoreLogs(batch(1, 1, 10)); !errors.Is(err, ErrUnverified) {
		t.Fatalf("got %v, want ErrUnverified", err)
	}
}

func TestLogRoundTrip(t *testing.T) {
	dir := t.TempDir()
	l := openVerified(t, smallLog(dir))
	logs := batch(1, 1, 0, 100, 2000, 5000)
	logs[2].Extensions = []byte("ext")
	logs[0].AppendedAt = time.Time{}
	logs[1].Type = raft.LogConfiguration
	appendTo(t, l, logs)
	if err := l.SetUint64([]byte("CurrentTerm"), 7); err != nil {
		t.Fatal(err)
	}
	if err := l.Set([]byte("LastVoteCand"), []byte("n1")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openVerified(t, smallLog(dir))
	for _, want := range logs {
		var got raft.Log
		if err := l.GetLog(want.Index, &got); err != nil {
			t.Fatal(err)
		}
		if got.Index != want.Index || got.Term != want.Term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) ||
			!bytes.Equal(got.Extensions, want.Extensions) || !got.AppendedAt.Equal(want.AppendedAt) {
			t.Fatalf("entry %d came back as %+v", want.Index, got)
		}
	}
	if term, err := l.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 {
		t.Fatalf("term %d, %v", term, err)
	}
	if vote, err := l.Get([]byte("LastVoteCand")); err != nil || string(vote) != "n1" {
		t.Fatalf("vote %q, %v", vote, err)
	}
	if v, err := l.GetUint64([]byte("absent")); err != nil || v != 0 {
		t.Fatalf("absent key gave %d, %v", v, err)
	}
	var none raft.Log
	if err := l.GetLog(5, &none); err != raft.ErrLogNotFound {
		t.Fatalf("got %v, want raft.ErrLogNotFound itself", err)
	}
	if got, want := l.LogBytes(), int64(4*entryHeader+7103); got > want || got < want-sizeStep {
		t.Fatalf("LogBytes %d, want about %d", got, want)
	}
}

// TestLogAgainstModel runs random appends, truncations, restarts and kills on a log and on a slice, and
// compares them after each step.
func TestLogAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	cfg := smallLog(t.TempDir())
	l := openVerified(t, cfg)
	model := map[uint64]uint64{} // index → term
	var first, last, term uint64 = 0, 0, 1
	for step := range 150 {
		switch op := rnd.IntN(10); {
		case op < 5:
			from := last + 1
			if last == 0 && rnd.IntN(2) == 0 {
				from = 1 + uint64(step)*100 // after an installed snapshot
			}
			sizes := make([]int, 1+rnd.IntN(5))
			for i := range sizes {
				sizes[i] = rnd.IntN(1200)
			}
			appendTo(t, l, batch(from, term, sizes...))
			if last == 0 {
				first = from
			}
			for i := range sizes {
				last = from + uint64(i)
				model[last] = term
			}
		case op < 6 && last > 0: // conflicting suffix
			from := first + rnd.Uint64N(last-first+1)
			if err := l.DeleteRange(from, last); err != nil {
				t.Fatal(err)
			}
			for i := from; i <= last; i++ {
				delete(model, i)
			}
			last, term = from-1, term+1
		case op < 7 && last > 0: // prefix after a snapshot, sometimes all
			to := first + rnd.Uint64N(last-first+1)
			if err := l.DeleteRange(first, to); err != nil {
				t.Fatal(err)
			}
			for i := first; i <= to; i++ {
				delete(model, i)
			}
			first = to + 1
		case op < 8:
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openVerified(t, cfg)
		case op < 9: // kill
			cfg = smallLog(copyDir(t, cfg.Dir))
			l.Close()
			l = openVerified(t, cfg)
		}
		if last < first || len(model) == 0 {
			first, last = 0, 0
		}
		compareWithModel(t, l, model, first, last, fmt.Sprintf("seed %d step %d", seed, step))
	}
}

func compareWithModel(t *testing.T, l *Log, model map[uint64]uint64, first, last uint64, at string) {
	t.Helper()
	gotFirst, _ := l.FirstIndex()
	gotLast, _ := l.LastIndex()
	if gotFirst != first || gotLast != last {
		t.Fatalf("%s: log is %d to %d, want %d to %d", at, gotFirst, gotLast, first, last)
	}
	for index, term := range model {
		var got raft.Log
		if err := l.GetLog(index, &got); err != nil || got.Term != term || got.Index != index {
			t.Fatalf("%s: entry %d has term %d, %v; want term %d", at, index, got.Term, err, term)
		}
	}
}

// TestLogCutAtEveryByte cuts the tail at each byte of the last batch. Before its acknowledgement the cut is
// a torn write, which is no damage. After it, the cut is a loss that must be noticed.
func TestLogCutAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	l := openVerified(t, LogConfig{Dir: dir, SegmentSize: 1 << 16, Floor: 1, MarkInterval: time.Hour})
	appendTo(t, l, batch(1, 1, 100, 50))
	markBefore, err := os.ReadFile(filepath.Join(dir, markName))
	if err != nil {
		t.Fatal(err)
	}
	segment := onlySegment(t, dir)
	end := parseFrames(readFile(t, segment)).end
	appendTo(t, l, batch(3, 1, 60, 30))
	full := parseFrames(readFile(t, segment)).end
	kill := copyDir(t, dir)
	markAfter := readFile(t, filepath.Join(kill, markName))
	segment = filepath.Join(kill, filepath.Base(segment))
	whole := readFile(t, segment)

	for cut := end; cut <= full; cut++ {
		b := bytes.Clone(whole)
		clear(b[cut:])
		writeFile(t, segment, b)
		writeFile(t, filepath.Join(kill, markName), markBefore)
		if err := logDamage(kill); err != nil {
			t.Fatalf("torn unacknowledged batch, cut at %d of %d to %d: %v", cut, end, full, err)
		}
		writeFile(t, filepath.Join(kill, markName), markAfter)
		err := logDamage(kill)
		if intact := bytes.Equal(b, whole); intact != (err == nil) {
			t.Fatalf("acknowledged batch, cut at %d of %d to %d: %v", cut, end, full, err)
		}
		if err != nil {
			wantDamage(t, err, 3)
		}
	}

	// The same once more through OpenLog and Verify.
	b := bytes.Clone(whole)
	clear(b[full-20:])
	writeFile(t, segment, b)
	_, err = OpenLog(smallLog(kill))
	wantDamage(t, err, 3)
	writeFile(t, filepath.Join(kill, markName), markBefore)
	l = openVerified(t, smallLog(kill))
	if last, _ := l.LastIndex(); last != 2 {
		t.Fatalf("log ends at %d after cutting a torn batch, want 2", last)
	}
	appendTo(t, l, batch(3, 2, 4))
	l.Close()
	openVerified(t, smallLog(kill))
}

// TestLogDetectsEveryFlippedByte flips each byte of a log with sealed segments. A flip must be reported, or
// not matter (padding, segment creation), in which case every entry reads the same.
func TestLogDetectsEveryFlippedByte(t *testing.T) {
	dir := t.TempDir()
	l := openVerified(t, smallLog(dir))
	for i := uint64(0); i < 9; i++ {
		appendTo(t, l, batch(1+2*i, 1, 300, 200))
	}
	l.Close()
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(segments) < 2 {
		t.Fatalf("%d segments, %v; want several", len(segments), err)
	}
	good := logContent(t, dir)
	flips, harmless := 0, 0
	for _, path := range segments {
		whole := readFile(t, path)
		for off := 0; off < len(whole); off += 7 {
			b := bytes.Clone(whole)
			b[off] ^= 0x40
			writeFile(t, path, b)
			flips++
			if err := logDamage(dir); err == nil {
				harmless++
				if logContent(t, dir) != good {
					t.Fatalf("flip at %d of %s changes entries and was not noticed", off, filepath.Base(path))
				}
			} else {
				wantDamage(t, err, 0)
			}
		}
		writeFile(t, path, whole)
	}
	if harmless == flips {
		t.Fatal("no flip was noticed")
	}
}

// logContent is the concatenation of all entries as the raw files have them.
func logContent(t *testing.T, dir string) string {
	t.Helper()
	mark, err := readMark(filepath.Join(dir, markName))
	if err != nil {
		t.Fatal(err)
	}
	state, _, err := readMeta(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, info := range state.Segments {
		if _, err := scanSegment(dir, mark.id, info, func(_ uint64, b []byte) error {
			all.Write(b)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func TestLogNoticesLostFiles(t *testing.T) {
	dir := t.TempDir()
	l := openVerified(t, smallLog(dir))
	for i := uint64(1); i < 20; i++ {
		appendTo(t, l, batch(i, 1, 600))
	}
	l.Close()
	segments, _ := filepath.Glob(filepath.Join(dir, "*.wal"))
	lost := append(segments, filepath.Join(dir, markName), filepath.Join(dir, metadb.FileName))
	for _, path := range lost {
		t.Run(filepath.Base(path), func(t *testing.T) {
			kill := copyDir(t, dir)
			if err := os.Remove(filepath.Join(kill, filepath.Base(path))); err != nil {
				t.Fatal(err)
			}
			l, err := OpenLog(smallLog(kill))
			if err == nil {
				err = l.Verify(context.Background())
				l.Close()
			}
			wantDamage(t, err, 0)
			wantDamage(t, logDamage(kill), 0)
		})
	}
}

// TestLogFindsLossWithoutMark puts an old mark next to a log that is damaged in the middle: the entries
// after the damage prove that those before them were acknowledged.
func TestLogFindsLossWithoutMark(t *testing.T) {
	dir := t.TempDir()
	l := openVerified(t, LogConfig{Dir: dir, SegmentSize: 1 << 16, Floor: 1, MarkInterval: time.Hour})
	appendTo(t, l, batch(1, 1, 100))
	mark := readFile(t, filepath.Join(dir, markName))
	for i := uint64(2); i < 6; i++ {
		appendTo(t, l, batch(i, 1, 100))
	}
	l.Close()
	writeFile(t, filepath.Join(dir, markName), mark)
	segment := onlySegment(t, dir)
	b := readFile(t, segment)
	b[parseFrames(b).offsets[2]-walFrameHeader] = 9 // the type of entry 3's frame
	writeFile(t, segment, b)
	_, err := OpenLog(smallLog(dir))
	wantDamage(t, err, 3)
}

// TestLogSurvivesKillDuringRotation kills between the append that fills a segment and the metadata update,
// where raft-wal alone would refuse every further append.
func TestLogSurvivesKillDuringRotation(t *testing.T) {
	dir := t.TempDir()
	l := openVerified(t, smallLog(dir))
	appendTo(t, l, batch(1, 1, 1500))
	meta := readFile(t, filepath.Join(dir, metadb.FileName))
	appendTo(t, l, batch(2, 1, 3000)) // seals
	kill := copyDir(t, dir)
	writeFile(t, filepath.Join(kill, metadb.FileName), meta)
	for range 2 {
		l := openVerified(t, smallLog(kill))
		last, _ := l.LastIndex()
		appendTo(t, l, batch(last+1, 1, 100, 3000, 3000))
		l.Close()
	}
	l = openVerified(t, smallLog(kill))
	if last, _ := l.LastIndex(); last != 8 {
		t.Fatalf("log ends at %d, want 8", last)
	}
}

func TestLogRefusesWhenDiskIsLow(t *testing.T) {
	free := uint64(1 << 30)
	cfg := smallLog(t.TempDir())
	cfg.Floor = 1 << 20
	cfg.Stat = func(string) (DiskSpace, error) { return DiskSpace{Free: free, Total: 1 << 31}, nil }
	l := openVerified(t, cfg)
	appendTo(t, l, batch(1, 1, 100))
	free = 1 << 20
	err := l.StoreLogs(batch(2, 1, 100))
	var full *FullError
	if !errors.Is(err, ErrDiskFull) || !errors.As(err, &full) || full.Free != free {
		t.Fatalf("got %v, want ErrDiskFull with its numbers", err)
	}
	free = 1 << 30
	appendTo(t, l, batch(2, 1, 100))
	if l.Err() != nil {
		t.Fatalf("log failed: %v", l.Err())
	}
}

func TestLogNoticesFlippedVote(t *testing.T) {
	key, value := []byte("LastVoteCand"), []byte("node-1")
	l := openVerified(t, smallLog(t.TempDir()))
	if err := l.Set(key, value); err != nil {
		t.Fatal(err)
	}
	raw, err := l.w.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := l.w.Set(key, raw); err != nil {
		t.Fatal(err)
	}
	_, err = l.Get(key)
	wantDamage(t, err, 0)
}

func onlySegment(t *testing.T, dir string) string {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(segments) != 1 {
		t.Fatalf("%d segments, %v; want one", len(segments), err)
	}
	return segments[0]
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkLogAppend(b *testing.B) {
	for _, size := range []int{128, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			l := openVerified(b, LogConfig{Dir: b.TempDir(), Floor: 1})
			data := make([]byte, size)
			b.SetBytes(int64(size))
			var index uint64
			for b.Loop() {
				index++
				if err := l.StoreLog(&raft.Log{Index: index, Term: 1, Data: data}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestLogReadsWhileItIsTruncated reads entries during truncations and appends, for the race detector: raft
// does so from several goroutines.
func TestLogReadsWhileItIsTruncated(t *testing.T) {
	l := openVerified(t, smallLog(t.TempDir()))
	appendTo(t, l, batch(1, 1, 50, 50))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var entry raft.Log
			for {
				select {
				case <-done:
					return
				default:
				}
				last, err := l.LastIndex()
				if err == nil {
					err = l.GetLog(last, &entry)
				}
				if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
					t.Errorf("read entry %d: %v", last, err)
					return
				}
			}
		})
	}
	for index := uint64(3); index < 100; index++ {
		appendTo(t, l, batch(index, 1, 50))
		if err := l.DeleteRange(1, index-2); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	readers.Wait()
}

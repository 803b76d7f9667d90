package persist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/musterdb/muster/internal/node/disk"
)

func openTestHistory(t testing.TB, db *DB, cfg HistoryConfig) *History {
	t.Helper()
	cfg.Group = "shard-1"
	h, err := NewHistory(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// scanAll pages through a key's records, newest first.
func scanAll(t testing.TB, h *History, key uint64, limit int) []disk.Entry {
	t.Helper()
	var all []disk.Entry
	var at disk.Position
	for {
		entries, err := h.Scan(context.Background(), key, at, limit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entries...)
		if len(entries) < limit {
			return all
		}
		at = entries[limit-1].Position
	}
}

// historyModel is the simple implementation: all entries in a slice.
type historyModel struct {
	entries []disk.Entry
	last    uint64
}

func (m *historyModel) of(key uint64) []disk.Entry {
	var out []disk.Entry
	for _, e := range slices.Backward(m.entries) {
		if e.Key == key {
			out = append(out, e)
		}
	}
	return out
}

func (m *historyModel) cut(seq uint64) {
	m.entries = slices.DeleteFunc(m.entries, func(e disk.Entry) bool { return e.Seq > seq })
	m.last = seq
}

func sameEntries(a, b []disk.Entry) bool {
	return slices.EqualFunc(a, b, func(x, y disk.Entry) bool {
		return x.Position == y.Position && x.Key == y.Key && bytes.Equal(x.Data, y.Data)
	})
}

// TestHistoryAgainstModel runs random appends, replays, syncs, restarts and kills on a history and
// on a slice, and compares them.
func TestHistoryAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	cfg := HistoryConfig{BlobSize: 2000, RunLength: 150}
	dir := t.TempDir()
	db := openTestDB(t, smallDB(dir))
	h := openTestHistory(t, db, cfg)
	var model historyModel
	var synced uint64
	for step := range 150 {
		switch op := rnd.IntN(40); {
		case op < 30:
			seq := model.last + 1 + rnd.Uint64N(3)
			records := make([]disk.Record, rnd.IntN(30))
			for n := range records {
				records[n] = disk.Record{Key: rnd.Uint64N(12) << 60, Data: fmt.Appendf(nil, "%d/%d %x", seq, n, rnd.Uint64())}
				model.entries = append(model.entries, disk.Entry{Position: disk.Position{Seq: seq, N: uint32(n)}, Key: records[n].Key, Data: records[n].Data})
			}
			if err := h.Append(seq, records); err != nil {
				t.Fatal(err)
			}
			model.last = seq
		case op < 32: // replay
			if err := h.Append(rnd.Uint64N(model.last+1), []disk.Record{{Key: 1, Data: []byte("again")}}); err != nil {
				t.Fatal(err)
			}
		case op < 36:
			model.last += rnd.Uint64N(3) // entries without records
			if err := h.Sync(model.last); err != nil {
				t.Fatal(err)
			}
			synced = model.last
		case op < 38: // restart
			if err := errors.Join(h.Close(), db.Close()); err != nil {
				t.Fatal(err)
			}
			db = openTestDB(t, smallDB(dir))
			h = openTestHistory(t, db, cfg)
			synced = h.Synced()
			if synced != model.last {
				t.Fatalf("seed %d step %d: synced %d after close, want %d", seed, step, synced, model.last)
			}
		default: // kill
			h.working.Wait()
			dir = copyDB(t, dir)
			errors.Join(h.Close(), db.Close())
			db = openTestDB(t, smallDB(dir))
			h = openTestHistory(t, db, cfg)
			if h.Synced() != synced {
				t.Fatalf("seed %d step %d: synced %d after a kill, want %d", seed, step, h.Synced(), synced)
			}
			model.cut(synced)
		}
		key := rnd.Uint64N(12) << 60
		if got, want := scanAll(t, h, key, 1+rnd.IntN(40)), model.of(key); !sameEntries(got, want) {
			t.Fatalf("seed %d step %d: key %x has %d records, want %d", seed, step, key, len(got), len(want))
		}
	}
	wantAll(t, h, model.entries, seed)
}

// wantAll syncs and compares all records.
func wantAll(t *testing.T, h *History, want []disk.Entry, seed uint64) {
	t.Helper()
	if err := h.Sync(0); err != nil {
		t.Fatal(err)
	}
	var all []disk.Entry
	err := h.All(context.Background(), func(e disk.Entry) error {
		e.Data = bytes.Clone(e.Data)
		all = append(all, e)
		return nil
	})
	if err != nil || !sameEntries(all, want) {
		t.Fatalf("seed %d: All returned %d records, want %d; %v", seed, len(all), len(want), err)
	}
}

func TestHistoryRunsStayFew(t *testing.T) {
	db := openTestDB(t, smallDB(t.TempDir()))
	h := openTestHistory(t, db, HistoryConfig{RunLength: 500})
	const entries, each = 400, 100
	for seq := uint64(1); seq <= entries; seq++ {
		records := make([]disk.Record, each)
		for n := range records {
			records[n] = disk.Record{Key: uint64(n), Data: fmt.Append(nil, seq)}
		}
		if err := h.Append(seq, records); err != nil {
			t.Fatal(err)
		}
		if seq%3 == 0 {
			if err := h.Sync(seq); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.Sync(entries); err != nil {
		t.Fatal(err)
	}
	h.working.Wait()
	levels := map[int]int{}
	for _, r := range h.mu.runs {
		levels[r.level()]++
	}
	for level, n := range levels {
		if n >= mergeWidth {
			t.Errorf("%d runs of level %d", n, level)
		}
	}
	for _, key := range []uint64{0, 50, each - 1} {
		if got := scanAll(t, h, key, 64); len(got) != entries || got[0].Seq != entries || got[entries-1].Seq != 1 {
			t.Errorf("key %d has %d records, want %d", key, len(got), entries)
		}
	}
	parts := 0
	live := map[uint64]bool{}
	for _, r := range h.mu.runs {
		live[r.id] = true
	}
	err := db.keys(keyOf(kindRunPart, "shard-1"), nil, false, func(k []byte) (bool, error) {
		if parts++; !live[keyNumbers(k, "shard-1")[0]] {
			t.Errorf("a part of run %d was not deleted", keyNumbers(k, "shard-1")[0])
		}
		return true, nil
	})
	if err != nil || parts == 0 {
		t.Fatalf("%d parts, %v", parts, err)
	}
}

// TestHistoryOfBusyKey checks that the records of a key whose locators fill several parts, and those of its
// neighbours in the same parts, are all read from merged runs, whatever the limit.
func TestHistoryOfBusyKey(t *testing.T) {
	db := openTestDB(t, smallDB(t.TempDir()))
	h := openTestHistory(t, db, HistoryConfig{RunLength: baseRun, BlobSize: 4000})
	const busy = 1 << 40
	rnd := rand.New(rand.NewPCG(1, 2))
	want := map[uint64][]disk.Position{}
	for seq := uint64(1); seq <= 400; seq++ {
		records := make([]disk.Record, 100)
		for n := range records {
			records[n] = disk.Record{Key: busy}
			if rnd.IntN(3) == 0 {
				records[n].Key = busy - 2 + rnd.Uint64N(5)
			}
			want[records[n].Key] = append(want[records[n].Key], disk.Position{Seq: seq, N: uint32(n)})
		}
		if err := h.Append(seq, records); err != nil {
			t.Fatal(err)
		}
		if seq%50 == 0 {
			if err := h.Sync(seq); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.working.Wait()
	most := 0
	for _, r := range h.mu.runs {
		most = max(most, len(r.parts))
	}
	if most < 3 || len(want[busy]) < 2*partLocators {
		t.Fatalf("%d parts of a run, %d records of the busy key: too few for this test", most, len(want[busy]))
	}
	for key, positions := range want {
		for _, limit := range []int{len(positions) + 1, 1 + rnd.IntN(64)} {
			if key == busy && limit < partLocators {
				limit = partLocators - 1
			}
			got := scanAll(t, h, key, limit)
			slices.Reverse(got)
			if !slices.EqualFunc(got, positions, func(e disk.Entry, at disk.Position) bool { return e.Position == at }) {
				t.Fatalf("key %x, %d at a time: %d records, want %d", key, limit, len(got), len(positions))
			}
		}
	}
}

// TestHistoryMergeKilled stops after the merged run's head is written, before its sources are deleted.
func TestHistoryMergeKilled(t *testing.T) {
	dir := t.TempDir()
	db := openTestDB(t, smallDB(dir))
	h := openTestHistory(t, db, HistoryConfig{})
	for seq := uint64(1); seq <= 3; seq++ {
		if err := errors.Join(h.Append(seq, []disk.Record{{Key: 7, Data: []byte("a")}}), h.Sync(seq)); err != nil {
			t.Fatal(err)
		}
	}
	w := h.newRunWriter(100)
	for _, r := range h.mu.runs {
		w.r.replaces = append(w.r.replaces, r.id)
	}
	for seq := uint64(1); seq <= 3; seq++ {
		if err := w.add(locator{key: 7, at: disk.Position{Seq: seq}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.finish(true); err != nil {
		t.Fatal(err)
	}
	h = openTestHistory(t, openTestDB(t, smallDB(copyDB(t, dir))), HistoryConfig{})
	if len(h.mu.runs) != 1 || len(scanAll(t, h, 7, 10)) != 3 {
		t.Fatalf("%d runs, %d records; want 1 and 3", len(h.mu.runs), len(scanAll(t, h, 7, 10)))
	}
}

func TestHistoryDetectsFlippedBlob(t *testing.T) {
	db := openTestDB(t, smallDB(t.TempDir()))
	h := openTestHistory(t, db, HistoryConfig{})
	if err := errors.Join(h.Append(1, []disk.Record{{Key: 7, Data: []byte("abc")}}), h.Sync(1)); err != nil {
		t.Fatal(err)
	}
	flipValue(t, db, keyOf(kindBlob, "shard-1"), 0)
	_, err := h.Scan(context.Background(), 7, disk.Position{}, 10)
	wantDamage(t, err, 0)
	wantDamage(t, h.All(context.Background(), func(disk.Entry) error { return nil }), 0)
}

func TestHistoryContinuesAfterFullDisk(t *testing.T) {
	free := uint64(1 << 40)
	cfg := smallDB(t.TempDir())
	cfg.Stat = func(string) (DiskSpace, error) { return DiskSpace{Free: free, Total: 1 << 41}, nil }
	cfg.Floor = 1 << 20
	h := openTestHistory(t, openTestDB(t, cfg), HistoryConfig{BlobSize: 1000, RunLength: 10})
	free = 0
	record := []disk.Record{{Key: 1, Data: make([]byte, 600)}, {Key: 1, Data: make([]byte, 600)}, {Key: 1, Data: make([]byte, 600)}}
	seq := uint64(1)
	if err := h.Append(seq, record); err != nil {
		t.Fatalf("append of an entry that fits into memory: %v", err)
	}
	for range 3 {
		if err := h.Append(seq+1, record); !errors.Is(err, ErrDiskFull) {
			t.Fatalf("got %v, want ErrDiskFull", err)
		}
	}
	if err := h.Sync(seq); !errors.Is(err, ErrDiskFull) || h.Synced() != 0 {
		t.Fatalf("got %v, synced %d; want ErrDiskFull", err, h.Synced())
	}
	free = 1 << 40
	if err := errors.Join(h.Append(seq+1, record), h.Sync(seq+1)); err != nil {
		t.Fatal(err)
	}
	if n := len(scanAll(t, h, 1, 100)); n != 6 {
		t.Fatalf("%d records, want 6", n)
	}
}

func FuzzRunPart(f *testing.F) {
	f.Add(encodeRunPart([]locator{{1, disk.Position{Seq: 5, N: 2}}, {1, disk.Position{Seq: 5, N: 3}}, {9, disk.Position{Seq: 1, N: 0}}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		locators, err := decodeRunPart(in)
		if err != nil || len(locators) == 0 {
			return
		}
		again, err := decodeRunPart(encodeRunPart(locators))
		if err != nil || !slices.Equal(again, locators) {
			t.Fatalf("%v came back as %v, %v", locators, again, err)
		}
	})
}

// TestSortLocators compares the bucket sort with a plain sort: many keys, few keys, and one key that
// has most of the locators.
func TestSortLocators(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, keys := range []uint64{1, 2, 300, 1 << 40} {
		for _, n := range []int{0, 1, 2, 40, 5000} {
			all := make([]locator, n)
			for i := range all {
				key := rnd.Uint64N(keys) * 0x9e3779b97f4a7c15
				if i%3 == 0 {
					key = 1 << 63
				}
				all[i] = locator{key: key, at: disk.Position{Seq: uint64(i / 7), N: uint32(i % 7)}}
			}
			want := slices.Clone(all)
			slices.SortFunc(want, compareLocators)
			if got := sortLocators(all); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %d locators of %d keys are not sorted", seed, n, keys)
			}
		}
	}
}

func FuzzBlob(f *testing.F) {
	var b blobBuilder
	b.add(disk.Position{Seq: 1, N: 0}, disk.Record{Key: 7, Data: []byte("abc")})
	b.add(disk.Position{Seq: 1, N: 1}, disk.Record{Key: 8, Data: nil})
	b.add(disk.Position{Seq: 4, N: 0}, disk.Record{Key: 7, Data: []byte("d")})
	f.Add(b.encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := decodeBlob(in)
		if err != nil {
			return
		}
		var again blobBuilder
		if err := got.each(func(e disk.Entry) bool { again.add(e.Position, disk.Record{Key: e.Key, Data: e.Data}); return true }); err != nil || got.records == 0 {
			return
		}
		if again.records != got.records || again.last != got.last {
			t.Fatalf("blob of %d records to %v came back with %d to %v", got.records, got.last, again.records, again.last)
		}
	})
}

func BenchmarkHistoryAppend(b *testing.B) {
	h := openTestHistory(b, openTestDB(b, DBConfig{Dir: b.TempDir(), Floor: 1, Ballast: -1}), HistoryConfig{})
	rnd := rand.New(rand.NewPCG(1, 1))
	const each = 100
	records := make([]disk.Record, each)
	for i := range records {
		records[i].Data = fmt.Appendf(nil, `{"type":"track","event":"Order Completed","userId":"user-%09d","messageId":"%x","properties":{"amount":%d.99,"category":"shoes"},"timestamp":"2024-05-0%dT10:11:12.123Z","context":{"library":{"name":"analytics-node","version":"2.1.0"}}}`, rnd.IntN(1e6), rnd.Uint64(), rnd.IntN(1000), 1+i%9)
	}
	var seq uint64
	for b.Loop() {
		seq++
		for i := range records {
			records[i].Key = rnd.Uint64()
		}
		if err := h.Append(seq, records); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(seq*each), "ns/record")
}

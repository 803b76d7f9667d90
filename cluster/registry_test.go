package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// memoryPages is a snapshot in memory. It reads the pages it wrote.
type memoryPages struct {
	pages  [][3][]byte
	closed bool
}

func (m *memoryPages) WritePage(kind uint8, key, data []byte) error {
	m.pages = append(m.pages, [3][]byte{{kind}, bytes.Clone(key), bytes.Clone(data)})
	return nil
}

func (m *memoryPages) Close() error { m.closed = true; return nil }

func (m *memoryPages) Next() (uint8, []byte, []byte, error) {
	if len(m.pages) == 0 {
		return 0, nil, nil, io.EOF
	}
	p := m.pages[0]
	m.pages = m.pages[1:]
	return p[0][0], p[1], p[2], nil
}

// directDefiner returns a definer for a registry without raft.
func directDefiner(t *testing.T, r *registry) *definer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	index := uint64(0)
	d := newDefiner(ctx, &definer{
		registry: r,
		propose: func(_ context.Context, change []byte) (applied, error) {
			index++
			return r.Apply(&raft.Log{Index: index, Data: change}).(applied), nil
		},
		lag:     func() uint64 { return 0 },
		refused: func(catalog.ChangeKind) error { return nil },
	})
	t.Cleanup(func() { cancel(); <-d.done })
	return d
}

func attribute(name string) catalog.Name {
	return catalog.Name{Kind: query.AttributeName, Name: name, Type: tree.StringType}
}

func TestRegistrySurvivesSnapshot(t *testing.T) {
	r := newRegistry(parsePredicate, nil, func(uint64) {})
	d := directDefiner(t, r)
	for i := range 20 {
		if _, err := d.names(t.Context(), []catalog.Name{attribute(fmt.Sprint("a", i))}); err != nil {
			t.Fatal(err)
		}
	}
	entry := encodeRecords(map[string][]byte{"webhooks/x": {1, 2}, "webhooks/y": {}})[0]
	if a := r.Apply(&raft.Log{Data: entry}).(applied); a.err != nil || r.state.Load().Version() != 20 {
		t.Fatalf("records: %v, version %d", a.err, r.state.Load().Version())
	}
	image := &registryImage{state: r.state.Load(), changes: r.mu.changes, records: r.records.all()}
	pages := &memoryPages{}
	if err := image.write(pages); err != nil || !pages.closed {
		t.Fatalf("write: %v, closed %v", err, pages.closed)
	}
	restored := newRegistry(parsePredicate, nil, func(uint64) {})
	if err := restored.restore(pages); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(restored.state.Load().Encode(), r.state.Load().Encode()) {
		t.Error("the restored catalog differs")
	}
	if !maps.EqualFunc(restored.records.all(), r.records.all(), bytes.Equal) || len(r.records.all()) != 2 {
		t.Errorf("restored records %v", restored.records.all())
	}
	changes, err := restored.since(15, 20)
	if err != nil || len(changes) != 5 || changes[0].Version != 16 {
		t.Errorf("changes after 15: %d (%v), want 16 to 20", len(changes), err)
	}
	if _, err := restored.since(15, 21); err == nil {
		t.Error("a change that does not exist was found")
	}
}

func TestDefinerSharesChanges(t *testing.T) {
	r := newRegistry(parsePredicate, nil, func(uint64) {})
	d := directDefiner(t, r)
	var askers sync.WaitGroup
	for i := range 200 {
		askers.Go(func() {
			names := []catalog.Name{attribute(fmt.Sprint("own", i)), attribute("shared")}
			state, err := d.names(t.Context(), names)
			if err != nil {
				t.Errorf("define: %v", err)
				return
			}
			for _, name := range names {
				if _, _, ok := state.Attribute(name.Name); !ok {
					t.Errorf("the state returned lacks %s", name.Name)
				}
			}
		})
	}
	askers.Wait()
	if got := r.state.Load().Attributes(); got != 201 {
		t.Errorf("%d attributes, want 201", got)
	}
}

func TestDefinerRefusesBeyondTheLimit(t *testing.T) {
	r := newRegistry(parsePredicate, nil, func(uint64) {})
	d := directDefiner(t, r)
	for from := 0; from < catalog.MaxAttributes+5000; from += 1000 {
		names := make([]catalog.Name, 1000)
		for i := range names {
			names[i] = attribute(fmt.Sprint("a", from+i))
		}
		if _, err := d.names(t.Context(), names); err != nil {
			t.Fatal(err)
		}
	}
	state := r.state.Load()
	if state.Attributes() != catalog.MaxAttributes {
		t.Errorf("%d attributes, want %d", state.Attributes(), catalog.MaxAttributes)
	}
	if after, err := d.names(t.Context(), []catalog.Name{attribute("one more")}); err != nil || after.Version() != state.Version() {
		t.Errorf("after a refused name: version %d, want %d (%v)", after.Version(), state.Version(), err)
	}
}

func TestDefinerReturnsErrors(t *testing.T) {
	r := newRegistry(parsePredicate, nil, func(uint64) {})
	d := directDefiner(t, r)
	_, err := d.change(t.Context(), func(*catalog.State) (catalog.Change, error) {
		return catalog.Change{Kind: catalog.DropSegment, Name: "none"}, nil
	})
	if !errors.Is(err, catalog.ErrNotFound) || code(err) != "not_found" {
		t.Errorf("drop of nothing: %v", err)
	}
}

// pageStorage discards the pages of snapshots.
type pageStorage struct{ Storage }

func (pageStorage) PageWriter(io.Writer) disk.PageWriter { return &memoryPages{} }

// memorySink accepts a snapshot, or fails with err.
type memorySink struct {
	bytes.Buffer
	err error
}

func (*memorySink) ID() string     { return "memory" }
func (*memorySink) Cancel() error  { return nil }
func (s *memorySink) Close() error { return s.err }

// TestCatalogSnapshotsFollowItsBytes: a snapshot is due after limit bytes of log, and the next one after
// as many more, not earlier. A snapshot that failed stays due.
func TestCatalogSnapshotsFollowItsBytes(t *testing.T) {
	r := newRegistry(parsePredicate, pageStorage{}, func(uint64) {})
	const limit = 1 << 10
	target := &snapshotTarget{bytes: r.bytes.Load, limit: limit, last: time.Now(), busy: time.Now()}
	written := 0
	share := func() { // a webhook makes progress
		entry := encodeRecords(map[string][]byte{"webhooks/hook/a": bytes.Repeat([]byte{'x'}, 100)})[0]
		written += len(entry)
		if a := r.Apply(&raft.Log{Data: entry}).(applied); a.err != nil {
			t.Fatal(a.err)
		}
	}
	write := func(err error) {
		image, _ := r.Snapshot()
		share() // while it is written
		if got := image.Persist(&memorySink{err: err}); !errors.Is(got, err) {
			t.Fatalf("persist: %v, want %v", got, err)
		}
	}
	snapshots := 0
	for range 1000 {
		if share(); target.due(time.Hour) {
			write(nil)
			snapshots++
		}
	}
	if snapshots < written/limit*3/4 || snapshots > written/limit {
		t.Errorf("%d snapshots for %d bytes of log, want one for every %d", snapshots, written, limit)
	}
	for !target.due(time.Hour) {
		share()
	}
	write(io.ErrShortWrite)
	if !target.due(time.Hour) {
		t.Error("a failed snapshot is not due any more")
	}
}

package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node/disk"
)

// registry is the state machine of the catalog group: the newest catalog, and the encoded last changes,
// which every shard's proposer puts into that shard's own log.
type registry struct {
	parse   catalog.Parse
	storage Storage
	state   atomic.Pointer[catalog.State]
	changed func(version uint64) // called by raft's goroutine after each change; must not wait
	bytes   atomic.Int64         // applied since the last snapshot
	records records

	mu struct {
		sync.Mutex
		changes [][]byte // the last ones, ending with the newest version
	}
}

var _ raft.FSM = (*registry)(nil)

// keptChanges is how many versions a shard may lag. The definer waits for the shards long before that
// (see maxLag), so none ever lags more.
const keptChanges = 1024

// The pages of a catalog snapshot. Their keys are the numbers of the parts of a state, the versions of
// changes, and the keys of records.
const (
	pageCatalogState  = 1
	pageCatalogChange = 2
	pageRecord        = 3
)

// catalogPage is the largest part of a state in one page.
const catalogPage = 512 << 10

func newRegistry(parse catalog.Parse, storage Storage, changed func(uint64)) *registry {
	r := &registry{parse: parse, storage: storage, changed: changed}
	r.state.Store(catalog.New(parse))
	return r
}

// Apply implements raft.FSM. It applies a change of the catalog or of records.
func (r *registry) Apply(l *raft.Log) any {
	r.bytes.Add(int64(len(l.Data)))
	if len(l.Data) > 0 && l.Data[0] == recordsFormat {
		return applied{err: r.records.apply(l.Data)}
	}
	change, err := catalog.DecodeChange(l.Data)
	if err != nil {
		return applied{err: err}
	}
	next, err := r.state.Load().Apply(change)
	if err != nil {
		return applied{err: err}
	}
	r.mu.Lock()
	r.mu.changes = append(r.mu.changes, l.Data)
	if extra := len(r.mu.changes) - keptChanges; extra > 0 {
		r.mu.changes = append([][]byte(nil), r.mu.changes[extra:]...)
	}
	r.mu.Unlock()
	r.state.Store(next)
	r.changed(next.Version())
	return applied{result: next}
}

// since returns the changes that lead from version after to version upTo.
func (r *registry) since(after, upTo uint64) ([]catalog.Change, error) {
	coded, err := r.coded(after, upTo)
	if err != nil {
		return nil, err
	}
	changes := make([]catalog.Change, len(coded))
	for i, data := range coded {
		if changes[i], err = catalog.DecodeChange(data); err != nil {
			return nil, fmt.Errorf("read catalog change %d: %w", after+uint64(i)+1, err)
		}
	}
	return changes, nil
}

func (r *registry) coded(after, upTo uint64) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := r.state.Load().Version()
	oldest := newest - uint64(len(r.mu.changes)) // the version before the first change that is kept
	if after < oldest || upTo > newest || after > upTo {
		return nil, fmt.Errorf("read catalog changes %d to %d: versions %d to %d are kept", after, upTo, oldest, newest)
	}
	return append([][]byte(nil), r.mu.changes[after-oldest:upTo-oldest]...), nil
}

// Snapshot implements raft.FSM. The state is immutable, so a snapshot costs nothing here.
func (r *registry) Snapshot() (raft.FSMSnapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := append([][]byte(nil), r.mu.changes...)
	return &registryImage{state: r.state.Load(), changes: changes, records: r.records.all(), registry: r, bytes: r.bytes.Load()}, nil
}

// registryImage is a catalog snapshot that is being written.
type registryImage struct {
	state   *catalog.State
	changes [][]byte
	records map[string][]byte

	registry *registry
	bytes    int64 // of log that it includes
}

// Persist implements raft.FSMSnapshot.
func (i *registryImage) Persist(sink raft.SnapshotSink) error {
	if err := i.write(i.registry.storage.PageWriter(sink)); err != nil {
		return errors.Join(fmt.Errorf("write catalog snapshot: %w", err), sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	i.registry.bytes.Add(-i.bytes)
	return nil
}

func (i *registryImage) write(w disk.PageWriter) error {
	if err := i.writePages(w); err != nil {
		return err
	}
	return w.Close()
}

func (i *registryImage) writePages(w disk.PageWriter) error {
	data := i.state.Encode()
	for part := uint32(0); len(data) > 0; part++ {
		n := min(len(data), catalogPage)
		if err := w.WritePage(pageCatalogState, binary.BigEndian.AppendUint32(nil, part), data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	first := i.state.Version() - uint64(len(i.changes)) + 1
	for n, change := range i.changes {
		if err := w.WritePage(pageCatalogChange, binary.BigEndian.AppendUint64(nil, first+uint64(n)), change); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(i.records)) {
		if err := w.WritePage(pageRecord, []byte(key), i.records[key]); err != nil {
			return err
		}
	}
	return nil
}

// Release implements raft.FSMSnapshot.
func (i *registryImage) Release() {}

// Restore implements raft.FSM. It replaces everything by the contents of a snapshot.
func (r *registry) Restore(snapshot io.ReadCloser) error {
	return errors.Join(r.restore(r.storage.PageReader(snapshot)), snapshot.Close())
}

func (r *registry) restore(pages disk.PageReader) error {
	var data []byte
	var changes [][]byte
	records := map[string][]byte{}
	for {
		kind, key, page, err := pages.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read catalog snapshot: %w", err)
		}
		switch kind {
		case pageCatalogState:
			data = append(data, page...)
		case pageCatalogChange:
			changes = append(changes, append([]byte(nil), page...))
		case pageRecord:
			records[string(key)] = append([]byte{}, page...)
		default:
			return fmt.Errorf("read catalog snapshot: page of unknown kind %d", kind)
		}
	}
	state, err := catalog.Decode(data, r.parse)
	if err != nil {
		return fmt.Errorf("read catalog snapshot: %w", err)
	}
	if uint64(len(changes)) > state.Version() {
		return fmt.Errorf("read catalog snapshot: %d changes for version %d", len(changes), state.Version())
	}
	r.mu.Lock()
	r.mu.changes = changes
	r.mu.Unlock()
	r.records.restore(records)
	r.state.Store(state)
	r.changed(state.Version())
	return nil
}

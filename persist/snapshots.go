package persist

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Snapshots is a group's raft.SnapshotStore. A snapshot is a stream of pages (PageWriter). Pages are stored
// by content, so an unchanged page is not written again.
//
// Sinks, readers and the collection of unused pages may run at the same time. Nothing is collected while a
// sink is open, since the sink may use a page that no manifest mentions yet. A snapshot that is being read
// is kept even if newer ones exist.
type Snapshots struct {
	db    *DB
	group string
	keep  int

	// Sinks hold sweep for reading, the collector for writing. stopSweep makes the collector yield.
	sweep      sync.RWMutex
	stopSweep  atomic.Bool
	swept      sync.Once // firstSweep before the first sink, see NewSnapshots
	sweptErr   error
	rewriteAll bool // set by firstSweep: write pages even if they exist
	working    sync.WaitGroup

	mu struct {
		sync.Mutex
		closed bool
		pinned map[snapshotID]int
		gone   map[snapshotID]bool // being deleted, must not be pinned
		// suspect pages were found damaged: they are written again although they exist.
		suspect map[pageHash]bool
	}
}

var _ raft.SnapshotStore = (*Snapshots)(nil)

// NewSnapshots returns the store of a group's snapshots. It keeps the newest keep snapshots (at least one).
//
// Before the first sink writes, all pages that no manifest mentions are swept: they may be from a process
// that was killed, and after a power cut a key can exist without its value. From then on a page that exists
// either belongs to a committed snapshot, or was written by this process and becomes durable with the next
// Sync.
func NewSnapshots(db *DB, group string, keep int) (*Snapshots, error) {
	if group == "" || len(group) > maxGroupName {
		return nil, fmt.Errorf("open snapshots: group name of %d bytes", len(group))
	}
	s := &Snapshots{db: db, group: group, keep: max(keep, 1)}
	s.mu.pinned = map[snapshotID]int{}
	s.mu.gone = map[snapshotID]bool{}
	s.mu.suspect = map[pageHash]bool{}
	return s, nil
}

// Create begins a snapshot. The FSM writes pages to the sink through a PageWriter and closes both.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if s.isClosed() {
		return nil, fmt.Errorf("create snapshot: %w", ErrClosed)
	}
	if err := s.db.guard.checkFree(spaceStep); err != nil {
		return nil, fmt.Errorf("create snapshot: %w", err)
	}
	s.swept.Do(s.firstSweep)
	if s.sweptErr != nil {
		return nil, fmt.Errorf("create snapshot: %w", s.sweptErr)
	}
	s.stopSweep.Store(true)
	s.sweep.RLock()
	s.stopSweep.Store(false)
	return &sink{
		store: s,
		w:     s.db.newWriter(),
		m: manifest{
			id:      snapshotID{index: index, term: term, nano: uint64(time.Now().UnixNano())},
			version: version, configIndex: configurationIndex,
			configuration: raft.EncodeConfiguration(configuration),
		},
	}, nil
}

// List returns the intact snapshots, newest first. One with a damaged manifest or list is left out, which is
// logged.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var metas []*raft.SnapshotMeta
	for _, id := range ids {
		m, err := s.load(id)
		if err == nil {
			err = s.eachEntry(m, func(listEntry) error { return nil })
		}
		var meta *raft.SnapshotMeta
		if err == nil {
			meta, err = m.meta()
		}
		if err != nil {
			s.db.cfg.Logger.Error("snapshot left out", "group", s.group, "snapshot", id.String(), "err", err)
			continue
		}
		metas = append(metas, meta)
	}
	return metas, nil
}

// ids returns the ids of all manifests, newest first.
func (s *Snapshots) ids() ([]snapshotID, error) {
	var ids []snapshotID
	err := s.db.keys(keyOf(kindSnapshot, s.group), nil, true, func(key []byte) (bool, error) {
		if n := keyNumbers(key, s.group); len(n) == 3 {
			ids = append(ids, snapshotID{index: n[0], term: n[1], nano: n[2]})
		}
		return true, nil
	})
	return ids, err
}

func (s *Snapshots) load(id snapshotID) (manifest, error) {
	b, err := s.db.get(id.key(kindSnapshot, s.group))
	if err != nil {
		return manifest{}, fmt.Errorf("read manifest %s: %w", id, err)
	}
	m, err := decodeManifest(id, b)
	if err != nil {
		return manifest{}, &DamageError{Where: "manifest " + id.String(), Index: id.index, Reason: err.Error()}
	}
	return m, nil
}

// eachEntry calls fn with every page of m, in the stream's order. fn must not keep the entry's key.
func (s *Snapshots) eachEntry(m manifest, fn func(listEntry) error) error {
	var pages uint64
	for n := range m.lists {
		b, err := s.list(m, n)
		if err != nil {
			return err
		}
		for len(b) > 0 {
			var e listEntry
			if e, b, err = nextListEntry(b); err != nil {
				return &DamageError{Where: "snapshot " + m.id.String(), Index: m.id.index, Reason: err.Error()}
			}
			if err := fn(e); err != nil {
				return err
			}
			pages++
		}
	}
	if pages != m.pages {
		return &DamageError{Where: "snapshot " + m.id.String(), Index: m.id.index,
			Reason: fmt.Sprintf("its lists name %d pages, its manifest %d", pages, m.pages)}
	}
	return nil
}

func (s *Snapshots) list(m manifest, n uint64) ([]byte, error) {
	b, err := s.db.get(m.id.key(kindIndex, s.group, n))
	if errors.Is(err, errNoValue) {
		return nil, &DamageError{Where: "snapshot " + m.id.String(), Index: m.id.index,
			Reason: fmt.Sprintf("page list %d is missing", n)}
	}
	return b, err
}

// Open returns a snapshot's stream as it was written. Each page is verified before any of its bytes are
// returned; a damaged one ends the stream with a *DamageError.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	sid, err := parseSnapshotID(id)
	if err != nil {
		return nil, nil, fmt.Errorf("open snapshot: %w", err)
	}
	if !s.pin(sid) {
		return nil, nil, fmt.Errorf("open snapshot %s: %w", id, errNoValue)
	}
	m, err := s.load(sid)
	var meta *raft.SnapshotMeta
	if err == nil {
		meta, err = m.meta()
	}
	if err != nil {
		s.unpin(sid)
		return nil, nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	return meta, &snapshotReader{store: s, m: m}, nil
}

// Verify reads the whole snapshot and returns a *DamageError if it is damaged.
func (s *Snapshots) Verify(id string) error {
	_, r, err := s.Open(id)
	if err != nil {
		return err
	}
	pages := NewPageReader(r)
	for err == nil {
		_, _, _, err = pages.Next()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, r.Close())
}

func (s *Snapshots) pin(id snapshotID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.gone[id] {
		return false
	}
	s.mu.pinned[id]++
	return true
}

func (s *Snapshots) unpin(id snapshotID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.pinned[id]--; s.mu.pinned[id] == 0 {
		delete(s.mu.pinned, id)
	}
}

func (s *Snapshots) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.closed
}

// Close waits for the collector. Sinks and readers must be closed first.
func (s *Snapshots) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	s.mu.Unlock()
	s.stopSweep.Store(true)
	s.working.Wait()
	return nil
}

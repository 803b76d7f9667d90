package persist

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// OpenLog opens the log in cfg.Dir, creating an empty one if there is none. It cuts a torn tail, and
// returns a *DamageError when acknowledged entries are obviously missing. Verify checks the rest, and must
// succeed before the log may be used.
//
// REQUIRES: no one else has the directory open.
func OpenLog(cfg LogConfig) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l := &Log{cfg: cfg, guard: guard{dir: cfg.Dir, floor: cfg.Floor, stat: cfg.Stat}, stopped: make(chan struct{})}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := l.open(); err != nil {
		if l.meta != nil {
			_ = l.meta.Close()
		}
		if l.mu.mark != nil {
			_ = l.mu.mark.f.Close()
		}
		return nil, fmt.Errorf("open log %s: %w", cfg.Dir, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.syncMarks(ctx)
	return l, nil
}

func (l *Log) open() error {
	if err := l.openMark(); err != nil {
		return err
	}
	l.ident = l.mu.mark.state.id
	if _, _, err := readMeta(l.cfg.Dir); err != nil {
		return err
	}
	l.meta = &metadb.BoltMetaDB{}
	state, err := loadMeta(l.meta, l.cfg.Dir)
	if err != nil {
		return err
	}
	tail, last, err := inspectTail(l.cfg.Dir, l.ident, state)
	if err != nil {
		return err
	}
	if err := l.mu.mark.state.check(state, tail.claim, last); err != nil {
		return err
	}
	if state, err = l.heal(state, tail); err != nil {
		return err
	}
	l.w, err = wal.Open(l.cfg.Dir, wal.WithMetaStore(l.meta),
		wal.WithSegmentFiler(segment.NewFiler(l.cfg.Dir, l.cfg.files)), wal.WithSegmentSize(l.cfg.SegmentSize), wal.WithLogger(hclogTo(l.cfg.Logger)))
	if err != nil {
		return &DamageError{Where: "log", Index: last, Reason: "raft-wal cannot open it", Cause: err}
	}
	got, err := l.w.LastIndex()
	if err != nil {
		return err
	}
	if got != last {
		_ = l.w.Close()
		return &DamageError{Where: "log", Index: min(got, last) + 1,
			Reason: fmt.Sprintf("raft-wal recovered entries up to %d, the files hold %d", got, last)}
	}
	l.opened, l.mu.last = state, last
	return nil
}

// openMark opens the mark and checks that raft-wal's metadata exists if the mark does: without its
// metadata, raft-wal would begin an empty log and delete all segments.
func (l *Log) openMark() error {
	_, err := os.Stat(filepath.Join(l.cfg.Dir, metadb.FileName))
	haveMeta := err == nil
	_, err = os.Stat(filepath.Join(l.cfg.Dir, markName))
	haveMark := err == nil
	if haveMeta && !haveMark {
		return &DamageError{Where: "high-water mark", Reason: "missing"}
	}
	l.mu.mark, err = openMark(filepath.Join(l.cfg.Dir, markName), 0)
	if errors.Is(err, errNoMark) {
		return &DamageError{Where: "high-water mark", Reason: "unreadable", Cause: err}
	}
	if err != nil {
		return err
	}
	if s := l.mu.mark.state; !haveMeta && s.floor > 0 {
		return &DamageError{Where: "log", Index: max(s.floor, s.last), Reason: metadb.FileName + " is missing"}
	}
	return nil
}

// loadMeta reads raft-wal's metadata. bbolt panics or faults on some damaged files; that becomes damage of
// this group, instead of ending the process.
func loadMeta(meta *metadb.BoltMetaDB, dir string) (state types.PersistentState, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &DamageError{Where: metadb.FileName, Reason: fmt.Sprint(p)}
		}
	}()
	if state, err = meta.Load(dir); err != nil {
		return state, &DamageError{Where: metadb.FileName, Reason: "unreadable", Cause: err}
	}
	return state, nil
}

// inspectTail scans the segment that is being written and returns the log's last index.
func inspectTail(dir string, id uint64, state types.PersistentState) (segmentScan, uint64, error) {
	n := len(state.Segments)
	if n == 0 {
		return segmentScan{}, 0, nil
	}
	info := state.Segments[n-1]
	scan, err := scanSegment(dir, id, info, nil)
	if errors.Is(err, fs.ErrNotExist) && info.SealTime.IsZero() {
		scan, err = segmentScan{}, nil // raft-wal commits the name before it creates the file
	}
	if err != nil {
		return scan, 0, err
	}
	last := scan.last
	if last == 0 && n > 1 {
		last = info.BaseIndex - 1
	}
	return scan, last, nil
}

// check compares what the log holds with what the mark promises.
func (m markState) check(state types.PersistentState, claim, last uint64) error {
	switch {
	case m.last > 0 && m.last >= m.floor && last < m.last:
		return &DamageError{Where: "log", Index: max(last+1, m.floor),
			Reason: fmt.Sprintf("acknowledged entries are missing: it ends at %d, the mark says %d", last, m.last)}
	case claim > last && claim >= m.floor:
		return &DamageError{Where: "log", Index: max(last+1, m.floor),
			Reason: fmt.Sprintf("acknowledged entries are missing: it ends at %d, a later entry says %d", last, claim)}
	case last > 0 && state.Segments[0].MinIndex > m.floor:
		return &DamageError{Where: "log", Index: m.floor,
			Reason: fmt.Sprintf("it begins at %d, the mark says %d", state.Segments[0].MinIndex, m.floor)}
	}
	return nil
}

// heal prepares the tail for raft-wal: it cuts a torn batch, and it finishes an interrupted rotation.
// raft-wal v0.4.1 does not finish one: killed after the append that fills a segment and before its metadata
// is updated, it opens and then answers "segment is sealed" to every append forever.
func (l *Log) heal(state types.PersistentState, tail segmentScan) (types.PersistentState, error) {
	n := len(state.Segments)
	if n == 0 || tail.size == 0 || !state.Segments[n-1].SealTime.IsZero() {
		return state, nil
	}
	info := &state.Segments[n-1]
	if err := cutTorn(l.cfg.Dir, *info, tail); err != nil {
		return state, err
	}
	if !tail.sealed || tail.last == 0 {
		return state, nil
	}
	l.cfg.Logger.Info("finish interrupted segment rotation", "dir", l.cfg.Dir, "segment", info.ID, "last", tail.last)
	info.SealTime = time.Now()
	info.MaxIndex = tail.last
	info.IndexStart = tail.indexStart
	state.Segments = append(state.Segments, types.SegmentInfo{
		ID: state.NextSegmentID, BaseIndex: tail.last + 1, MinIndex: tail.last + 1,
		Codec: wal.CodecBinaryV1, SizeLimit: uint32(l.cfg.SegmentSize), CreateTime: time.Now(),
	})
	state.NextSegmentID++
	if err := l.meta.CommitState(state); err != nil {
		return state, fmt.Errorf("finish segment rotation: %w", err)
	}
	return state, nil
}

package persist

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// retire deletes snapshots beyond the number to keep and the pages that only they used. It works in the
// background: raft may be waiting for the sink, even on its main loop when a snapshot was installed.
func (s *Snapshots) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return
	}
	s.working.Go(func() {
		if !s.sweep.TryLock() {
			return // a sink is open; the next retire does it
		}
		err := s.retireAndSweep()
		s.sweep.Unlock()
		if err == nil {
			err = s.db.collect()
		}
		if err != nil {
			s.db.cfg.Logger.Warn("snapshot sweep ended early", "group", s.group, "err", err)
		}
	})
}

// retireAndSweep deletes in an order that leaves no manifest without its pages after a crash: first
// manifests, durably, then lists and pages that no manifest mentions.
func (s *Snapshots) retireAndSweep() error {
	ids, err := s.ids()
	if err != nil {
		return err
	}
	w := s.db.newWriter()
	defer w.cancel()
	retired, good := 0, 0
	for _, id := range ids {
		if good < s.keep {
			if _, err := s.load(id); err == nil {
				good++
			}
			continue // a damaged snapshot is deleted only when there are enough intact ones
		}
		if !s.markGone(id) {
			continue
		}
		if err := w.delete(id.key(kindSnapshot, s.group), 1); err != nil {
			return err
		}
		retired++
	}
	if err := w.flush(); err != nil {
		return err
	}
	if retired > 0 {
		if err := s.db.Sync(); err != nil {
			return err
		}
	}
	return s.sweepPages(s.stopSweep.Load)
}

// markGone marks id as being deleted, so that it cannot be opened again. It reports false if id is being read.
func (s *Snapshots) markGone(id snapshotID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.pinned[id] > 0 {
		return false
	}
	s.mu.gone[id] = true
	return true
}

// firstSweep runs before the process writes its first page. If a manifest or list is damaged, it is unknown
// which pages may be swept and which are complete, so nothing is swept and every page is written anew.
func (s *Snapshots) firstSweep() {
	s.sweep.Lock()
	defer s.sweep.Unlock()
	err := s.sweepPages(func() bool { return false })
	var damage *DamageError
	if errors.As(err, &damage) {
		s.db.cfg.Logger.Error("snapshot pages not swept, all pages will be written anew", "group", s.group, "err", err)
		s.rewriteAll = true
		return
	}
	s.sweptErr = err
}

// marksPerPass limits the memory of a sweep, which is 16 bytes per page in use.
const marksPerPass = 1 << 20

// sweepPages deletes lists without a manifest and pages without a list. It reads the lists of all manifests
// once for each marksPerPass pages, and handles only a range of hashes each time.
//
// REQUIRES: s.sweep is held for writing.
func (s *Snapshots) sweepPages(stop func() bool) error {
	ids, err := s.ids()
	if err != nil {
		return err
	}
	var manifests []manifest
	var pages uint64
	for _, id := range ids {
		m, err := s.load(id)
		if err != nil {
			// The pages of a damaged manifest are unknown, so no page is known to be unused.
			return fmt.Errorf("sweep pages: %w", err)
		}
		manifests = append(manifests, m)
		pages += m.pages
	}
	_, err = s.db.deletePrefix(keyOf(kindIndex, s.group), func(key []byte) bool {
		n := keyNumbers(key, s.group)
		return slices.Contains(ids, snapshotID{index: n[0], term: n[1], nano: n[2]})
	}, stop)
	if err != nil {
		return err
	}
	passes := max(1, int((pages+marksPerPass-1)/marksPerPass))
	for pass := 0; pass < passes && !stop(); pass++ {
		if err := s.sweepPass(manifests, pass, passes, stop); err != nil {
			return err
		}
	}
	return nil
}

// sweepPass sweeps the pages whose hashes are in one of passes equal ranges.
func (s *Snapshots) sweepPass(manifests []manifest, pass, passes int, stop func() bool) error {
	mine := func(h []byte) bool { return (int(h[0])<<8|int(h[1]))*passes>>16 == pass }
	var used []pageHash
	for _, m := range manifests {
		err := s.eachEntry(m, func(e listEntry) error {
			if mine(e.hash[:]) {
				used = append(used, e.hash)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("sweep pages: %w", err)
		}
	}
	slices.SortFunc(used, func(a, b pageHash) int { return bytes.Compare(a[:], b[:]) })
	prefix := keyOf(kindPage, s.group)
	_, err := s.db.deletePrefix(prefix, func(key []byte) bool {
		h := key[len(prefix):]
		if !mine(h) {
			return true
		}
		i := sort.Search(len(used), func(i int) bool { return bytes.Compare(used[i][:], h) >= 0 })
		return i < len(used) && bytes.Equal(used[i][:], h)
	}, stop)
	return err
}

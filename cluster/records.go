package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/query/wire"
)

// records are small values by key that every node has. They are in the catalog's group, beside the
// catalog: how far durable consumers have acknowledged, webhooks and their progress, the incarnations of
// the shards. They do not change the catalog's version and are not sent to shards.
type records struct {
	mu struct {
		sync.Mutex
		values map[string][]byte
		bytes  int
	}
}

const (
	recordsFormat = 2 // first byte of an entry; a catalog change begins with another byte
	maxRecordKey  = 1 << 10
	maxRecord     = 256 << 10
	maxRecords    = 64 << 20 // bytes of all records together
	recordsEntry  = 512 << 10
	recordsWait   = 10 * time.Second
)

// encodeRecords returns the entries that put values. A nil value removes the key.
func encodeRecords(values map[string][]byte) [][]byte {
	var entries [][]byte
	entry := []byte{recordsFormat}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if len(entry) > recordsEntry {
			entries, entry = append(entries, entry), []byte{recordsFormat}
		}
		entry = wire.AppendString(entry, key)
		if value := values[key]; value == nil {
			entry = append(entry, 0)
		} else {
			entry = wire.AppendBytes(append(entry, 1), value)
		}
	}
	return append(entries, entry)
}

// apply applies an entry. After an error nothing of it is applied.
func (s *records) apply(entry []byte) error {
	r := wire.NewReader(slices.Clone(entry))
	r.Byte()
	put := map[string][]byte{}
	for r.Err() == nil && r.Len() > 0 {
		key := r.String()
		if put[key] = nil; r.Bool() {
			put[key] = r.Bytes()
		}
	}
	if err := r.Done(); err != nil {
		return fmt.Errorf("decode records: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes := s.mu.bytes
	for key, value := range put {
		bytes += len(value) - len(s.mu.values[key])
	}
	if bytes > maxRecords && bytes > s.mu.bytes {
		return refused(codes.Limit, "consumers and webhooks take more than 64 MiB")
	}
	for key, value := range put {
		s.setLocked(key, value)
	}
	return nil
}

func (s *records) setLocked(key string, value []byte) {
	if s.mu.values == nil {
		s.mu.values = map[string][]byte{}
	}
	s.mu.bytes += len(value) - len(s.mu.values[key])
	if value == nil {
		delete(s.mu.values, key)
	} else {
		s.mu.values[key] = value
	}
}

// all returns a copy of the table. The values themselves are never changed.
func (s *records) all() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.mu.values)
}

func (s *records) restore(values map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.values, s.mu.bytes = nil, 0
	for key, value := range values {
		s.setLocked(key, value)
	}
}

// Table is the part of the records whose keys begin with a name.
type Table struct {
	node *Node
	name string
}

var _ disk.Table = (*Table)(nil)

// Table returns the records of a name. It may be used from the call of Config.Changes on.
func (n *Node) Table(name string) *Table { return &Table{n, name + "/"} }

// All calls fn with every value in ascending order of key. Values must not be changed.
func (t *Table) All(fn func(key string, value []byte) error) error {
	all := t.node.registry.records.all()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if name, ok := strings.CutPrefix(key, t.name); ok {
			if err := fn(name, all[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Put writes values, and removes the keys whose value is nil. When it returns, the values are in the
// group's log; a crash during the call may leave some of them. A caller with frequent changes collects
// them: one entry per second is enough.
func (t *Table) Put(values map[string][]byte) error {
	if err := t.node.watch.admit(); err != nil {
		return err
	}
	named := make(map[string][]byte, len(values))
	for key, value := range values {
		if len(key) > maxRecordKey || len(value) > maxRecord {
			return refused(codes.Limit, fmt.Sprintf("a record of %d bytes under a key of %d is too large", len(value), len(key)))
		}
		named[t.name+key] = value
	}
	ctx, cancel := context.WithTimeout(t.node.run, recordsWait)
	defer cancel()
	for _, entry := range encodeRecords(named) {
		a, err := t.node.proposeCatalog(ctx, entry)
		if err == nil {
			err = a.err
		}
		if err != nil {
			return fmt.Errorf("put records %s: %w", t.name, err)
		}
	}
	return nil
}

// loadIncarnations reads the incarnations of the shards' logs. A log that starts empty gets a new one,
// so that a cursor of the earlier log is not taken for a cursor of this one.
func (n *Node) loadIncarnations() error {
	table := n.Table("incarnations")
	n.incarnations = make([]uint64, len(n.shards))
	for i, s := range n.shards {
		value := n.registry.records.all()[table.name+s.name()]
		if len(value) == 8 && s.group.known {
			n.incarnations[i] = binary.BigEndian.Uint64(value)
		}
	}
	fresh := map[string][]byte{}
	for i, s := range n.shards {
		if n.incarnations[i] != 0 {
			continue
		}
		value := make([]byte, 8)
		if _, err := rand.Read(value); err != nil {
			return fmt.Errorf("make an incarnation: %w", err)
		}
		value[7] |= 1 // never 0
		n.incarnations[i], fresh[s.name()] = binary.BigEndian.Uint64(value), value
	}
	for i, s := range n.shards {
		n.incarnations[i] ^= rebuiltSum(n.config.repairs, s.name())
	}
	if len(fresh) == 0 {
		return nil
	}
	return table.Put(fresh)
}

// Incarnations returns the incarnations of the shards' logs. One changes when a log does not continue
// the earlier one.
func (n *Node) Incarnations() []uint64 { return n.incarnations }

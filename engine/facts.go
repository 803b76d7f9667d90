package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/wire"
)

// The records of the facts of a profile that moves. A part is a format byte and whole records.
const (
	factsFormat = 1

	recordAttribute = 1 // id, value
	recordEvent     = 2 // event id, time, number of properties, (id, value)…
	recordID        = 3 // kind, another id of the profile
)

// heldFacts caches the facts of the last profile that Facts was called for: a claim and its parts
// read them repeatedly while the profile is frozen.
type heldFacts struct {
	of    identity.Ref
	parts [][]byte
}

func (s *Shard) forgetFacts(id identity.Ref) {
	if s.facts.of == id {
		s.facts = heldFacts{}
	}
}

// Facts implements identity.Store.
func (h identityStore) Facts(target identity.Ref) [][]byte {
	if h.facts.of == target && h.facts.parts != nil {
		return h.facts.parts
	}
	ordinal, ok := h.named(target)
	if !ok {
		return nil
	}
	h.facts = heldFacts{target, h.root.facts(ordinal, target)}
	return h.facts.parts
}

// facts encodes everything known about a profile, in an order that does not depend on how it is stored.
func (r *root) facts(ordinal uint32, self identity.Ref) [][]byte {
	w := partWriter{part: []byte{factsFormat}}
	for i, c := range r.columns[columnsOfEveryShard:] {
		if v := c.value(ordinal); !v.Missing() {
			b := binary.AppendUvarint([]byte{recordAttribute}, uint64(i)+uint64(query.FirstAttribute))
			w.record(wire.AppendValue(b, v))
		}
	}
	for event := range r.events {
		for _, record := range r.eventRecords(uint32(event), ordinal) {
			w.record(record)
		}
	}
	for _, ref := range r.refs(ordinal) {
		if ref != self {
			w.record(appendRef([]byte{recordID}, ref))
		}
	}
	return append(w.parts, w.part)
}

// eventRecords encodes a profile's events of one name, ordered by time, then by their bytes.
func (r *root) eventRecords(event, ordinal uint32) [][]byte {
	type timed struct {
		time   int64
		record []byte
	}
	var all []timed
	r.eachEvent(event, ordinal, func(b *query.Block, row int) {
		record := binary.AppendUvarint([]byte{recordEvent}, uint64(event))
		record = binary.AppendVarint(record, b.Time(row))
		var fields []byte
		n := uint64(0)
		for id, v := range b.Cols {
			if v == nil {
				continue
			}
			if value := v.Value(row); !value.Missing() {
				fields = wire.AppendValue(binary.AppendUvarint(fields, uint64(id)), value)
				n++
			}
		}
		record = append(binary.AppendUvarint(record, n), fields...)
		all = append(all, timed{b.Time(row), record})
	})
	slices.SortFunc(all, func(a, b timed) int {
		return cmp.Or(cmp.Compare(a.time, b.time), bytes.Compare(a.record, b.record))
	})
	records := make([][]byte, len(all))
	for i := range all {
		records[i] = all[i].record
	}
	return records
}

// eachEvent calls yield for every event of a name and a profile.
func (r *root) eachEvent(event, ordinal uint32, yield func(b *query.Block, row int)) {
	chunk, pos := int(ordinal>>query.ChunkBits), uint16(ordinal)
	table := r.events[event]
	if chunk >= len(table.chunks) || !table.chunks[chunk].has(pos) {
		return
	}
	for _, b := range table.chunks[chunk].blocks() {
		first := 0
		if b.Sorted {
			first, _ = slices.BinarySearch(b.Pos, pos)
		}
		for row := first; row < b.Rows; row++ {
			if b.Pos[row] == pos {
				yield(b, row)
			} else if b.Sorted {
				break
			}
		}
	}
}

// has reports whether the profile at pos has an event in the series.
func (s *series) has(pos uint16) bool { return s != nil && s.ever.has(pos) }

// partWriter splits records into parts of at most identity.PartBytes.
type partWriter struct {
	parts [][]byte
	part  []byte
}

func (w *partWriter) record(b []byte) {
	if len(w.part)+len(b) > identity.PartBytes {
		w.parts = append(w.parts, w.part)
		w.part = []byte{factsFormat}
	}
	w.part = append(w.part, b...)
}

// Absorb implements identity.Store. A part that cannot be read ends at the first bad record. The
// records before it are applied, on every replica alike.
func (h identityStore) Absorb(owner, target identity.Ref, parts [][]byte) {
	ordinal := h.profileOf(owner)
	h.adopt(target, ordinal)
	for _, part := range parts {
		r := wire.NewReader(part)
		if r.Byte() != factsFormat {
			continue
		}
		for r.Len() > 0 {
			h.absorbRecord(r, ordinal)
		}
	}
}

// adopt attaches an id to a profile. An id that still has a profile in this shard keeps it: when that
// profile is released, Remove attaches the id to the owner.
func (s *Shard) adopt(ref identity.Ref, ordinal uint32) {
	if _, taken := s.ordinal(ref); !taken {
		s.attach(ref, ordinal)
	}
}

func (s *Shard) absorbRecord(r *wire.Reader, ordinal uint32) {
	switch r.Byte() {
	case recordAttribute:
		id, v := r.Uint32(), r.Value()
		if _, ok := s.root.catalog.AttributeByID(id); r.Err() != nil || !ok {
			return
		}
		if _, has := s.root.columns[columnsOfEveryShard+int(id-query.FirstAttribute)].raw(ordinal); !has {
			s.setAttribute(ordinal, id, v)
		}
	case recordEvent:
		event, time := r.Uint32(), r.Varint()
		fields := make([]Field, r.Count(3))
		for i := range fields {
			fields[i] = Field{r.Uint32(), r.Value()}
			if i > 0 && fields[i].ID <= fields[i-1].ID {
				r.Fail("order of fields")
			}
		}
		m := Message{Kind: Track, UserID: "x", Time: time, Event: event, Fields: fields}
		if r.Err() == nil && s.checkMessage(&m) == "" {
			s.appendEvent(ordinal, event, time, fields, nil)
		}
	case recordID:
		if ref := cloneRef(readRef(r)); r.Err() == nil {
			s.adopt(ref, ordinal)
		}
	default:
		r.Fail("record")
	}
}

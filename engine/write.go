package engine

import (
	"math"
	"strings"

	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

func newAttributeColumn(epoch uint64, t tree.Type) *column {
	c := &column{epoch: epoch, t: t, sets: t == tree.StringType || t == tree.BoolType}
	if t == tree.StringType || t == tree.ListType {
		c.dict = newDictionary(t)
	}
	return c
}

// stored is a value in the form a column stores: an integer and a scale, or the text of a dictionary
// entry with its hash.
type stored struct {
	raw   int64
	scale int8
	text  string
	xxh   uint64
}

// store converts a value to its stored form. ok is false if a column cannot store it: its type is not
// t, or it is too long.
func (s *Shard) store(v tree.Value, t tree.Type) (x stored, ok bool) {
	if v.Type != t {
		return x, false
	}
	switch t {
	case tree.NumberType:
		n := v.Number()
		if n.Coef == query.VecMissing && n.Scale != tree.FloatScale {
			// The integer that means missing is stored as a float, which is the same number.
			n = tree.Number{Coef: int64(math.Float64bits(n.Float64())), Scale: tree.FloatScale}
		}
		x.raw, x.scale = n.Coef, n.Scale
	case tree.StringType:
		x.text = v.Str
		x.xxh = xxh3.HashString(x.text)
	case tree.ListType:
		x.text = string(encodeList(nil, v))
		x.xxh = xxh3.HashString(x.text)
	case tree.TimeType:
		x.raw = max(v.Int, query.VecMissing+1)
	default:
		x.raw = v.Int
	}
	return x, len(x.text) <= maxValueBytes
}

func (x *stored) hash(t tree.Type) uint64 {
	if t == tree.StringType || t == tree.ListType {
		return hashText(t, x.xxh)
	}
	return hashScalar(t, x.raw, x.scale)
}

// setAttribute sets an attribute. A value the column cannot store changes nothing. REQUIRES: the root
// is owned and the catalog has the attribute.
func (s *Shard) setAttribute(ordinal, id uint32, v tree.Value) {
	i := columnsOfEveryShard + int(id-query.FirstAttribute)
	c := s.root.columns[i]
	x, ok := s.store(v, c.t)
	if !ok {
		return
	}
	var was tree.Value
	if old, had := s.storedAttribute(c, ordinal); had {
		if was = c.value(ordinal); old.hash(c.t) == x.hash(c.t) && was.Equal(v) {
			return
		}
		s.root.hash = s.root.hash.sub(attributeFact(ordinal, id, old.hash(c.t)))
	}
	s.root.hash = s.root.hash.add(attributeFact(ordinal, id, x.hash(c.t)))
	c = s.column(i)
	switch {
	case c.t == tree.NumberType:
		c.setNumber(&s.epochs, ordinal, tree.Number{Coef: x.raw, Scale: x.scale})
	case c.dict != nil:
		code, ok := c.dict.find(x.text, x.xxh)
		if !ok {
			code = c.dict.add(x.text, x.xxh)
			c.codes = int(code) + 1
		}
		c.set(&s.epochs, ordinal, int64(code))
	default:
		c.set(&s.epochs, ordinal, x.raw)
	}
	if s.live != nil {
		s.live.tracker.Attribute(ordinal, id, was, v)
	}
}

// storedAttribute returns what a column stores for an ordinal.
func (s *Shard) storedAttribute(c *column, ordinal uint32) (x stored, ok bool) {
	p, row := c.at(ordinal)
	if p == nil {
		return x, false
	}
	return p.stored(row, c.t, c.dict)
}

func (c *cells) stored(row int, t tree.Type, dict *dictionary) (x stored, ok bool) {
	if t == tree.NumberType {
		n, ok := c.number(row)
		return stored{raw: n.Coef, scale: n.Scale}, ok
	}
	raw, ok := c.raw(row)
	if ok && dict != nil {
		text := dict.bytes(uint32(raw))
		return stored{raw: raw, xxh: xxh3.Hash(text)}, true
	}
	return stored{raw: raw}, ok
}

// appendEvent appends an event. A property that the columns cannot store is missing in it. found has
// the prefetched values of the fields, or is nil. REQUIRES: the root is owned and the catalog has the
// event and its properties.
func (s *Shard) appendEvent(ordinal, event uint32, time int64, fields []Field, found []prefetchedText) {
	table := s.root.events[event].own(&s.epochs)
	s.root.events[event] = table
	chunk := int(ordinal >> query.ChunkBits)
	x := table.series(&s.epochs, chunk)
	t, row := x.append(&s.epochs, uint16(ordinal), time)
	table.rows++
	properties := uint64(0)
	types := s.root.catalog.EventByID(event).Properties()
	for i := range fields {
		id, typ := fields[i].ID, types[fields[i].ID].Type
		if found != nil && found[i].code != 0 && typ == tree.StringType {
			code, text := found[i].code-1, stored{xxh: found[i].xxh}
			t.column(id, typ, found[i].dict).set(row, int64(code), t.capacity)
			properties += propertyHash(id, text.hash(typ))
			continue
		}
		if v, ok := s.store(fields[i].Value, typ); ok && s.setProperty(event, t, row, id, typ, &v) {
			properties += propertyHash(id, v.hash(typ))
		}
	}
	s.root.hash = s.root.hash.add(eventFact(ordinal, event, time, properties))
	s.seen(ordinal, time)
	s.markDue(seriesKey{event, chunk}, x)
	if s.live != nil {
		s.live.tracker.Event(ordinal, event, time, t.liveBlock(), row)
	}
}

// setProperty writes one property of a row. It returns false if the dictionary is full.
func (s *Shard) setProperty(event uint32, t *tail, row int, id uint32, typ tree.Type, v *stored) bool {
	p := s.root.events[event].property(id, typ)
	if p.dict == nil {
		c := t.column(id, typ, nil)
		if typ == tree.NumberType {
			c.setNumber(row, tree.Number{Coef: v.raw, Scale: v.scale}, t.capacity)
		} else {
			c.set(row, v.raw, t.capacity)
		}
		return true
	}
	code, ok := p.dict.find(v.text, v.xxh)
	if !ok {
		if p.dict.Len() >= s.config.DictCap {
			if !p.overflowed && s.live != nil {
				s.live.overflows = append(s.live.overflows, member.Property{Event: event, Property: id})
			}
			p.overflowed = true
			return false
		}
		code = p.dict.add(v.text, v.xxh)
		p.codes = int(code) + 1
	}
	t.column(id, typ, p.dict).set(row, int64(code), t.capacity)
	return true
}

// seen updates the times of a profile's first and last event.
func (s *Shard) seen(ordinal uint32, time int64) {
	if first, ok := s.root.columns[columnFirstSeen].raw(ordinal); !ok || time < first {
		s.column(columnFirstSeen).set(&s.epochs, ordinal, time)
	}
	if last, ok := s.root.columns[columnLastSeen].raw(ordinal); !ok || time > last {
		s.column(columnLastSeen).set(&s.epochs, ordinal, time)
	}
}

// textOf copies a string that aliases a log entry.
func textOf(s string) string { return strings.Clone(s) }

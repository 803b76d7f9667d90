package querytest

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// Source is one shard of a history as a query.Source. Its layout (ordinals, pages, blocks, encodings, optional
// parts) is random: no answer must depend on it.
type Source struct {
	history  *History
	chunks   int
	at       map[uint32]*Profile
	ordinals map[string]uint32
	profiles []query.Bits
	attrs    map[uint32][][]query.Vec // by attribute and chunk
	sets     map[uint32][]*valueSets  // by attribute and chunk; nil where there are none
	series   []map[uint32]query.Series
	lists    map[uint32][]query.Bits
	hidden   []uint32 // see Hides
}

var _ query.Source = (*Source)(nil)

// NewSources distributes a history over shards by the hash of the canonical id.
func NewSources(h *History, s *Schema, shards int, rng *rand.Rand) []*Source {
	parts := make([][]*Profile, shards)
	for i := range h.Profiles {
		p := &h.Profiles[i]
		shard := int(xxh3.HashString(p.ID()) % uint64(shards))
		parts[shard] = append(parts[shard], p)
	}
	sources := make([]*Source, shards)
	for i := range sources {
		sources[i] = newSource(h, s, parts[i], rng)
	}
	return sources
}

func newSource(h *History, s *Schema, profiles []*Profile, rng *rand.Rand) *Source {
	src := &Source{history: h, chunks: 1 + rng.IntN(3), at: map[uint32]*Profile{}, ordinals: map[string]uint32{},
		attrs: map[uint32][][]query.Vec{}, sets: map[uint32][]*valueSets{}, lists: map[uint32][]query.Bits{}}
	if len(profiles) > 10_000 {
		src.chunks = max(src.chunks, len(profiles)/10_000)
	}
	src.profiles = make([]query.Bits, src.chunks)
	src.series = make([]map[uint32]query.Series, src.chunks)
	for _, p := range profiles {
		ordinal := src.freeOrdinal(rng)
		src.at[ordinal] = p
		if p.UserID != "" {
			src.ordinals[p.UserID] = ordinal
		}
		for _, a := range p.Anonymous {
			if _, taken := src.ordinals[a]; !taken {
				src.ordinals[a] = ordinal
			}
		}
		src.profiles[ordinal>>query.ChunkBits].Set(uint16(ordinal))
	}
	src.addHidden(rng)
	for _, name := range sortedKeys(s.attrs) {
		if id := s.attrs[name]; id >= query.FirstAttribute {
			src.fillAttribute(id, s.types.Attrs[name], rng, func(p *Profile) tree.Value { return p.Attrs[name] })
		}
	}
	src.fillAttribute(query.AttrFirstSeen, tree.TimeType, rng, func(p *Profile) tree.Value { return edge(p, false) })
	src.fillAttribute(query.AttrLastSeen, tree.TimeType, rng, func(p *Profile) tree.Value { return edge(p, true) })
	src.fillEvents(s, rng)
	for name, id := range s.lists {
		src.lists[id] = make([]query.Bits, src.chunks)
		for _, member := range h.Lists[name] {
			if ordinal, ok := src.ordinals[member]; ok {
				src.lists[id][ordinal>>query.ChunkBits].Set(uint16(ordinal))
			}
		}
		for _, ordinal := range src.hidden {
			src.lists[id][ordinal>>query.ChunkBits].Set(uint16(ordinal))
		}
	}
	for _, ordinal := range src.hidden {
		src.profiles[ordinal>>query.ChunkBits].Clear(uint16(ordinal))
		delete(src.at, ordinal)
	}
	return src
}

// addHidden adds hidden profiles half of the time: they have data, but are not among the profiles of the
// source. Evaluators must not ask for their ids.
func (s *Source) addHidden(rng *rand.Rand) {
	n := len(s.history.Profiles)
	if n == 0 || n > 10_000 || rng.IntN(2) == 0 {
		return
	}
	for range 1 + rng.IntN(1+n/4) {
		ordinal := s.freeOrdinal(rng)
		s.at[ordinal] = &s.history.Profiles[rng.IntN(n)]
		s.profiles[ordinal>>query.ChunkBits].Set(uint16(ordinal))
		s.hidden = append(s.hidden, ordinal)
	}
}

func edge(p *Profile, last bool) tree.Value {
	var v tree.Value
	for _, e := range p.Events {
		if v.Missing() || last && e.Time > v.Int || !last && e.Time < v.Int {
			v = tree.Time(e.Time)
		}
	}
	return v
}

// freeOrdinal draws a free ordinal, often at the start or end of a page or a word.
func (s *Source) freeOrdinal(rng *rand.Rand) uint32 {
	edges := []uint32{0, 1, 63, 64, 511, 512, 513, 1023, 1024, 4095, 32767, 65534, 65535}
	for {
		pos := uint32(rng.IntN(query.ChunkSize))
		switch rng.IntN(3) {
		case 0:
			pos = edges[rng.IntN(len(edges))]
		case 1:
			pos = uint32(rng.IntN(700))
		}
		ordinal := uint32(rng.IntN(s.chunks))<<query.ChunkBits | pos
		if s.at[ordinal] == nil {
			return ordinal
		}
	}
}

func (s *Source) fillAttribute(id uint32, t tree.Type, rng *rand.Rand, value func(*Profile) tree.Value) {
	s.attrs[id] = make([][]query.Vec, s.chunks)
	s.sets[id] = make([]*valueSets, s.chunks)
	shared := newDict()
	oneDict := rng.IntN(2) == 0 // one dictionary for all chunks, which value sets require
	for chunk := range s.chunks {
		pages := make([][]tree.Value, query.ChunkSize/query.PageRows)
		end := 0 // pages in use
		for i := range s.profiles[chunk].All {
			v := value(s.at[uint32(chunk)<<query.ChunkBits|uint32(i)])
			if v.Type != t {
				continue
			}
			page := &pages[i/query.PageRows]
			if *page == nil {
				*page = make([]tree.Value, query.PageRows)
			}
			(*page)[i%query.PageRows], end = v, int(i/query.PageRows)+1
		}
		own := !oneDict && rng.IntN(4) == 0
		if !oneDict {
			shared = newDict()
		}
		for _, values := range pages[:end] {
			d := shared
			if own {
				d = newDict()
			}
			s.attrs[id][chunk] = append(s.attrs[id][chunk], encode(shorten(values, rng), t, d, rng))
		}
		if (t == tree.StringType || t == tree.BoolType) && oneDict && id >= query.FirstAttribute && rng.IntN(3) > 0 {
			s.sets[id][chunk] = newValueSets(s.attrs[id][chunk], shared, t, rng)
		}
	}
}

// shorten cuts missing values off the end of a page, half of the time. A page without values becomes nil.
func shorten(values []tree.Value, rng *rand.Rand) []tree.Value {
	if rng.IntN(2) == 0 {
		return values
	}
	for len(values) > 0 && values[len(values)-1].Missing() {
		values = values[:len(values)-1]
	}
	return values
}

type row struct {
	pos   uint16
	event *Event
}

func (s *Source) fillEvents(schema *Schema, rng *rand.Rand) {
	for chunk := range s.chunks {
		s.series[chunk] = map[uint32]query.Series{}
		rows := map[string][]row{}
		for pos := range s.profiles[chunk].All {
			p := s.at[uint32(chunk)<<query.ChunkBits|uint32(pos)]
			for i := range p.Events {
				e := &p.Events[i]
				rows[e.Name] = append(rows[e.Name], row{pos, e})
			}
		}
		for _, name := range sortedKeys(rows) {
			s.series[chunk][schema.events[name]] = newSeries(rows[name], name, schema, rng)
		}
	}
}

// newSeries divides rows into blocks: in order of time, or at random, so that blocks overlap.
func newSeries(rows []row, name string, schema *Schema, rng *rand.Rand) query.Series {
	series := query.Series{Rows: len(rows), Min: math.MaxInt64, Max: math.MinInt64}
	var ever query.Bits
	for _, r := range rows {
		series.Min, series.Max = min(series.Min, r.event.Time), max(series.Max, r.event.Time)
		ever.Set(r.pos)
	}
	if rng.IntN(3) > 0 {
		series.Ever = holders(&ever, rng)
	}
	parts := make([][]row, 1+rng.IntN(min(4, len(rows))))
	if rng.IntN(2) == 0 {
		sort.SliceStable(rows, func(i, j int) bool { return rows[i].event.Time < rows[j].event.Time })
		for i, r := range rows {
			k := i * len(parts) / len(rows)
			parts[k] = append(parts[k], r)
		}
	} else {
		for _, r := range rows {
			k := rng.IntN(len(parts))
			parts[k] = append(parts[k], r)
		}
	}
	dicts := map[string]*dict{}
	for _, part := range parts {
		if len(part) > 0 {
			series.Blocks = append(series.Blocks, newBlock(part, name, schema, dicts, rng))
		}
	}
	if rng.IntN(3) == 0 {
		series.Settled, series.Totals = rng.IntN(len(series.Blocks)+1), new(query.Totals)
		for _, b := range series.Blocks[:series.Settled] {
			series.Totals.Add(b)
		}
	}
	return series
}

func newBlock(rows []row, name string, schema *Schema, dicts map[string]*dict, rng *rand.Rand) *query.Block {
	b := &query.Block{Rows: len(rows), Min: math.MaxInt64, Max: math.MinInt64, Sorted: rng.IntN(2) == 0}
	if b.Sorted {
		sort.SliceStable(rows, func(i, j int) bool {
			if rows[i].pos != rows[j].pos {
				return rows[i].pos < rows[j].pos
			}
			return rows[i].event.Time < rows[j].event.Time
		})
	} else {
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	for _, r := range rows {
		b.Pos = append(b.Pos, r.pos)
		b.Min, b.Max = min(b.Min, r.event.Time), max(b.Max, r.event.Time)
	}
	if b.Max-b.Min < math.MaxUint32 && rng.IntN(2) == 0 {
		b.Base = b.Min
		for _, r := range rows {
			b.Off = append(b.Off, uint32(r.event.Time-b.Base))
		}
	} else {
		for _, r := range rows {
			b.Times = append(b.Times, r.event.Time)
		}
	}
	b.Cols = make([]*query.Vec, len(schema.props[schema.events[name]]))
	last := 0
	props := schema.props[schema.events[name]]
	for _, prop := range sortedKeys(props) {
		id, t := props[prop], schema.types.Events[name][prop]
		values, used := make([]tree.Value, len(rows)), false
		for i, r := range rows {
			values[i] = r.event.Props[prop]
			used = used || values[i].Type == t
		}
		if used || rng.IntN(3) == 0 {
			if dicts[prop] == nil || rng.IntN(4) == 0 {
				dicts[prop] = newDict()
			}
			vec := encode(values, t, dicts[prop], rng)
			b.Cols[id], last = &vec, max(last, int(id)+1)
		}
	}
	b.Cols = b.Cols[:last]
	return b
}

// Chunks implements query.Source.
func (s *Source) Chunks() int { return s.chunks }

// Profiles implements query.Source.
func (s *Source) Profiles(chunk int, out *query.Bits) int {
	*out = s.profiles[chunk]
	return out.Count()
}

// Hides implements query.Source.
func (s *Source) Hides(chunk int) bool {
	return slices.ContainsFunc(s.hidden, func(ordinal uint32) bool { return int(ordinal>>query.ChunkBits) == chunk })
}

// Attribute implements query.Source.
func (s *Source) Attribute(id uint32, chunk int) []query.Vec {
	if s.attrs[id] == nil {
		return nil
	}
	return s.attrs[id][chunk]
}

// ValueSets implements query.Source.
func (s *Source) ValueSets(id uint32, chunk int) query.ValueSets {
	if s.sets[id] == nil || s.sets[id][chunk] == nil {
		return nil
	}
	return s.sets[id][chunk]
}

// Series implements query.Source.
func (s *Source) Series(event uint32, chunk int) query.Series { return s.series[chunk][event] }

// Events implements query.Source.
func (s *Source) Events(chunk int) []uint32 {
	var ids []uint32
	for id := range s.series[chunk] {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}

// ID implements query.Source.
func (s *Source) ID(ordinal uint32) string { return s.at[ordinal].ID() }

// UserID implements query.Source.
func (s *Source) UserID(ordinal uint32) (string, bool) {
	id := s.at[ordinal].UserID
	return id, id != ""
}

// AnonymousID implements query.Source.
func (s *Source) AnonymousID(ordinal uint32) (string, bool) {
	ids := s.at[ordinal].Anonymous
	if len(ids) == 0 {
		return "", false
	}
	return ids[0], true
}

// Find implements query.Source.
func (s *Source) Find(id string) (uint32, bool) {
	ordinal, ok := s.ordinals[id]
	return ordinal, ok
}

// Inputs implements query.Source.
func (s *Source) Inputs() []query.Set { return nil }

// InList implements query.Source.
func (s *Source) InList(list uint32, chunk int, out *query.Bits) {
	*out = query.Bits{}
	if s.lists[list] != nil {
		*out = s.lists[list][chunk]
	}
}

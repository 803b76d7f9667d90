package engine

import (
	"cmp"
	"math"
	"slices"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// exampleCount is the number of example values returned for a name.
const exampleCount = 5

// About returns everything known about the profile with the id; ok is false if there is none.
func (v *View) About(id string) (about *About, ok bool) {
	ordinal, ok := v.Find(id)
	if !ok {
		return nil, false
	}
	r := v.root
	about = &About{ID: v.ID(ordinal), Shard: v.shard.config.Number, Seq: r.seq}
	about.UserID, _ = v.UserID(ordinal)
	for _, ref := range r.refs(ordinal) {
		if ref.Anonymous {
			about.AnonymousIDs = append(about.AnonymousIDs, ref.ID)
		}
	}
	for i, c := range r.columns[columnsOfEveryShard:] {
		if value := c.value(ordinal); !value.Missing() {
			a, _ := r.catalog.AttributeByID(query.FirstAttribute + uint32(i))
			about.Attributes = append(about.Attributes, NamedField{Name: a.Name, Value: value, Exact: true})
		}
	}
	slices.SortFunc(about.Attributes, func(a, b NamedField) int { return cmp.Compare(a.Name, b.Name) })
	for event := range r.events {
		count := EventCount{First: math.MaxInt64, Last: math.MinInt64}
		r.eachEvent(uint32(event), ordinal, func(b *query.Block, row int) {
			count.Count++
			count.First, count.Last = min(count.First, b.Time(row)), max(count.Last, b.Time(row))
		})
		if count.Count > 0 {
			count.Name = r.catalog.EventByID(uint32(event)).Name
			about.Events = append(about.Events, count)
		}
	}
	slices.SortFunc(about.Events, func(a, b EventCount) int { return cmp.Compare(a.Name, b.Name) })
	about.FirstSeen, _ = r.columns[columnFirstSeen].raw(ordinal)
	about.LastSeen, _ = r.columns[columnLastSeen].raw(ordinal)
	about.Segments, about.Building = v.SegmentsOf(ordinal)
	return about, true
}

// NameInfo describes all attributes, or all events with their properties, in order of id. Of names of
// other kinds the shard knows nothing beyond the catalog.
func (v *View) NameInfo(kind query.NameKind) []query.NameInfo {
	var infos []query.NameInfo
	switch kind {
	case query.AttributeName:
		for i, c := range v.root.columns[columnsOfEveryShard:] {
			a, _ := v.root.catalog.AttributeByID(query.FirstAttribute + uint32(i))
			info := query.NameInfo{Name: a.Name, Type: a.Type, Cardinality: -1, Count: c.count, MemoryBytes: c.memory()}
			if c.dict != nil {
				describeValues(&info, c.dict, c.codes)
			} else {
				info.Examples = c.examples()
			}
			infos = append(infos, info)
		}
	case query.EventName:
		for event, table := range v.root.events {
			infos = append(infos, table.info(v.root.catalog.EventByID(uint32(event))))
		}
	case query.ListName:
		for _, l := range v.root.catalog.Lists() {
			infos = append(infos, query.NameInfo{Name: l.Name, Cardinality: -1, Count: int64(len(v.ListIDs(l.ID)))})
		}
	}
	for _, ordinal := range v.hidden {
		v.discount(kind, ordinal, infos)
	}
	return infos
}

// maxDistinct bounds the number of distinct values that are hashed for a description. The cardinality
// of a column with more is unknown.
const maxDistinct = 10_000

// describeValues describes the first codes of a column's dictionary.
func describeValues(info *query.NameInfo, d *dictionary, codes int) {
	info.MemoryBytes += d.memory()
	info.Examples = d.examples(codes)
	if codes > maxDistinct {
		return
	}
	info.Cardinality = int64(codes)
	for code := range codes {
		info.Hashes = append(info.Hashes, xxh3.Hash(d.bytes(uint32(code))))
	}
	slices.Sort(info.Hashes)
}

func (d *dictionary) examples(codes int) (values []tree.Value) {
	for code := range min(codes, exampleCount) {
		values = append(values, d.Value(uint32(code)))
	}
	return values
}

// examples returns the first values of the column, each once.
func (c *column) examples() (values []tree.Value) {
	for chunk := range c.chunks {
		for _, vec := range c.vecs(chunk) {
			for row := range vec.Rows {
				value := vec.Value(row)
				if value.Missing() || slices.ContainsFunc(values, value.Equal) {
					continue
				}
				if values = append(values, value); len(values) == exampleCount {
					return values
				}
			}
		}
		if chunk > 0 {
			break // two chunks are enough
		}
	}
	return values
}

// info describes an event name. It counts the rows that have a property cell by cell.
func (t *eventTable) info(e *catalog.Event) query.NameInfo {
	info := query.NameInfo{Name: e.Name, Cardinality: -1, Count: t.rows, FirstSeen: math.MaxInt64, LastSeen: math.MinInt64}
	for _, p := range e.Properties() {
		info.Properties = append(info.Properties, query.NameInfo{Name: p.Name, Type: p.Type, Cardinality: -1})
	}
	for _, s := range t.chunks {
		if s == nil || s.rows == 0 {
			continue
		}
		info.FirstSeen, info.LastSeen = min(info.FirstSeen, s.min), max(info.LastSeen, s.max)
		info.MemoryBytes += s.memory()
		for _, b := range s.blocks() {
			for id, vec := range b.Cols {
				if vec != nil {
					describeColumn(&info.Properties[id], vec)
				}
			}
		}
	}
	if t.rows == 0 {
		info.FirstSeen, info.LastSeen = 0, 0
	}
	for id, p := range t.props {
		if p.dict == nil {
			continue
		}
		property := &info.Properties[id]
		describeValues(property, p.dict, p.codes)
		property.Overflowed = p.overflowed
	}
	return info
}

// describeColumn counts the values of a block's column, and takes examples from its first rows.
func describeColumn(info *query.NameInfo, v *query.Vec) {
	if v.Const {
		info.Count += int64(v.Rows)
		return
	}
	bytes := len(v.U8) + 2*len(v.U16) + 4*len(v.U32) + 8*len(v.I64) + len(v.Scales)
	info.MemoryBytes += int64(bytes)
	info.Count += present(v.U8, 0) + present(v.U16, 0) + present(v.U32, 0) + present(v.I64, query.VecMissing)
	for row := range min(v.Rows, 64) {
		if v.Dict == nil && len(info.Examples) < exampleCount {
			if value := v.Value(row); !value.Missing() && !slices.ContainsFunc(info.Examples, value.Equal) {
				info.Examples = append(info.Examples, value)
			}
		}
	}
}

// present counts the cells that are not missing.
func present[T uint8 | uint16 | uint32 | int64](cells []T, missing T) (n int64) {
	for _, cell := range cells {
		if cell != missing {
			n++
		}
	}
	return n
}

// Memory returns the bytes of each structure of the shard.
func (s *Shard) Memory() []MemoryLine {
	v := s.View()
	defer v.Release()
	r := v.root
	lines := []MemoryLine{
		{Name: "ids", Bytes: r.users.memory() + r.anons.memory()},
		{Name: "deduplication", Bytes: r.dedup.memory() + s.dedupIndexMemory()},
	}
	add := func(name string, bytes int64) {
		for i := range lines {
			if lines[i].Name == name {
				lines[i].Bytes += bytes
				return
			}
		}
		lines = append(lines, MemoryLine{Name: name, Bytes: bytes})
	}
	for i, c := range r.columns {
		switch {
		case i == columnFirstSeen || i == columnLastSeen:
			add("seen", c.memory())
		case i < columnsOfEveryShard:
			add("ids", c.memory())
		default:
			add("attributes", c.memory())
			if c.dict != nil {
				add("attribute dictionaries", c.dict.memory())
			}
		}
	}
	for _, p := range r.profiles {
		add("profiles", p.memory())
	}
	for _, table := range r.events {
		for _, p := range table.props {
			if p.dict != nil {
				add("property dictionaries", p.dict.memory())
			}
		}
		for _, x := range table.chunks {
			if x != nil {
				add("series", x.ever.memory()+200)
				add("tails", x.main.memory()+x.late.memory())
				add("leaves", x.leafMemory())
				add("totals", totalsMemory(x.totals))
			}
		}
	}
	for _, x := range r.imports {
		add("imported lines", x.memory())
	}
	for _, l := range r.lists {
		if l != nil {
			add("lists", l.memory())
		}
	}
	return append(lines, s.liveMemory(r)...)
}

func (s *series) leafMemory() (bytes int64) {
	for _, l := range s.leaves {
		bytes += l.bytes
	}
	return bytes
}

func totalsMemory(t *query.Totals) int64 {
	if t == nil {
		return 0
	}
	bytes := int64(query.ChunkSize)
	for _, s := range t.Sums {
		if s != nil && s.Coefs != nil {
			bytes += 4 * query.ChunkSize
		}
	}
	return bytes
}

func (s *series) memory() int64 {
	return 200 + s.ever.memory() + s.main.memory() + s.late.memory() + s.leafMemory() + totalsMemory(s.totals)
}

func (l *list) memory() int64 {
	bytes := l.ids.memory() + l.listed.memory()
	for _, m := range l.members {
		bytes += m.memory()
	}
	return bytes
}

package match

import (
	"cmp"
	"slices"
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Profile reads one profile of a source: its attributes, and its events in order of time. Events are
// read when first needed. It is for one goroutine.
type Profile struct {
	src     query.Source
	schema  query.Schema
	ordinal uint32
	events  map[uint32][]row
}

// row is one event of the profile.
type row struct {
	at    int64
	block *query.Block
	i     int
	event uint32
}

// RowSource is a source that can find the events of one profile without a search.
type RowSource interface {
	// Rows calls yield for each event of a name and a profile, in any order.
	Rows(event, ordinal uint32, yield func(b *query.Block, row int))
}

// NewProfile returns a reader of one profile.
func NewProfile(src query.Source, schema query.Schema, ordinal uint32) *Profile {
	return &Profile{src: src, schema: schema, ordinal: ordinal, events: map[uint32][]row{}}
}

func (p *Profile) chunk() int       { return int(p.ordinal >> query.ChunkBits) }
func (p *Profile) position() uint16 { return uint16(p.ordinal & (query.ChunkSize - 1)) }

// attribute returns the value of an attribute, the missing value if the name is unknown.
func (p *Profile) attribute(name string) tree.Value {
	id, _, ok := p.schema.Attribute(name)
	if !ok {
		return tree.Value{}
	}
	switch id {
	case query.AttrUserID:
		if user, ok := p.src.UserID(p.ordinal); ok {
			return tree.Str(user)
		}
		return tree.Value{}
	case query.AttrAnonymousID:
		if anonymous, ok := p.src.AnonymousID(p.ordinal); ok {
			return tree.Str(anonymous)
		}
		return tree.Value{}
	}
	pages := p.src.Attribute(id, p.chunk())
	page, i := int(p.position())/query.PageRows, int(p.position())%query.PageRows
	if page >= len(pages) || i >= pages[page].Rows {
		return tree.Value{}
	}
	return pages[page].Value(i)
}

// rows returns the profile's events of one name in order of time.
func (p *Profile) rows(name string) []row {
	event, ok := p.schema.Event(name)
	if !ok {
		return nil
	}
	return p.rowsOf(event)
}

func (p *Profile) rowsOf(event uint32) []row {
	rows, ok := p.events[event]
	if ok {
		return rows
	}
	if src, ok := p.src.(RowSource); ok {
		src.Rows(event, p.ordinal, func(b *query.Block, i int) {
			rows = append(rows, row{at: b.Time(i), block: b, i: i, event: event})
		})
	} else {
		rows = p.search(event)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
	p.events[event] = rows
	return rows
}

// search finds the profile's events of one name in the blocks of its chunk.
func (p *Profile) search(event uint32) (rows []row) {
	pos := p.position()
	for _, b := range p.src.Series(event, p.chunk()).Blocks {
		from, to := 0, b.Rows
		if b.Sorted {
			from = sort.Search(b.Rows, func(i int) bool { return b.Pos[i] >= pos })
			to = sort.Search(b.Rows, func(i int) bool { return b.Pos[i] > pos })
		}
		for i := nextAt(b.Pos[:to], from, pos); i < to; i = nextAt(b.Pos[:to], i+1, pos) {
			rows = append(rows, row{at: b.Time(i), block: b, i: i, event: event})
		}
	}
	return rows
}

// nextAt returns the index of the first pos in at from index i, len(at) if there is none. Tails are
// long and unsorted and have few rows of a profile, so eight are tested at a time.
func nextAt(at []uint16, i int, pos uint16) int {
	for ; i+8 <= len(at); i += 8 {
		q := at[i : i+8 : i+8]
		if q[0] == pos || q[1] == pos || q[2] == pos || q[3] == pos || q[4] == pos || q[5] == pos || q[6] == pos || q[7] == pos {
			break
		}
	}
	for ; i < len(at); i++ {
		if at[i] == pos {
			return i
		}
	}
	return len(at)
}

// allTimes returns the times of all events of any name, unordered.
func (p *Profile) allTimes() []int64 {
	var times []int64
	for _, event := range p.src.Events(p.chunk()) {
		for _, r := range p.rowsOf(event) {
			times = append(times, r.at)
		}
	}
	return times
}

// property returns a property of a row, the missing value if the name is unknown.
func (p *Profile) property(r row, name string) tree.Value {
	id, _, ok := p.schema.Property(r.event, name)
	if !ok {
		return tree.Value{}
	}
	col := r.block.Col(id)
	if col == nil {
		return tree.Value{}
	}
	return col.Value(r.i)
}

// inList reports whether the profile is in a static list.
func (p *Profile) inList(name string) bool {
	id, ok := p.schema.List(name)
	if !ok {
		return false
	}
	var members query.Bits
	p.src.InList(id, p.chunk(), &members)
	return members.Has(p.position())
}

// inInput reports whether the profile is in a set that the source was given.
func (p *Profile) inInput(n int) bool {
	var members query.Bits
	p.src.Inputs()[n].Fill(p.chunk(), &members)
	return members.Has(p.position())
}

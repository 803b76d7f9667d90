package engine

import (
	"math"

	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/match"
)

// profileSource is the state restricted to one profile: what it returns for a chunk is correct at
// that profile's position only, and takes a fraction of the time to make.
type profileSource struct {
	live    *live
	root    *root
	ordinal uint32
	pages   [pagesPerChunk]query.Vec
	rows    []member.Row
}

var (
	_ query.Source    = (*profileSource)(nil)
	_ match.RowSource = (*profileSource)(nil)
)

// Chunks implements query.Source.
func (p *profileSource) Chunks() int { return len(p.root.profiles) }

// Profiles implements query.Source.
func (p *profileSource) Profiles(_ int, out *query.Bits) int {
	*out = query.Bits{}
	if !p.root.exists(p.ordinal) {
		return 0
	}
	out.Set(uint16(p.ordinal))
	return 1
}

// Attribute implements query.Source. It fills only the page of the profile. The result is valid until
// the next call.
func (p *profileSource) Attribute(id uint32, _ int) []query.Vec {
	c := p.root.attribute(id)
	page, _ := c.at(p.ordinal)
	if page == nil {
		return nil
	}
	n := int(p.ordinal % query.ChunkSize / query.PageRows)
	p.pages[n] = page.vec(c.t, dictOrNil(c.dict), query.PageRows)
	return p.pages[:n+1]
}

// Hides implements query.Source.
func (p *profileSource) Hides(int) bool { return false }

// ValueSets implements query.Source. It returns none.
func (p *profileSource) ValueSets(uint32, int) query.ValueSets { return nil }

// Series implements query.Source. If the profile has no such event the series has no blocks. Ever is
// not set.
func (p *profileSource) Series(event uint32, chunk int) query.Series {
	s := p.root.series(event, chunk)
	if s == nil || !s.ever.has(uint16(p.ordinal)) {
		return query.Series{}
	}
	out := query.Series{Min: s.min, Max: s.max, Rows: s.rows}
	out.Blocks = make([]*query.Block, 0, len(s.leaves)+2)
	for _, l := range s.leaves {
		out.Blocks = append(out.Blocks, &l.block)
	}
	if s.late != nil {
		out.Blocks = append(out.Blocks, s.late.block())
	}
	if s.main != nil {
		out.Blocks = append(out.Blocks, s.main.block())
	}
	return out
}

// Rows implements match.RowSource.
func (p *profileSource) Rows(event, ordinal uint32, yield func(b *query.Block, row int)) {
	p.rows = p.live.Rows(ordinal, event, math.MinInt64, math.MaxInt64, p.rows[:0])
	for _, r := range p.rows {
		yield(r.Block, r.Row)
	}
}

// Events implements query.Source.
func (p *profileSource) Events(chunk int) []uint32 {
	var events []uint32
	for event := range p.root.events {
		if s := p.root.series(uint32(event), chunk); s != nil && s.ever.has(uint16(p.ordinal)) {
			events = append(events, uint32(event))
		}
	}
	return events
}

// ID implements query.Source.
func (p *profileSource) ID(ordinal uint32) string {
	ref, _ := p.root.canonical(ordinal)
	return ref.ID
}

// UserID implements query.Source.
func (p *profileSource) UserID(ordinal uint32) (string, bool) {
	return (&View{root: p.root}).UserID(ordinal)
}

// AnonymousID implements query.Source.
func (p *profileSource) AnonymousID(ordinal uint32) (string, bool) {
	return (&View{root: p.root}).AnonymousID(ordinal)
}

// Find implements query.Source.
func (p *profileSource) Find(id string) (uint32, bool) { return p.root.findLiteral(id) }

// Inputs implements query.Source.
func (p *profileSource) Inputs() []query.Set { return nil }

// InList implements query.Source.
func (p *profileSource) InList(id uint32, chunk int, out *query.Bits) {
	*out = query.Bits{}
	if int(id) < len(p.root.lists) && p.root.lists[id] != nil && chunk < len(p.root.lists[id].members) &&
		p.root.lists[id].members[chunk].has(uint16(p.ordinal)) {
		out.Set(uint16(p.ordinal))
	}
}

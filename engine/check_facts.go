package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// checkColumn checks every value of a column. If the column is an attribute's, it returns the sum of
// the attribute's facts.
func (r *root) checkColumn(x *faults, i int, c *column) (sum factSum) {
	count := int64(0)
	name := r.columnName(i)
	for chunk, table := range c.chunks {
		if table == nil {
			continue
		}
		if table.sets != nil && !table.sets.check(table) {
			x.add("sets of profiles by value of "+name+" do not match its values", "chunk %d", chunk)
		}
		for n, p := range table.pages {
			if p == nil {
				continue
			}
			bounds := p.cells
			if !bounds.check(c.t, c.codes, query.PageRows) {
				x.add("page of "+name+" is damaged", "page %d of chunk %d", n, chunk)
				continue
			}
			for row := range query.PageRows {
				v, ok := p.stored(row, c.t, c.dict)
				if !ok {
					continue
				}
				count++
				if i >= columnsOfEveryShard {
					ordinal := uint32(chunk<<query.ChunkBits | n*query.PageRows | row)
					if !r.exists(ordinal) {
						x.add("value of "+name+" belongs to no profile", "profile %d", ordinal)
					}
					id := uint32(i-columnsOfEveryShard) + query.FirstAttribute
					sum = sum.add(attributeFact(ordinal, id, v.hash(c.t)))
				}
			}
		}
	}
	if count != c.count {
		x.add("number of values of "+name+" is wrong", "it has %d, counted as %d", count, c.count)
	}
	return sum
}

func (r *root) checkEvents(x *faults, event uint32, first, last map[uint32]int64) (sum factSum) {
	rows := int64(0)
	name := fmt.Sprintf("event %q", r.catalog.EventByID(event).Name)
	for chunk := range r.events[event].chunks {
		s := r.series(event, chunk)
		if s == nil {
			continue
		}
		var ever *set
		unowned := &epochs{}
		n := 0
		for _, b := range s.blocks() {
			if err := checkBlock(b, s); err != nil {
				x.addError(fmt.Errorf("%s, chunk %d: %w", name, chunk, err))
				continue
			}
			n += b.Rows
			for row, pos := range b.Pos {
				ever, _ = ever.add(unowned, pos)
				ordinal, t := uint32(chunk<<query.ChunkBits)|uint32(pos), b.Time(row)
				sum = sum.add(eventFact(ordinal, event, t, propertiesHash(b, row)))
				if old, ok := first[ordinal]; !ok || t < old {
					first[ordinal] = t
				}
				if old, ok := last[ordinal]; !ok || t > old {
					last[ordinal] = t
				}
			}
		}
		s.check(x, name, chunk, n, ever)
		rows += int64(n)
	}
	if rows != r.events[event].rows {
		x.add("number of events of "+name+" is wrong", "there are %d, counted as %d", rows, r.events[event].rows)
	}
	return sum
}

// check compares the counts and sets of a series with n rows, which belong to the profiles in ever.
func (s *series) check(x *faults, name string, chunk, n int, ever *set) {
	var had, has query.Bits
	s.ever.fill(&had)
	ever.fill(&has)
	if n != s.rows {
		x.add("number of rows of "+name+" is wrong", "chunk %d has %d, counted as %d", chunk, n, s.rows)
	}
	if had != has {
		x.add("set of profiles that ever did "+name+" does not match its rows", "chunk %d has %d, the set has %d", chunk, has.Count(), had.Count())
	}
	if !s.checkTotals() {
		x.add("totals of "+name+" do not match its leaves", "chunk %d", chunk)
	}
	for i := 1; i < len(s.leaves); i++ {
		a, b := s.leaves[i-1], s.leaves[i]
		if !a.future && !b.future && a.block.Max > b.block.Min {
			x.add("leaves of "+name+" overlap", "%d and %d of chunk %d", i-1, i, chunk)
		}
	}
}

// checkTotals compares the totals with a new sum of the leaves. Sums that were unknown while rows
// were added may be known now.
func (s *series) checkTotals() bool {
	if s.totals == nil {
		return true
	}
	fresh := totalsOf(s.leaves, 0)
	if s.totals.Counts != fresh.Counts {
		return false
	}
	for id := range max(len(s.totals.Sums), len(fresh.Sums)) {
		kept, sums := s.totals.Sum(uint32(id)), fresh.Sum(uint32(id))
		if (kept == nil) != (sums == nil) {
			return false
		}
		if kept == nil || kept.Coefs == nil {
			continue
		}
		if sums.Coefs == nil {
			return false
		}
		for pos := range kept.Coefs {
			a, b := tree.Decimal(int64(kept.Coefs[pos]), kept.Scale), tree.Decimal(int64(sums.Coefs[pos]), sums.Scale)
			if a != b || kept.Coefs[pos] > kept.Most {
				return false
			}
		}
	}
	return true
}

// checkBlock checks a block's bounds and, if it is sorted, its order.
func checkBlock(b *query.Block, s *series) error {
	lo, hi := b.Time(0), b.Time(0)
	for row := range b.Rows {
		lo, hi = min(lo, b.Time(row)), max(hi, b.Time(row))
		if b.Sorted && row > 0 && (b.Pos[row] < b.Pos[row-1] || b.Pos[row] == b.Pos[row-1] && b.Time(row) < b.Time(row-1)) {
			return violated("row %d is out of order", row)
		}
	}
	if lo != b.Min || hi != b.Max || lo < s.min || hi > s.max {
		return violated("times are from %d to %d, not %d to %d", lo, hi, b.Min, b.Max)
	}
	for id, v := range b.Cols {
		if v == nil {
			continue
		}
		for row := range b.Rows {
			raw, ok := v.Raw(row)
			if ok && v.Bounded && (raw < v.Lo || raw > v.Hi) {
				return violated("property %d: %d is not between %d and %d", id, raw, v.Lo, v.Hi)
			}
			if ok && (v.Type == tree.StringType || v.Type == tree.ListType) && (raw < 0 || raw >= int64(v.Dict.Len())) {
				return violated("property %d: code %d is not in the dictionary", id, raw)
			}
		}
	}
	return nil
}

func (r *root) checkSeen(x *faults, first, last map[uint32]int64) {
	for i, want := range map[int]map[uint32]int64{columnFirstSeen: first, columnLastSeen: last} {
		what := [...]string{columnFirstSeen: "time first seen is wrong", columnLastSeen: "time last seen is wrong"}[i]
		if int(r.columns[i].count) != len(want) {
			x.add(what, "%d profiles have one, %d have events", r.columns[i].count, len(want))
		}
		for _, ordinal := range slices.Sorted(maps.Keys(want)) {
			if raw, _ := r.columns[i].raw(ordinal); raw != want[ordinal] {
				x.add(what, "%s has %d, its events %d", r.profileName(ordinal), raw, want[ordinal])
			}
		}
	}
}

func (r *root) checkLists(x *faults) (sum factSum) {
	for id, l := range r.lists {
		if l == nil {
			continue
		}
		want := make([]*set, max(len(l.members), len(r.profiles)))
		unowned := &epochs{}
		for code := range l.codes {
			if _, ok := l.listed.raw(uint32(code)); !ok {
				continue
			}
			text := l.ids.text(uint32(code))
			sum = sum.add(fact(factListed, uint64(id), xxh3.HashString(text), 0))
			if ordinal, ok := r.findLiteral(text); ok {
				chunk := int(ordinal >> query.ChunkBits)
				want[chunk], _ = want[chunk].add(unowned, uint16(ordinal))
			}
		}
		var need, have query.Bits
		for chunk := range want {
			want[chunk].fill(&need)
			if have = (query.Bits{}); chunk < len(l.members) {
				l.members[chunk].fill(&have)
			}
			r.compareMembers(x, fmt.Sprintf("list %d", id), chunk, &have, &need)
		}
	}
	return sum
}

// compareMembers adds a fault for each profile that is in only one of have and want.
func (r *root) compareMembers(x *faults, name string, chunk int, have, want *query.Bits) {
	if *have == *want {
		return
	}
	for pos := range query.ChunkSize {
		in := have.Has(uint16(pos))
		if in == want.Has(uint16(pos)) {
			continue
		}
		what := "is missing from "
		if in {
			what = "should not be in "
		}
		x.add("profile "+what+name, "%s", r.profileName(uint32(chunk<<query.ChunkBits|pos)))
	}
}

// checkSets checks every set of profiles and of imported lines: each must be valid, and a set of
// profiles must have only positions of profiles of its chunk. It returns false if a set is not valid
// and so cannot be read.
func (r *root) checkSets(x *faults) (sound bool) {
	sound = true
	check := func(name string, chunks []*set) {
		for chunk, p := range chunks {
			if err := p.validate(); err != nil {
				x.addError(fmt.Errorf("%s, chunk %d: %w", name, chunk, err))
				sound = false
				continue
			}
			var all *set
			if chunk < len(r.profiles) {
				all = r.profiles[chunk]
			}
			if !p.within(all) {
				x.add(name+" has positions of no profile", "chunk %d", chunk)
			}
		}
	}
	check("profiles", r.profiles)
	for chunk, p := range r.profiles {
		if last := uint64(chunk)<<query.ChunkBits + uint64(p.last()); p.count() > 0 && last >= uint64(r.ordinals) {
			x.add("profile after the last ordinal", "%d of %d", last, r.ordinals)
		}
	}
	for event := range r.events {
		ever := make([]*set, len(r.events[event].chunks))
		for chunk, s := range r.events[event].chunks {
			if s != nil {
				ever[chunk] = s.ever
			}
		}
		check(fmt.Sprintf("event %q", r.catalog.EventByID(uint32(event)).Name), ever)
	}
	for id, l := range r.lists {
		if l != nil {
			check(fmt.Sprintf("list %d", id), l.members)
		}
	}
	for _, s := range r.segments {
		if s != nil {
			check(fmt.Sprintf("segment %q", s.name), s.members)
		}
	}
	for _, source := range r.imports {
		for _, lines := range source.sets {
			if err := lines.lines.validate(); err != nil {
				x.addError(fmt.Errorf("lines of source %q: %w", source.name, err))
				sound = false
			}
		}
	}
	return sound
}

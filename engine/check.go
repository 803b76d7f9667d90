package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// ErrInvariant is the cause of every fault that Check finds.
var ErrInvariant = errors.New("state is damaged")

func invariant(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvariant, fmt.Sprintf(format, args...))
}

// Check looks at the whole state on a view: every invariant, and the hash computed anew from the
// facts. It takes about as long as reading everything once, beside Apply.
func (s *Shard) Check() error {
	v := s.View()
	defer v.Release()
	if err := v.root.check(); err != nil {
		return fmt.Errorf("check shard %d at %d: %w", s.config.Number, v.root.seq, err)
	}
	return nil
}

func (r *root) check() error {
	if err := r.checkIDs(); err != nil {
		return err
	}
	sum := r.idSum()
	for i, c := range r.columns {
		values, err := r.checkColumn(i, c)
		if err != nil {
			return err
		}
		sum = sum.add(values)
	}
	first := map[uint32]int64{}
	last := map[uint32]int64{}
	for event := range r.events {
		events, err := r.checkEvents(uint32(event), first, last)
		if err != nil {
			return err
		}
		sum = sum.add(events)
	}
	if err := r.checkSeen(first, last); err != nil {
		return err
	}
	lists, err := r.checkLists()
	if err != nil {
		return err
	}
	members, err := r.checkSegments(&View{root: r})
	if err != nil {
		return err
	}
	if sum = sum.add(lists).add(members); sum != r.hash {
		return invariant("the hash of all facts is %x, not %x", sum.bytes(), r.hash.bytes())
	}
	return nil
}

// checkIDs looks at the chains of ids: each id belongs to the profile whose chain it is in, once, and
// the profiles are exactly those that have an id.
func (r *root) checkIDs() error {
	owned := 0
	for chunk := range len(r.profiles) {
		for pos := range query.ChunkSize {
			ordinal := uint32(chunk<<query.ChunkBits | pos)
			if uint64(ordinal) >= uint64(r.ordinals) {
				break
			}
			users, err := r.checkChain(ordinal, columnUserOf, columnUserNext, columnUserOwner, r.userCodes)
			if err != nil {
				return err
			}
			anons, err := r.checkChain(ordinal, columnAnonymousOf, columnAnonNext, columnAnonOwner, r.anonCodes)
			if err != nil {
				return err
			}
			if r.profiles[chunk].has(uint16(pos)) != (users+anons > 0) {
				return invariant("profile %d has %d ids", ordinal, users+anons)
			}
			owned += users + anons
		}
	}
	if rows := r.columns[columnUserOwner].count + r.columns[columnAnonOwner].count; rows != int64(owned) {
		return invariant("%d ids have a profile, %d are in a chain", rows, owned)
	}
	for i, codes := range map[int]uint32{columnUserHome: r.userCodes, columnAnonHome: r.anonCodes} {
		for code := range codes {
			raw, ok := r.columns[i].raw(code)
			if !ok {
				continue
			}
			limit := r.userCodes
			if raw&homeAnonymous != 0 {
				limit = r.anonCodes
			}
			state := identity.State(raw & (1<<homeStateBits - 1))
			if raw < 0 || raw>>homeCodeShift > int64(limit) || state < identity.Moving || state > identity.Erased {
				return invariant("home of code %d is %d", code, raw)
			}
		}
	}
	return nil
}

func (r *root) checkChain(ordinal uint32, of, next, owner int, codes uint32) (n int, err error) {
	code, ok := r.columns[of].raw(ordinal)
	for ok {
		if code < 0 || code >= int64(codes) || n > int(codes) {
			return 0, invariant("ids of profile %d", ordinal)
		}
		if with, ok := r.columns[owner].raw(uint32(code)); !ok || with != int64(ordinal) {
			return 0, invariant("id %d of profile %d belongs to %d", code, ordinal, with)
		}
		n++
		code, ok = r.columns[next].raw(uint32(code))
	}
	return n, nil
}

func (r *root) idSum() (sum factSum) {
	for _, x := range []struct {
		dict  *Dictionary
		codes uint32
		owner int
		home  int
		anon  bool
		kind  uint64
	}{
		{r.users, r.userCodes, columnUserOwner, columnUserHome, false, factUserID},
		{r.anons, r.anonCodes, columnAnonOwner, columnAnonHome, true, factAnonymousID},
	} {
		for code := range x.codes {
			if ordinal, ok := r.columns[x.owner].raw(code); ok {
				sum = sum.add(idFact(x.kind, x.dict.text(code), uint32(ordinal)))
			}
			if raw, ok := r.columns[x.home].raw(code); ok {
				sum = sum.add(homeFact(identity.Ref{Anonymous: x.anon, ID: x.dict.text(code)}, r.decodeHome(raw)))
			}
		}
	}
	return sum
}

// checkColumn looks at every value of a column and, if it is an attribute's, adds their facts.
func (r *root) checkColumn(i int, c *column) (sum factSum, err error) {
	count := int64(0)
	for chunk, table := range c.chunks {
		if table == nil {
			continue
		}
		if table.sets != nil && !table.sets.check(table) {
			return sum, invariant("column %d, chunk %d: sets of values", i, chunk)
		}
		for n, p := range table.pages {
			if p == nil {
				continue
			}
			bounds := p.cells
			if !bounds.check(c.t, c.codes, query.PageRows) {
				return sum, invariant("column %d, chunk %d, page %d", i, chunk, n)
			}
			for row := range query.PageRows {
				x, ok := p.stored(row, c.t, c.dict)
				if !ok {
					continue
				}
				count++
				if i >= columnsOfEveryShard {
					ordinal := uint32(chunk<<query.ChunkBits | n*query.PageRows | row)
					if !r.profiles[chunk].has(uint16(ordinal)) {
						return sum, invariant("attribute of profile %d, which is not there", ordinal)
					}
					id := uint32(i-columnsOfEveryShard) + query.FirstAttribute
					sum = sum.add(attributeFact(ordinal, id, x.hash(c.t)))
				}
			}
		}
	}
	if count != c.count {
		return sum, invariant("column %d has %d values, not %d", i, count, c.count)
	}
	return sum, nil
}

func (r *root) checkEvents(event uint32, first, last map[uint32]int64) (sum factSum, err error) {
	rows := int64(0)
	for chunk := range r.events[event].chunks {
		s := r.series(event, chunk)
		if s == nil {
			continue
		}
		var ever *posSet
		unowned := &epochs{}
		n := 0
		for _, b := range s.blocks() {
			if err := checkBlock(b, s); err != nil {
				return sum, fmt.Errorf("event %d, chunk %d: %w", event, chunk, err)
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
		var had, has query.Bits
		s.ever.fill(&had)
		ever.fill(&has)
		if n != s.rows || had != has {
			return sum, invariant("event %d, chunk %d has %d rows, not %d, or another ever set", event, chunk, n, s.rows)
		}
		if !s.checkTotals() {
			return sum, invariant("event %d, chunk %d: totals of the leaves", event, chunk)
		}
		for i := 1; i < len(s.leaves); i++ {
			a, b := s.leaves[i-1], s.leaves[i]
			if !a.ahead && !b.ahead && a.block.Max > b.block.Min {
				return sum, invariant("event %d, chunk %d: leaves %d and %d overlap", event, chunk, i-1, i)
			}
		}
		rows += int64(n)
	}
	if rows != r.events[event].rows {
		return sum, invariant("event %d has %d rows, not %d", event, rows, r.events[event].rows)
	}
	return sum, nil
}

// checkTotals adds the leaves up anew. Sums that could not be told while rows came may be now.
func (s *series) checkTotals() bool {
	if s.totals == nil {
		return true
	}
	anew := totalsOf(s.leaves, 0)
	if s.totals.Counts != anew.Counts {
		return false
	}
	for id := range max(len(s.totals.Sums), len(anew.Sums)) {
		kept, sums := s.totals.Sum(uint32(id)), anew.Sum(uint32(id))
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

// checkBlock looks at the bounds and the order a block promises.
func checkBlock(b *query.Block, s *series) error {
	lo, hi := b.Time(0), b.Time(0)
	for row := range b.Rows {
		lo, hi = min(lo, b.Time(row)), max(hi, b.Time(row))
		if b.Sorted && row > 0 && (b.Pos[row] < b.Pos[row-1] || b.Pos[row] == b.Pos[row-1] && b.Time(row) < b.Time(row-1)) {
			return invariant("row %d is out of order", row)
		}
	}
	if lo != b.Min || hi != b.Max || lo < s.min || hi > s.max {
		return invariant("times are from %d to %d, not %d to %d", lo, hi, b.Min, b.Max)
	}
	for id, v := range b.Cols {
		if v == nil {
			continue
		}
		for row := range b.Rows {
			raw, ok := v.Raw(row)
			if ok && v.Bounded && (raw < v.Lo || raw > v.Hi) {
				return invariant("property %d: %d is not between %d and %d", id, raw, v.Lo, v.Hi)
			}
			if ok && (v.Type == tree.StringType || v.Type == tree.ListType) && (raw < 0 || raw >= int64(v.Dict.Len())) {
				return invariant("property %d: code %d", id, raw)
			}
		}
	}
	return nil
}

func (r *root) checkSeen(first, last map[uint32]int64) error {
	for i, want := range map[int]map[uint32]int64{columnFirstSeen: first, columnLastSeen: last} {
		if int(r.columns[i].count) != len(want) {
			return invariant("column %d has %d values for %d profiles with events", i, r.columns[i].count, len(want))
		}
		for ordinal, t := range want {
			if raw, _ := r.columns[i].raw(ordinal); raw != t {
				return invariant("column %d of profile %d is %d, not %d", i, ordinal, raw, t)
			}
		}
	}
	return nil
}

func (r *root) checkLists() (sum factSum, err error) {
	for id, l := range r.lists {
		if l == nil {
			continue
		}
		want := make([]*posSet, len(l.members))
		unowned := &epochs{}
		for code := range l.codes {
			if _, ok := l.listed.raw(uint32(code)); !ok {
				continue
			}
			text := l.ids.text(uint32(code))
			sum = sum.add(fact(factListed, uint64(id), xxh3.HashString(text), 0))
			if ordinal, ok := r.findLiteral(text); ok {
				chunk := int(ordinal >> query.ChunkBits)
				if chunk >= len(want) {
					return sum, invariant("list %d lacks profile %d", id, ordinal)
				}
				want[chunk], _ = want[chunk].add(unowned, uint16(ordinal))
			}
		}
		for chunk := range want {
			if !slices.Equal(positions(want[chunk]), positions(l.members[chunk])) {
				return sum, invariant("members of list %d in chunk %d", id, chunk)
			}
		}
	}
	return sum, nil
}

func positions(p *posSet) []uint16 { return slices.Collect(p.each) }

package exec

import (
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// groupBytes is charged for a group without its key, keyBytes for each value of the key, and cellBytes
// for each cell.
const (
	groupBytes = 112
	keyBytes   = 64
	cellBytes  = 32
)

// groups are the rows of a breakdown by their keys. There may be very many groups that are only counted:
// those are plain, have a number in counted, and leave all empty.
type groups struct {
	budget  *budget
	fns     []tree.Fn // by cell
	limit   int
	keys    *keyTable
	all     []Group
	plain   bool
	counted []int64
	charged int // bytes
	buf     []byte
}

// newGroups makes groups with one cell per function. CountFn is a plain counter.
func newGroups(b *budget, fns ...tree.Fn) *groups {
	return &groups{budget: b, fns: fns, limit: maxGroups, keys: newKeyTable()}
}

// newCounts makes groups that are only counted.
func newCounts(b *budget) *groups {
	g := newGroups(b)
	g.plain = true
	return g
}

// at returns the number of the group with a key. It copies the key of a new group.
func (g *groups) at(key []tree.Value) (int32, error) {
	g.buf = g.buf[:0]
	for _, v := range key {
		g.buf = appendKey(g.buf, v)
	}
	i, made, err := g.atText(g.buf, len(key)*keyBytes+groupBytes+len(g.fns)*cellBytes)
	if made && !g.plain {
		g.all = append(g.all, Group{Key: slices.Clone(key), Cells: make([]Cell, len(g.fns))})
	}
	return i, err
}

// atText is at for an encoded key. A group that is not plain takes each bytes in addition to its key
// text.
func (g *groups) atText(key []byte, each int) (i int32, made bool, err error) {
	i, hash, known := g.keys.find(key)
	if known {
		return i, false, nil
	}
	if n := g.keys.len(); n >= g.limit {
		return 0, false, tooManyGroups(n+1, g.limit)
	}
	bytes := keyTableBytes + 2*len(key)
	if !g.plain {
		bytes += each
	}
	if err := g.budget.charge(bytes); err != nil {
		return 0, false, err
	}
	g.charged += bytes
	if g.plain {
		g.counted = append(g.counted, 0)
	}
	return g.keys.add(key, hash), true, nil
}

// count adds to the number of a group, which is its first cell.
func (g *groups) count(i int32, n int64) {
	if g.plain {
		g.counted[i] += n
	} else {
		g.all[i].Cells[0].N += n
	}
}

// len returns the number of groups.
func (g *groups) len() int { return g.keys.len() }

// find returns the number of a group that exists.
func (g *groups) find(key []tree.Value) (int32, bool) {
	g.buf = g.buf[:0]
	for _, v := range key {
		g.buf = appendKey(g.buf, v)
	}
	i, _, known := g.keys.find(g.buf)
	return i, known
}

// drop removes all groups and refunds what was charged for them.
func (g *groups) drop() {
	g.budget.refund(g.charged)
	g.keys, g.all, g.counted, g.charged = newKeyTable(), nil, nil, 0
}

// add merges the groups of a partial.
func (g *groups) add(from []Group) error {
	for i := range from {
		if g.budget.halt.ended() {
			return g.budget.halt.err
		}
		k, err := g.at(from[i].Key)
		if err != nil {
			return err
		}
		for c := range from[i].Cells {
			g.all[k].Cells[c].merge(g.fns[c], &from[i].Cells[c])
		}
	}
	return nil
}

// counts returns plain groups as data. g must not be used afterwards.
func (g *groups) counts() *Counts { return &Counts{g.keys.text, g.keys.ends, g.counted, g.charged} }

// addCounts merges plain groups, refunds what was charged for them, and empties from.
func (g *groups) addCounts(from *Counts) error {
	for n := range from.n {
		if g.budget.halt.ended() {
			return g.budget.halt.err
		}
		i, _, err := g.atText(from.key(n), 0)
		if err != nil {
			return err
		}
		g.counted[i] += from.n[n]
	}
	g.budget.refund(from.charged)
	*from = Counts{}
	return nil
}

// assignment has the groups of every position of a chunk. Without dimensions that is group 0 for all
// members. If each member is in exactly one group, single has that group.
type assignment struct {
	alone   bool // there is only group 0
	members *query.Bits
	single  []int32 // by position; nil if several groups are possible
	buffer  []int32 // memory of single
	start   []int32 // without single, the groups of position i are groups[start[i]:start[i+1]]
	groups  []int32
}

var groupZero = []int32{0}

// of returns the groups of a position; none if it is not a member.
func (a *assignment) of(pos uint16) []int32 {
	switch {
	case a.single == nil && !a.alone:
		return a.groups[a.start[pos]:a.start[int(pos)+1]]
	case !a.members.Has(pos):
		return nil
	case a.alone:
		return groupZero
	}
	return a.single[int(pos) : int(pos)+1]
}

// count adds some of the members to cell k of their groups.
func (a *assignment) count(some *query.Bits, g *groups, k int) {
	switch {
	case a.alone:
		g.all[0].Cells[k].N += int64(some.Count())
	case a.single != nil:
		for pos := range some.All {
			g.all[a.single[pos]].Cells[k].N++
		}
	default:
		for pos := range some.All {
			for _, i := range a.of(pos) {
				g.all[i].Cells[k].N++
			}
		}
	}
}

// assign computes the groups of the members of a chunk. The result is valid until the next call, and
// only while members is unchanged.
func (w *worker) assign(members *query.Bits, g *groups) (*assignment, error) {
	a := &w.assigned
	a.members, a.alone, a.single = members, len(w.dims) == 0, nil
	if a.alone {
		_, err := g.at(nil)
		return a, err
	}
	if slotted, err := w.slotted(g, func() error { return nil }); err != nil || slotted {
		if err != nil {
			return nil, err
		}
		return a, w.assignSlots(members)
	}
	for _, d := range w.dims {
		if err := d.load(w, members); err != nil {
			return nil, err
		}
	}
	if len(w.dims) == 1 && !w.dims[0].listed() {
		return a, w.assignSingle(members, g)
	}
	if cap(a.start) == 0 {
		a.start = make([]int32, query.ChunkSize+1)
	}
	a.groups = a.groups[:0]
	next := 0
	for pos := range members.All {
		for ; next <= int(pos); next++ {
			a.start[next] = int32(len(a.groups))
		}
		if err := w.groupsOf(int(pos), g, a); err != nil {
			return nil, err
		}
	}
	for ; next <= query.ChunkSize; next++ {
		a.start[next] = int32(len(a.groups))
	}
	return a, nil
}

// assignSlots is assign for dimensions that have slots.
func (w *worker) assignSlots(members *query.Bits) error {
	a := &w.assigned
	a.buffer = grown(a.buffer, query.ChunkSize)
	a.single = a.buffer
	slots := w.fillSlots(members)
	if err := w.makeSlotGroups(members); err != nil {
		return err
	}
	known := w.slots.known
	for i, m := range members {
		if m == 0 {
			continue
		}
		to := a.single[i*64 : i*64+64]
		for k, slot := range slots[i*64 : i*64+64] {
			if int(slot) < len(known) {
				to[k] = known[slot] - 1
			}
		}
	}
	return nil
}

// assignSingle is assign for one dimension that has one value per profile.
func (w *worker) assignSingle(members *query.Bits, g *groups) error {
	a, d := &w.assigned, w.dims[0]
	a.buffer = grown(a.buffer, query.ChunkSize)
	a.single = a.buffer
	for pos := range members.All {
		known := d.known(int(pos))
		if known != nil && *known > 0 {
			a.single[pos] = *known - 1
			continue
		}
		w.key = append(w.key[:0], d.value(int(pos)))
		i, err := g.at(w.key)
		if err != nil {
			return err
		}
		a.single[pos] = i
		if known != nil {
			*known = i + 1
		}
	}
	return nil
}

// groupsOf appends the groups of one position: every combination of the values of its dimensions.
func (w *worker) groupsOf(pos int, g *groups, a *assignment) error {
	if len(w.dims) == 1 { // its values are lists
		if known, ok := w.dims[0].cached(pos); ok {
			a.groups = append(a.groups, known...)
			return nil
		}
	}
	from := len(a.groups)
	w.key = w.key[:0]
	if err := w.combine(pos, 0, g, a); err != nil {
		return err
	}
	if len(w.dims) == 1 {
		w.dims[0].remember(pos, a.groups[from:])
	}
	return nil
}

// combineWork is the approximate time for one combination, in nanoseconds.
const combineWork = 100

func (w *worker) combine(pos, k int, g *groups, a *assignment) error {
	if k == len(w.dims) {
		i, err := g.at(w.key)
		if err == nil && !w.scratch.Spend(combineWork) {
			err = w.scratch.Err()
		}
		if n := cap(a.groups); err == nil && len(a.groups) == n {
			err = w.charge(4 * (n + n/4 + 64)) // the memory that append allocates
		}
		if err != nil {
			return err
		}
		a.groups = append(a.groups, i)
		return nil
	}
	v := w.dims[k].value(pos)
	if v.Type != tree.ListType {
		w.key = append(w.key[:k], v)
		return w.combine(pos, k+1, g, a)
	}
	for i, item := range v.List {
		if slices.ContainsFunc(v.List[:i], item.Equal) {
			continue
		}
		w.key = append(w.key[:k], item)
		if err := w.combine(pos, k+1, g, a); err != nil {
			return err
		}
	}
	return nil
}

// sortGroups orders groups by their keys, ascending, with missing values last.
func sortGroups(all []Group, h *halt) {
	firstRows(all, -1, h, func(a, b Group) int { return compareRows(a.Key, b.Key) })
}

func compareRows(a, b []tree.Value) int {
	for i := range min(len(a), len(b)) {
		if c := a[i].Compare(b[i]); c != 0 {
			return c
		}
	}
	return 0
}

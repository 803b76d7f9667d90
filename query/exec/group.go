package exec

import (
	"encoding/binary"
	"slices"
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// groupBytes is charged for a group beside its key, cellBytes for each of its cells.
const (
	groupBytes = 200
	cellBytes  = 32
)

// groups are the rows of a breakdown by their keys.
type groups struct {
	budget *budget
	fns    []tree.Fn // of each cell
	limit  int
	index  map[string]int32
	all    []Group
	buf    []byte
}

// newGroups makes groups of one cell per function; a plain counter is CountFn.
func newGroups(b *budget, fns ...tree.Fn) *groups {
	return &groups{budget: b, fns: fns, limit: maxGroups, index: map[string]int32{}}
}

// at returns the number of the group of a key, which is copied when it is new.
func (g *groups) at(key []tree.Value) (int32, error) {
	if i, known := g.find(key); known {
		return i, nil
	}
	if len(g.all) >= g.limit {
		return 0, tooManyGroups(len(g.all)+1, g.limit)
	}
	if err := g.budget.charge(groupBytes + 2*len(g.buf) + len(g.fns)*cellBytes); err != nil {
		return 0, err
	}
	i := int32(len(g.all))
	g.index[string(g.buf)] = i
	g.all = append(g.all, Group{Key: slices.Clone(key), Cells: make([]Cell, len(g.fns))})
	return i, nil
}

// find leaves the text of the key in g.buf.
func (g *groups) find(key []tree.Value) (int32, bool) {
	g.buf = g.buf[:0]
	for _, v := range key {
		g.buf = appendKey(g.buf, v)
	}
	i, known := g.index[string(g.buf)]
	return i, known
}

// appendKey appends what tells v from every other value.
func appendKey(b []byte, v tree.Value) []byte {
	b = append(b, byte(v.Type), byte(v.Scale))
	if v.Type == tree.StringType {
		b = binary.AppendUvarint(b, uint64(len(v.Str)))
		return append(b, v.Str...)
	}
	return binary.LittleEndian.AppendUint64(b, uint64(v.Int))
}

// add merges the groups of a partial.
func (g *groups) add(from []Group) error {
	for i := range from {
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

// assignment says for every position of a chunk to which groups it belongs: groups[start[i]:start[i+1]].
// A list attribute puts a profile into several.
type assignment struct {
	start  []int32
	groups []int32
}

func (a *assignment) of(pos int) []int32 { return a.groups[a.start[pos]:a.start[pos+1]] }

// assign computes the groups of the members of a chunk.
func (w *worker) assign(members *query.Bits, g *groups) (*assignment, error) {
	a := &w.assigned
	if cap(a.start) == 0 {
		a.start = make([]int32, query.ChunkSize+1)
	}
	a.groups = a.groups[:0]
	for _, d := range w.dims {
		d.load(w, members)
	}
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

// groupsOf appends the groups of one position: every combination of the values of its dimensions.
func (w *worker) groupsOf(pos int, g *groups, a *assignment) error {
	if len(w.dims) == 1 {
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

func (w *worker) combine(pos, k int, g *groups, a *assignment) error {
	if k == len(w.dims) {
		i, err := g.at(w.key)
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

// sortGroups orders groups by their keys ascending, (not set) after every value.
func sortGroups(all []Group) {
	sort.Slice(all, func(i, j int) bool { return compareRows(all[i].Key, all[j].Key) < 0 })
}

func compareRows(a, b []tree.Value) int {
	for i := range min(len(a), len(b)) {
		if c := a[i].Compare(b[i]); c != 0 {
			return c
		}
	}
	return 0
}

package engine

import (
	"math"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// tailColumn is one property of a tail.
type tailColumn struct {
	property uint32
	t        tree.Type
	dict     *dictionary
	cells
}

// tail is rows of one series in order of arrival, column by column, append-only: a reader with a copy
// of the struct continues to read its first n rows while later ones are written after them.
type tail struct {
	n, capacity int
	pos         []uint16
	base        int64
	off         []uint32 // times from base; nil when they do not fit
	times       []int64
	min, max    int64
	cols        []tailColumn
	live        *liveTail // only the writer uses it, for live segments
}

const (
	tailFirstCapacity = 8
	// tailEarly is by how much a tail's base is earlier than its first row, since rows come only
	// roughly in order.
	tailEarly = 1 << 30
)

func newTail(time int64) *tail {
	t := &tail{capacity: tailFirstCapacity, pos: make([]uint16, tailFirstCapacity), min: math.MaxInt64, max: math.MinInt64}
	if time > math.MinInt64+tailEarly {
		t.base, t.off = time-tailEarly, make([]uint32, tailFirstCapacity)
	} else {
		t.times = make([]int64, tailFirstCapacity)
	}
	return t
}

// header copies the struct and its columns, not the memory of the rows, which views share with the
// writer.
func (t *tail) header() *tail {
	if t == nil {
		return nil
	}
	copied := *t
	copied.cols = append([]tailColumn(nil), t.cols...)
	return &copied
}

// append adds a row and returns its number. Its columns are missing until they are set.
func (t *tail) append(pos uint16, time int64) (row int) {
	if t.n == t.capacity {
		t.grow()
	}
	row = t.n
	t.pos[row] = pos
	if t.off != nil && (time < t.base || uint64(time)-uint64(t.base) > math.MaxUint32) {
		times := make([]int64, t.capacity)
		for i := range t.n {
			times[i] = t.base + int64(t.off[i])
		}
		t.off, t.times = nil, times
	}
	if t.off != nil {
		t.off[row] = uint32(time - t.base)
	} else {
		t.times[row] = time
	}
	t.min, t.max = min(t.min, time), max(t.max, time)
	t.n++
	return row
}

func (t *tail) grow() {
	capacity := 2 * t.capacity
	if capacity > 1024 {
		capacity = t.capacity + t.capacity/4
	}
	t.pos = append(make([]uint16, 0, capacity), t.pos...)[:capacity]
	if t.off != nil {
		t.off = append(make([]uint32, 0, capacity), t.off...)[:capacity]
	} else {
		t.times = append(make([]int64, 0, capacity), t.times...)[:capacity]
	}
	for i := range t.cols {
		t.cols[i].grow(capacity)
	}
	t.capacity = capacity
}

// column returns the column of a property. It adds the column if there is none.
func (t *tail) column(property uint32, typ tree.Type, dict *dictionary) *tailColumn {
	for i := range t.cols {
		if t.cols[i].property == property {
			return &t.cols[i]
		}
	}
	t.cols = append(t.cols, tailColumn{property: property, t: typ, dict: dict})
	return &t.cols[len(t.cols)-1]
}

// block returns the rows in the form that the query language reads.
func (t *tail) block() *query.Block {
	b := &query.Block{Rows: t.n, Pos: t.pos[:t.n], Base: t.base, Min: t.min, Max: t.max}
	if t.off != nil {
		b.Off = t.off[:t.n]
	} else {
		b.Times = t.times[:t.n]
	}
	for i := range t.cols {
		c := &t.cols[i]
		for len(b.Cols) <= int(c.property) {
			b.Cols = append(b.Cols, nil)
		}
		v := c.vec(c.t, dictOrNil(c.dict), t.n)
		if v.Rows > 0 {
			b.Cols[c.property] = &v
		}
	}
	return b
}

// dictOrNil avoids an interface that holds a nil pointer.
func dictOrNil(d *dictionary) query.Dict {
	if d == nil {
		return nil
	}
	return d
}

func (t *tail) memory() int64 {
	if t == nil {
		return 0
	}
	bytes := int64(160 + 2*cap(t.pos) + 4*cap(t.off) + 8*cap(t.times))
	for i := range t.cols {
		bytes += 120 + t.cols[i].cells.memory()
	}
	return bytes
}

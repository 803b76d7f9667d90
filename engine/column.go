package engine

import (
	"sync/atomic"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// pagesPerChunk is the number of pages of a column that cover one chunk.
const pagesPerChunk = query.ChunkSize / query.PageRows

// vecBytes is the memory of a page's query.Vec.
const vecBytes = 176

// pageBytes is the memory of a page besides its cells.
const pageBytes = 96

// page is 512 rows of a column: the unit of copy-on-write.
type page struct {
	epoch uint64
	cells
}

// pageTable is the pages of one column over one chunk.
type pageTable struct {
	epoch uint64
	pages []*page
	// sets has the profiles by value, for strings and booleans. It is nil while there are none. Once
	// there were too many values, crowded is true and sets stays nil.
	sets    *valueSets
	crowded bool
	// vecs caches what readers get. The first reader makes it; a write clears it.
	vecs atomic.Pointer[[]query.Vec]
}

// column has one value per ordinal, in copy-on-write pages under a two-level table. Strings and lists
// are codes of dict.
type column struct {
	epoch  uint64
	t      tree.Type
	dict   *dictionary
	chunks []*pageTable
	count  int64 // rows with a value
	sets   bool  // whether the page tables keep sets of profiles by value
	codes  int   // of dict, as of this version
}

// at returns the page of an ordinal and its row there; the page is nil where nothing was written yet.
func (c *column) at(ordinal uint32) (*page, int) {
	if c == nil || int(ordinal>>query.ChunkBits) >= len(c.chunks) {
		return nil, 0
	}
	table := c.chunks[ordinal>>query.ChunkBits]
	i := ordinal % query.ChunkSize / query.PageRows
	if table == nil || int(i) >= len(table.pages) {
		return nil, 0
	}
	return table.pages[i], int(ordinal % query.PageRows)
}

// raw returns the integer of an ordinal; ok is false where it has no value.
func (c *column) raw(ordinal uint32) (raw int64, ok bool) {
	p, row := c.at(ordinal)
	if p == nil {
		return 0, false
	}
	return p.raw(row)
}

// value returns the value of an ordinal, the missing one where there is none.
func (c *column) value(ordinal uint32) tree.Value {
	p, row := c.at(ordinal)
	if p == nil {
		return tree.Value{}
	}
	return p.value(row, c.t, c.dict)
}

func (c *cells) value(row int, t tree.Type, dict *dictionary) tree.Value {
	if t == tree.NumberType {
		n, ok := c.number(row)
		if !ok {
			return tree.Value{}
		}
		return tree.Num(n)
	}
	raw, ok := c.raw(row)
	switch {
	case !ok:
		return tree.Value{}
	case dict != nil:
		return dict.Value(uint32(raw))
	}
	return tree.Value{Type: t, Int: raw}
}

// own returns c, or a copy that may be written.
func (c *column) own(e *epochs) *column {
	if !e.isFrozen(c.epoch) {
		return c
	}
	copied := *c
	copied.epoch = e.current
	copied.chunks = append([]*pageTable(nil), c.chunks...)
	return &copied
}

// write returns the page of an ordinal for writing. REQUIRES: c is owned.
func (c *column) write(e *epochs, ordinal uint32) (*page, int) {
	chunk := int(ordinal >> query.ChunkBits)
	for len(c.chunks) <= chunk {
		c.chunks = append(c.chunks, nil)
	}
	table := c.chunks[chunk]
	switch {
	case table == nil:
		table = &pageTable{epoch: e.current}
		c.chunks[chunk] = table
	case e.isFrozen(table.epoch):
		table = &pageTable{
			epoch: e.current, pages: append(make([]*page, 0, cap(table.pages)), table.pages...),
			sets: table.sets, crowded: table.crowded,
		}
		c.chunks[chunk] = table
	case table.vecs.Load() != nil:
		table.vecs.Store(nil)
	}
	i := int(ordinal % query.ChunkSize / query.PageRows)
	for len(table.pages) <= i {
		table.pages = append(table.pages, nil)
	}
	p := table.pages[i]
	if p == nil {
		p = &page{epoch: e.current}
		table.pages[i] = p
	} else if e.isFrozen(p.epoch) {
		p = &page{epoch: e.current, cells: p.clone()}
		table.pages[i] = p
	}
	return p, int(ordinal % query.PageRows)
}

// set writes an integer. REQUIRES: c is owned.
func (c *column) set(e *epochs, ordinal uint32, raw int64) {
	p, row := c.write(e, ordinal)
	old, had := p.raw(row)
	if !had {
		c.count++
	}
	p.set(row, raw, query.PageRows)
	if c.sets {
		c.chunks[ordinal>>query.ChunkBits].index(e, c.dict, uint16(ordinal), old, raw, had, true)
	}
}

// setNumber writes a number. REQUIRES: c is owned.
func (c *column) setNumber(e *epochs, ordinal uint32, n tree.Number) {
	p, row := c.write(e, ordinal)
	if _, had := p.raw(row); !had {
		c.count++
	}
	p.setNumber(row, n, query.PageRows)
}

// clear removes the value of an ordinal. REQUIRES: c is owned.
func (c *column) clear(e *epochs, ordinal uint32) {
	old, ok := c.raw(ordinal)
	if !ok {
		return
	}
	p, row := c.write(e, ordinal)
	p.cells.clear(row)
	c.count--
	if c.sets {
		c.chunks[ordinal>>query.ChunkBits].index(e, c.dict, uint16(ordinal), old, 0, true, false)
	}
}

// vecs returns the pages of a chunk in the form that the query language reads.
func (c *column) vecs(chunk int) []query.Vec {
	if c == nil || chunk >= len(c.chunks) || c.chunks[chunk] == nil {
		return nil
	}
	table := c.chunks[chunk]
	if made := table.vecs.Load(); made != nil {
		return *made
	}
	var dict query.Dict
	if c.dict != nil {
		dict = c.dict
	}
	vecs := make([]query.Vec, len(table.pages))
	for i, p := range table.pages {
		if p == nil {
			vecs[i] = query.Vec{Type: c.t, Dict: dict}
			continue
		}
		vecs[i] = p.vec(c.t, dict, query.PageRows)
	}
	table.vecs.Store(&vecs)
	return vecs
}

func (c *column) memory() (bytes int64) {
	for _, table := range c.chunks {
		if table == nil {
			continue
		}
		bytes += int64(64+8*cap(table.pages)) + table.sets.memory()
		if vecs := table.vecs.Load(); vecs != nil {
			bytes += int64(len(*vecs)) * vecBytes
		}
		for _, p := range table.pages {
			if p != nil {
				bytes += pageBytes + p.cells.memory()
			}
		}
	}
	return bytes
}

package member

import "github.com/musterdb/muster/query"

const (
	pageRows      = query.PageRows
	pagesPerChunk = query.ChunkSize / pageRows
)

// paged is one value per ordinal, in pages that exist only where a value was set. Reading elsewhere
// gives the zero value.
type paged[T comparable] struct {
	chunks []*[pagesPerChunk]*[pageRows]T
}

func (p *paged[T]) get(ordinal uint32) (v T) {
	if page := p.page(ordinal); page != nil {
		return page[ordinal%pageRows]
	}
	return v
}

func (p *paged[T]) page(ordinal uint32) *[pageRows]T {
	chunk := int(ordinal >> query.ChunkBits)
	if chunk >= len(p.chunks) || p.chunks[chunk] == nil {
		return nil
	}
	return p.chunks[chunk][ordinal%query.ChunkSize/pageRows]
}

// put sets a value; the zero value makes no page.
func (p *paged[T]) put(ordinal uint32, v T) {
	page := p.page(ordinal)
	if page == nil {
		var zero T
		if v == zero {
			return
		}
		chunk := int(ordinal >> query.ChunkBits)
		for len(p.chunks) <= chunk {
			p.chunks = append(p.chunks, nil)
		}
		if p.chunks[chunk] == nil {
			p.chunks[chunk] = new([pagesPerChunk]*[pageRows]T)
		}
		page = new([pageRows]T)
		p.chunks[chunk][ordinal%query.ChunkSize/pageRows] = page
	}
	page[ordinal%pageRows] = v
}

// drop forgets a chunk.
func (p *paged[T]) drop(chunk int) {
	if chunk < len(p.chunks) {
		p.chunks[chunk] = nil
	}
}

// set is a set of ordinals, in pages of 512 that exist only where somebody is.
type set struct {
	chunks []*[pagesPerChunk]*[pageRows / 64]uint64
}

func (s *set) has(ordinal uint32) bool {
	chunk := int(ordinal >> query.ChunkBits)
	if chunk >= len(s.chunks) || s.chunks[chunk] == nil {
		return false
	}
	page := s.chunks[chunk][ordinal%query.ChunkSize/pageRows]
	return page != nil && page[ordinal%pageRows/64]>>(ordinal%64)&1 != 0
}

func (s *set) put(ordinal uint32, in bool) {
	if s.has(ordinal) == in {
		return
	}
	chunk := int(ordinal >> query.ChunkBits)
	for len(s.chunks) <= chunk {
		s.chunks = append(s.chunks, nil)
	}
	table := s.chunks[chunk]
	if table == nil {
		table = new([pagesPerChunk]*[pageRows / 64]uint64)
		s.chunks[chunk] = table
	}
	page := table[ordinal%query.ChunkSize/pageRows]
	if page == nil {
		page = new([pageRows / 64]uint64)
		table[ordinal%query.ChunkSize/pageRows] = page
	}
	if in {
		page[ordinal%pageRows/64] |= 1 << (ordinal % 64)
	} else {
		page[ordinal%pageRows/64] &^= 1 << (ordinal % 64)
	}
}

func (s *set) fill(chunk int, out *query.Bits) {
	*out = query.Bits{}
	if chunk >= len(s.chunks) || s.chunks[chunk] == nil {
		return
	}
	for i, page := range s.chunks[chunk] {
		if page != nil {
			copy(out[i*len(page):], page[:])
		}
	}
}

// load makes the set's part in a chunk equal to in.
func (s *set) load(chunk int, in *query.Bits) {
	for len(s.chunks) <= chunk {
		s.chunks = append(s.chunks, nil)
	}
	table := new([pagesPerChunk]*[pageRows / 64]uint64)
	for i := range table {
		var page [pageRows / 64]uint64
		copy(page[:], in[i*len(page):])
		if page != ([pageRows / 64]uint64{}) {
			table[i] = &page
		}
	}
	s.chunks[chunk] = table
}

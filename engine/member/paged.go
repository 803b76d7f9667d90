package member

import "github.com/musterdb/muster/query"

// paged holds one value per ordinal, in pages that exist only where a value was set. Everywhere else it
// reads as the zero value.
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

// put sets a value; setting the zero value creates no page.
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

// drop removes the values of a chunk.
func (p *paged[T]) drop(chunk int) {
	if chunk < len(p.chunks) {
		p.chunks[chunk] = nil
	}
}

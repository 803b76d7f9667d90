package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/wire"
)

// PageSink receives the pages of a snapshot. It must not keep key or data.
type PageSink interface {
	WritePage(kind uint8, key, data []byte) error
}

// PageSource returns the pages of a snapshot in the order in which they were written; io.EOF follows
// the last one. key and data are valid until the next call.
type PageSource interface {
	Next() (kind uint8, key, data []byte, err error)
}

// maxPageBytes bounds the data of a page.
const maxPageBytes = 900 << 10

// The kinds of pages, in the order in which they are in a snapshot, each with its key. What is
// derived (indexes, ever sets, members of lists) has no pages.
const (
	pageHeader     = iota + 1 // no key
	pageCatalog               // no key
	pageDictionary            // dictionary, group of codes
	pageProfiles              // chunk
	pageColumn                // column, chunk, group of pages
	pageProperties            // event
	pageLeaf                  // event, chunk, number
	pageTail                  // event, chunk, 0 main or 1 late
	pageDedup                 // generation, group of parts
	pageImport                // source, group of sets
	pageList                  // list
	pageMerges                // no key
	pageEnd                   // no key, no data
	pageSegment               // slot
	pageMembers               // slot, chunk
	pageBuild                 // number
)

// The sizes of the groups: what is in one page mostly changes together.
const (
	dictGroupBlocks  = 16 // of 1,024 codes
	columnGroupPages = 16 // of 512 rows
	dedupGroupParts  = 32 // of 256
	importGroupSets  = 64 // of 65,536 lines
)

// The dictionaries, as the first part of a key, with the parts that follow.
const (
	dictUsers = iota + 1
	dictAnons
	dictAttribute // attribute's column
	dictProperty  // event, property
	dictList      // list
)

// snapshotWriter writes a state as pages.
type snapshotWriter struct {
	sink   PageSink
	page   []byte
	merged []byte // state of the merge protocol
}

// WriteSnapshot writes the image. It may take long and runs while entries are applied. Equal parts of
// the state give equal pages, so that a store that knows pages by content writes only what changed.
func (v *Image) WriteSnapshot(sink PageSink) error {
	w := &snapshotWriter{sink: sink, merged: v.merges}
	for _, part := range []func(*root) error{
		w.header, w.dictionaries, w.profiles, w.columns, w.events, w.dedup, w.imports, w.lists, w.merges, w.segments, w.end,
	} {
		if err := part(v.root); err != nil {
			return fmt.Errorf("write snapshot at %d: %w", v.root.seq, err)
		}
	}
	return nil
}

// put writes data as one page, or as several if it is too long.
func (w *snapshotWriter) put(kind uint8, data []byte, key ...uint64) error {
	var k []byte
	for _, x := range key {
		k = binary.BigEndian.AppendUint64(k, x)
	}
	for {
		n := min(len(data), maxPageBytes-2)
		more := byte(0)
		if n < len(data) {
			more = 1
		}
		w.page = append(append(w.page[:0], formatOf(kind), more), data[:n]...)
		if err := w.sink.WritePage(kind, k, w.page); err != nil {
			return err
		}
		if data = data[n:]; more == 0 {
			return nil
		}
	}
}

func (w *snapshotWriter) header(r *root) error {
	b := binary.AppendUvarint(nil, r.seq)
	b = binary.AppendVarint(b, r.time)
	b = binary.LittleEndian.AppendUint64(b, r.hash.hi)
	b = binary.LittleEndian.AppendUint64(b, r.hash.lo)
	for _, n := range []uint64{uint64(r.ordinals), uint64(r.userCodes), uint64(r.anonCodes), uint64(r.mismatched)} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendUvarint(b, r.dedup.first)
	b = binary.AppendUvarint(b, uint64(len(r.dedup.gens)))
	for _, gen := range r.dedup.gens {
		b = binary.AppendVarint(b, gen.start)
		b = binary.AppendUvarint(b, uint64(gen.n))
	}
	if err := w.put(pageHeader, b); err != nil {
		return err
	}
	return w.put(pageCatalog, r.catalog.Encode())
}

func (w *snapshotWriter) dictionaries(r *root) error {
	if err := w.dictionary(r.users, int(r.userCodes), dictUsers, 0, 0); err != nil {
		return err
	}
	if err := w.dictionary(r.anons, int(r.anonCodes), dictAnons, 0, 0); err != nil {
		return err
	}
	for i, c := range r.columns {
		if err := w.dictionary(c.dict, c.codes, dictAttribute, uint64(i), 0); err != nil {
			return err
		}
	}
	for event, table := range r.events {
		for id, p := range table.props {
			if err := w.dictionary(p.dict, p.codes, dictProperty, uint64(event), uint64(id)); err != nil {
				return err
			}
		}
	}
	for id, l := range r.lists {
		if l == nil {
			continue
		}
		if err := w.dictionary(l.ids, l.codes, dictList, uint64(id), 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *snapshotWriter) dictionary(d *dictionary, codes int, of, a, b uint64) error {
	const group = dictGroupBlocks * dictBlockCodes
	for from := 0; d != nil && from < codes; from += group {
		to := min(from+group, codes)
		data := binary.AppendUvarint(nil, uint64(to-from))
		for code := from; code < to; code++ {
			data = wire.AppendBytes(data, d.bytes(uint32(code)))
		}
		if err := w.put(pageDictionary, data, of, a, b, uint64(from/group)); err != nil {
			return err
		}
	}
	return nil
}

func (w *snapshotWriter) profiles(r *root) error {
	for chunk, p := range r.profiles {
		if err := w.put(pageProfiles, appendSet(nil, p), uint64(chunk)); err != nil {
			return err
		}
	}
	return nil
}

func (w *snapshotWriter) columns(r *root) error {
	for i, c := range r.columns {
		for chunk, table := range c.chunks {
			if table == nil {
				continue
			}
			for from := 0; from < len(table.pages); from += columnGroupPages {
				data := []byte(nil)
				any := false
				for _, p := range table.pages[from:min(from+columnGroupPages, len(table.pages))] {
					if p == nil {
						data = append(data, 0)
						continue
					}
					any = any || p.width > 0
					data = appendCells(data, &p.cells)
				}
				if !any {
					continue
				}
				if err := w.put(pageColumn, data, uint64(i), uint64(chunk), uint64(from/columnGroupPages)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// appendCells appends one page of a column: its width, scale, base and cells.
func appendCells(b []byte, c *cells) []byte {
	b = append(b, c.width)
	if c.width == 0 {
		return b
	}
	if c.scales != nil {
		b = append(b, 1)
		return append(append(b, bytesOf(c.words)...), bytesOf(c.scales)...)
	}
	b = append(b, 0, byte(c.scale))
	b = binary.AppendVarint(b, c.base)
	return append(b, bytesOf(c.words)...)
}

func (w *snapshotWriter) events(r *root) error {
	for event, table := range r.events {
		if table.rows == 0 && len(table.props) == 0 {
			continue
		}
		data := binary.AppendUvarint(nil, uint64(len(table.props)))
		for _, p := range table.props {
			data = wire.AppendBool(data, p.overflowed)
		}
		if err := w.put(pageProperties, data, uint64(event)); err != nil {
			return err
		}
		for chunk := range table.chunks {
			if s := r.series(uint32(event), chunk); s != nil {
				if err := w.series(s, uint64(event), uint64(chunk)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *snapshotWriter) series(s *series, event, chunk uint64) error {
	for i, l := range s.leaves {
		if err := w.put(pageLeaf, appendBlock(wire.AppendBool(nil, l.future), &l.block), event, chunk, uint64(i)); err != nil {
			return err
		}
	}
	for i, t := range []*tail{s.main, s.late} {
		if t == nil {
			continue
		}
		if err := w.put(pageTail, appendBlock(nil, t.block()), event, chunk, uint64(i)); err != nil {
			return err
		}
	}
	return nil
}

// appendBlock appends rows column by column.
func appendBlock(b []byte, block *query.Block) []byte {
	b = binary.AppendUvarint(b, uint64(block.Rows))
	b = append(b, bytesOf(block.Pos)...)
	b = binary.AppendVarint(b, block.Base)
	if block.Off != nil {
		b = append(append(b, 4), bytesOf(block.Off)...)
	} else {
		b = append(append(b, 8), bytesOf(block.Times)...)
	}
	n := 0
	for _, v := range block.Cols {
		if v != nil {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for id, v := range block.Cols {
		if v != nil {
			b = appendVec(binary.AppendUvarint(b, uint64(id)), v)
		}
	}
	return b
}

// The encodings of a column of a block, besides its widths 1, 2, 4 and 8.
const (
	vecConst  = 0
	vecScales = 16
)

func appendVec(b []byte, v *query.Vec) []byte {
	switch {
	case v.Const:
		return binary.AppendVarint(append(b, vecConst, byte(v.Scale)), v.Base)
	case v.U8 != nil:
		return append(binary.AppendVarint(append(b, 1, byte(v.Scale)), v.Base), v.U8...)
	case v.U16 != nil:
		return append(binary.AppendVarint(append(b, 2, byte(v.Scale)), v.Base), bytesOf(v.U16)...)
	case v.U32 != nil:
		return append(binary.AppendVarint(append(b, 4, byte(v.Scale)), v.Base), bytesOf(v.U32)...)
	case v.Scales != nil:
		b = binary.AppendVarint(append(b, vecScales, 0), 0)
		return append(append(b, bytesOf(v.I64)...), bytesOf(v.Scales)...)
	}
	return append(binary.AppendVarint(append(b, 8, byte(v.Scale)), 0), bytesOf(v.I64)...)
}

func (w *snapshotWriter) dedup(r *root) error {
	for i := range r.dedup.gens {
		gen := r.dedup.first + uint64(i)
		for from := 0; from < dedupParts; from += dedupGroupParts {
			var data []byte
			any := false
			for j := from; j < from+dedupGroupParts; j++ {
				hashes := r.dedup.parts[j].of(gen)
				data = binary.AppendUvarint(data, uint64(len(hashes)))
				data = append(data, bytesOf(hashes)...)
				any = any || len(hashes) > 0
			}
			if !any {
				continue
			}
			if err := w.put(pageDedup, data, gen, uint64(from/dedupGroupParts)); err != nil {
				return err
			}
		}
	}
	return nil
}

// of returns the hashes of one generation.
func (p *dedupPart) of(gen uint64) []uint64 {
	for i, start := range p.starts {
		if start.gen != gen {
			continue
		}
		if i+1 < len(p.starts) {
			return p.hashes[start.at:p.starts[i+1].at]
		}
		return p.hashes[start.at:]
	}
	return nil
}

func (w *snapshotWriter) imports(r *root) error {
	for i, source := range r.imports {
		for from := 0; from < len(source.sets); from += importGroupSets {
			group := source.sets[from:min(from+importGroupSets, len(source.sets))]
			data := wire.AppendString(nil, source.name)
			data = binary.AppendUvarint(data, uint64(len(group)))
			for _, set := range group {
				data = appendSet(binary.AppendUvarint(data, set.number), set.lines)
			}
			if err := w.put(pageImport, data, uint64(i), uint64(from/importGroupSets)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *snapshotWriter) merges(*root) error {
	return w.put(pageMerges, w.merged)
}

func (w *snapshotWriter) end(*root) error {
	return w.put(pageEnd, nil)
}

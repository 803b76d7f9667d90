package engine

import (
	"encoding/binary"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/wire"
)

// The format is the first byte of the data of every page. The second is 1 if the next page continues
// this one, else 0. Pages with sets have the second format, in which a set is in roaring's portable
// format. Pages with sets of the first format can still be read.
const (
	snapshotFormat = 1
	formatOfSets   = 2
)

// formatOf returns the format in which pages of a kind are written.
func formatOf(kind uint8) byte {
	switch kind {
	case pageProfiles, pageImport, pageList, pageMembers:
		return formatOfSets
	}
	return snapshotFormat
}

func appendSet(b []byte, p *set) []byte {
	if p == nil {
		p = &set{}
	}
	return wire.AppendSet(b, &p.bitmap)
}

// set reads a set of positions of one chunk.
func (x *restorer) set(r *wire.Reader) *set {
	p := &set{epoch: x.s.epochs.current}
	if x.format == snapshotFormat {
		readFirstSet(r, &p.bitmap)
	} else {
		p.bitmap = *r.Set()
	}
	if p.validate() != nil {
		r.Fail("set of positions")
		return &set{epoch: x.s.epochs.current}
	}
	if p.bitmap.HasRunCompression() { // runs are good for pages, but slower to change
		var bits query.Bits
		p.bitmap.WriteDenseTo(bits[:])
		p.bitmap = *roaring.FromDense(bits[:], true)
	}
	return p
}

// readFirstSet reads a set in the first format: a 1 and the bits of a chunk, or a 0 and a list.
func readFirstSet(r *wire.Reader, to *roaring.Bitmap) {
	const mostListed = 1024
	if r.Byte() == 1 {
		var bits query.Bits
		copy(bytesOf(bits[:]), r.Take(query.ChunkSize/8))
		to.FromDense(bits[:], true)
		return
	}
	n := r.Count(2)
	if n > mostListed {
		r.Fail("list of positions")
		return
	}
	list := make([]uint32, n)
	for i := range list {
		list[i] = uint32(binary.LittleEndian.Uint16(r.Take(2)))
		if i > 0 && list[i-1] >= list[i] {
			r.Fail("order of positions")
			return
		}
	}
	to.AddMany(list)
}

func (w *snapshotWriter) lists(r *root) error {
	for id, l := range r.lists {
		if l == nil {
			continue
		}
		words := make([]uint64, (l.codes+63)/64)
		for code := range l.codes {
			if _, ok := l.listed.raw(uint32(code)); ok {
				words[code/64] |= 1 << (code % 64)
			}
		}
		if err := w.put(pageList, wire.AppendSet(nil, roaring.FromDense(words, false)), uint64(id)); err != nil {
			return err
		}
	}
	return nil
}

// list reads which ids are on a list. The dictionary of the list has been read already.
func (x *restorer) list(r *wire.Reader, id uint64) {
	if id >= 1<<32 || !x.s.knownList(uint32(id)) {
		r.Fail("list")
		return
	}
	l := x.s.list(uint32(id))
	codes := roaring.New()
	if x.format == snapshotFormat { // one bit per code
		words := make([]uint64, (l.codes+63)/64)
		copy(bytesOf(words), r.Take((l.codes+7)/8))
		codes.FromDense(words, false)
	} else {
		codes = r.Set()
	}
	if !codes.IsEmpty() && int64(codes.Maximum()) >= int64(l.codes) {
		r.Fail("id of a list")
		return
	}
	x.listed[uint32(id)] = codes
}

// fillLists sets the members of the lists, once all profiles are there.
func (x *restorer) fillLists() {
	for id, codes := range x.listed {
		l := x.r.lists[id]
		for code := range roaring.Values(codes) {
			l.listed.set(&x.s.epochs, code, 1)
			if ordinal, ok := x.r.findLiteral(l.ids.text(code)); ok {
				l.setMember(&x.s.epochs, ordinal, true)
			}
		}
		x.s.shrinkList(id, l)
	}
}

package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
	"github.com/zeebo/xxh3"
)

// ErrSnapshot is the cause of every error of restoring a snapshot.
var ErrSnapshot = errors.New("snapshot cannot be read")

// restorer fills a new shard from pages. Every page is checked against the earlier ones, so that
// whatever the bytes are, the shard is either sound or not returned.
type restorer struct {
	s          *Shard
	r          *root
	kind       uint8
	format     byte   // of the page
	userN      uint32 // numbers of codes, from the header
	anonN      uint32
	total      int // hashes of the de-duplication generations
	ended      bool
	pending    []byte // data of a page that the next one continues
	pendingKey []byte
	listed     map[uint32]*roaring.Bitmap // codes of ids, by list
	filling    *dictionary                // the dictionary being read, not indexed yet; hashes are those of its values
	hashes     []uint64
	present    query.Bits // scratch: positions of rows
	places     []uint16   // by code of a column, its last known index in a valueSets
	damaged    bool       // accept what RestoreDamaged accepts
}

// Restore rebuilds a shard from the pages of a snapshot. Hostile pages give an error.
func Restore(c Config, source PageSource) (*Shard, error) { return restore(c, source, false) }

// RestoreDamaged is Restore of a snapshot whose state may be damaged: a dictionary may have a value
// twice (the last one is found from then on, as it was while the damaged shard ran), ids may lead
// nowhere, and memberships may differ from their definitions. Examine lists what is wrong, and
// Rebuild makes a sound state of it.
func RestoreDamaged(c Config, source PageSource) (*Shard, error) { return restore(c, source, true) }

func restore(c Config, source PageSource, damaged bool) (*Shard, error) {
	s, err := New(c)
	if err != nil {
		return nil, err
	}
	x := &restorer{s: s, r: s.root, listed: map[uint32]*roaring.Bitmap{}, damaged: damaged}
	for {
		kind, key, data, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("restore shard %d: %w", c.Number, err)
		}
		if err := x.take(kind, key, data); err != nil {
			return nil, fmt.Errorf("restore shard %d: page of kind %d: %w: %w", c.Number, kind, ErrSnapshot, err)
		}
	}
	if err := x.finish(); err != nil {
		return nil, fmt.Errorf("restore shard %d: %w: %w", c.Number, ErrSnapshot, err)
	}
	return s, nil
}

var errPage = errors.New("page is damaged or out of place")

// take joins the parts of a page that was split, then reads it.
func (x *restorer) take(kind uint8, key, data []byte) error {
	if len(data) > 0 && data[0] > formatOfSets {
		return fmt.Errorf("it has format %d, and this build reads up to %d: start the build that wrote it", data[0], formatOfSets)
	}
	if len(data) < 2 || data[0] != snapshotFormat && data[0] != formatOf(kind) || data[1] > 1 || len(key)%8 != 0 || len(key) > 32 || x.ended {
		return errPage
	}
	if x.pending != nil && (kind != x.kind || data[0] != x.format || string(key) != string(x.pendingKey)) || rankOfPage(kind) < rankOfPage(x.kind) {
		return errPage
	}
	if x.kind < pageCatalog && kind > x.kind+1 {
		return errPage // the header and the catalog must be first
	}
	x.kind, x.format = kind, data[0]
	continued := data[1] == 1
	data = data[2:]
	if x.pending != nil || continued {
		x.pending = append(x.pending, data...)
		x.pendingKey = append(x.pendingKey[:0], key...)
		if continued {
			return nil
		}
		data, x.pending = x.pending, nil
	}
	var k [4]uint64
	for i := range len(key) / 8 {
		k[i] = binary.BigEndian.Uint64(key[8*i:])
	}
	return x.read(kind, k, data)
}

// rankOfPage orders the kinds. Pages of events are interleaved, event by event. Pages of segments are
// between merges and the end, though their numbers are higher.
func rankOfPage(kind uint8) uint8 {
	switch kind {
	case pageLeaf, pageTail:
		return pageProperties
	case pageSegment, pageMembers, pageBuild:
		return pageMerges
	}
	return kind
}

func (x *restorer) read(kind uint8, key [4]uint64, data []byte) error {
	r := wire.NewReader(data)
	if kind != pageDictionary {
		if err := x.indexValues(); err != nil {
			return err
		}
	}
	switch kind {
	case pageHeader:
		x.header(r)
	case pageCatalog:
		return x.catalog(data)
	case pageDictionary:
		x.dictionary(r, key)
	case pageProfiles:
		x.profiles(r, key[0])
	case pageColumn:
		x.column(r, key)
	case pageProperties:
		x.properties(r, key[0])
	case pageLeaf, pageTail:
		x.rows(r, kind, key)
	case pageDedup:
		x.dedup(r, key)
	case pageImport:
		x.imports(r, key[0])
	case pageList:
		x.list(r, key[0])
	case pageMerges:
		if len(data) > 0 {
			if err := x.s.machine.RestoreState(append([]byte(nil), data...)); err != nil {
				return err
			}
		}
		x.r.needs, x.r.absorbed = x.s.machine.Needs(), x.s.machine.Absorbed()
		return nil
	case pageSegment:
		x.segment(r, key[0])
	case pageMembers:
		x.members(r, key[0], key[1])
	case pageBuild:
		x.build(r)
	case pageEnd:
		x.ended = true
	default:
		return errPage
	}
	return r.Done()
}

func (x *restorer) header(r *wire.Reader) {
	x.r.seq, x.r.time = r.Uvarint(), r.Varint()
	x.r.hash = factSum{hi: r.Fixed64()}
	x.r.hash.lo = r.Fixed64()
	x.r.ordinals, x.userN, x.anonN = r.Uint32(), r.Uint32(), r.Uint32()
	x.r.mismatched = int64(r.Uvarint())
	d := x.r.dedup
	d.first = r.Uvarint()
	for range r.Count(2) {
		gen := generation{start: r.Varint(), n: int(r.Uint32())}
		d.gens = append(d.gens, gen)
		d.total += gen.n
	}
}

func (x *restorer) catalog(data []byte) error {
	c, err := catalog.Decode(data, x.s.config.Parse)
	if err != nil {
		return err
	}
	if x.r.catalog.Version() > 0 || len(x.r.events) > 0 {
		return errPage
	}
	x.r.catalog = c
	x.s.defineColumns()
	return nil
}

// dict returns the dictionary that a key names, nil if there is none.
func (x *restorer) dict(key [4]uint64) *dictionary {
	switch key[0] {
	case dictUsers:
		return x.r.users
	case dictAnons:
		return x.r.anons
	case dictAttribute:
		if key[1] >= columnsOfEveryShard && key[1] < uint64(len(x.r.columns)) {
			return x.r.columns[key[1]].dict
		}
	case dictProperty:
		if key[1] < uint64(len(x.r.events)) {
			if props := x.r.catalog.EventByID(uint32(key[1])).Properties(); key[2] < uint64(len(props)) {
				return x.r.events[key[1]].property(uint32(key[2]), props[key[2]].Type).dict
			}
		}
	case dictList:
		if x.s.knownList(uint32(key[1])) && key[1] < 1<<32 {
			return x.s.list(uint32(key[1])).ids
		}
	}
	return nil
}

func (x *restorer) dictionary(r *wire.Reader, key [4]uint64) {
	d := x.dict(key)
	if d == nil || uint64(d.Len()) != key[3]*dictGroupBlocks*dictBlockCodes || d != x.filling && d.Len() > 0 {
		r.Fail("dictionary")
		return
	}
	if d != x.filling {
		if err := x.indexValues(); err != nil {
			r.Fail(err.Error())
			return
		}
		x.filling = d
	}
	for range r.Count(1) {
		text := r.String()
		if d.t == tree.ListType && r.Err() == nil {
			if v, err := decodeList([]byte(text)); err != nil || v.Missing() {
				r.Fail("list of a dictionary")
			}
		}
		if r.Err() != nil {
			return
		}
		x.hashes = append(x.hashes, xxh3.HashString(text))
		d.append(text)
	}
	switch key[0] {
	case dictUsers:
		x.r.userCodes = uint32(d.Len())
	case dictAnons:
		x.r.anonCodes = uint32(d.Len())
	case dictAttribute:
		x.r.columns[key[1]].codes = d.Len()
	case dictProperty:
		x.r.events[key[1]].props[key[2]].codes = d.Len()
	case dictList:
		x.r.lists[key[1]].codes = d.Len()
	}
}

// indexValues indexes the values of the dictionary being read, once all of them are there.
func (x *restorer) indexValues() error {
	d := x.filling
	if d == nil {
		return nil
	}
	if d.index.fill(x.hashes, func(a, b uint32) bool { return d.text(a) == d.text(b) }) {
		if !x.damaged {
			return fmt.Errorf("value twice in a dictionary: %w", errPage)
		}
		d.findLast()
	}
	x.filling, x.hashes = nil, x.hashes[:0]
	return nil
}

func (x *restorer) profiles(r *wire.Reader, chunk uint64) {
	set := x.set(r)
	if chunk != uint64(len(x.r.profiles)) || chunk<<query.ChunkBits >= uint64(x.r.ordinals) {
		r.Fail("chunk of profiles")
		return
	}
	if chunk<<query.ChunkBits+uint64(set.last()) >= uint64(x.r.ordinals) {
		r.Fail("ordinal of a profile")
	}
	if set != nil {
		set.bitmap.RunOptimize()
	}
	x.r.profiles = append(x.r.profiles, set)
}

// column reads 16 pages of a column. It counts their values and finds their bounds.
func (x *restorer) column(r *wire.Reader, key [4]uint64) {
	rows := x.columnRows(key[0])
	if key[0] >= uint64(len(x.r.columns)) || key[1] >= query.ChunkSize || key[2] >= pagesPerChunk/columnGroupPages || key[1]<<query.ChunkBits >= rows {
		r.Fail("place of a column")
		return
	}
	c := x.r.columns[key[0]]
	for len(c.chunks) <= int(key[1]) {
		c.chunks = append(c.chunks, nil)
	}
	table := c.chunks[key[1]]
	if table == nil {
		table = &pageTable{}
		c.chunks[key[1]] = table
	}
	from := int(key[2]) * columnGroupPages
	if len(table.pages) > from {
		r.Fail("column twice")
		return
	}
	for len(table.pages) < from {
		table.pages = append(table.pages, nil)
	}
	for r.Len() > 0 && len(table.pages) < from+columnGroupPages {
		p := &page{}
		p.cells = readCells(r, query.PageRows)
		if !p.check(c.t, c.codes, query.PageRows) {
			r.Fail("page of a column")
		}
		if p.width == 0 {
			p = nil
		}
		table.pages = append(table.pages, p)
		if p == nil {
			continue
		}
		first := key[1]<<query.ChunkBits + uint64(len(table.pages)-1)*query.PageRows
		n, last := p.present(query.PageRows)
		c.count += int64(n)
		if n > 0 && first+uint64(last) >= rows {
			r.Fail("row beyond the end of a column")
		}
		if c.sets && r.Err() == nil {
			x.indexPage(table, c.dict, p, uint16(first))
		}
	}
}

// columnRows returns the number of rows a column may have.
func (x *restorer) columnRows(i uint64) uint64 {
	switch i {
	case columnUserOwner, columnUserNext, columnUserHome:
		return uint64(x.userN)
	case columnAnonOwner, columnAnonNext, columnAnonHome:
		return uint64(x.anonN)
	}
	return uint64(x.r.ordinals)
}

func (x *restorer) properties(r *wire.Reader, event uint64) {
	if event >= uint64(len(x.r.events)) {
		r.Fail("event")
		return
	}
	props := x.r.catalog.EventByID(uint32(event)).Properties()
	n := r.Count(1)
	if n > len(props) {
		r.Fail("properties of an event")
		return
	}
	for id := range n {
		x.r.events[event].property(uint32(id), props[id].Type).overflowed = r.Bool()
	}
}

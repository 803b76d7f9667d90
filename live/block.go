package live

import (
	"encoding/binary"
	"unsafe"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/wire"
)

// Limits of a group: its number of profiles, and of profiles in all its pieces. They bound how much is read
// at a time, and by how much a block can exceed its size.
const (
	groupProfiles = 512
	groupChanges  = 4096
)

// block is a contiguous part of a shard's log. Bytes below the length of data never change, so a reader
// copies the slices data and segments under the log's lock and reads them without it.
//
// It contains records, each a length and a body. A body that begins with 0 opens a group, which does not
// span blocks: seq, a time, the number of profiles, for each profile the ordinal and the end of its id
// (four bytes each), and the ids. A profile that moves in dozens of segments together is stored once. A
// bulk (bulk.go) is a group whose body begins with 0 and 0: seq, a time, the number of profiles, the set of
// their ordinals, a byte string with the lengths of their ids, and the ids. All other records are pieces of
// the latest group: code of the segment + 1 (followed by the name where the code is used first), N,
// version, time relative to that of the group, cause, how many exit, how many enter and, unless the group
// is a bulk, their numbers in the group.
type block struct {
	first, end Position // positions of the first profile and after the last
	data       []byte   // nil: only in the store
	segments   []string // by code
	latest     int64    // greatest At
	size       int      // bytes, also if the block is only in the store
	sealed     bool
	stored     bool
}

// piece is the profiles of one change within one group.
type piece struct {
	n        int
	version  uint64
	at       int64
	cause    engine.Cause
	exits    int      // how many of the profiles, the first ones, exit; the others enter
	profiles []uint32 // numbers of the profiles in the group
	bulk     int      // instead of profiles: the number of profiles of a bulk, all of which are in the piece
}

func (p *piece) len() int { return len(p.profiles) + p.bulk }

// The causes of pieces without profiles. They record that a segment starts or stops existing. Before its
// first start it did not exist.
const (
	segmentBegins engine.Cause = 0xf0 + iota
	segmentEnds
)

// mark is a piece that records that a segment starts or stops existing.
type mark struct {
	segment string
	piece
}

// open opens a group of the profiles in places. scratch is reused.
func (b *block) open(seq uint64, at int64, places []uint32, ids []string, scratch []byte) []byte {
	s := append(scratch[:0], 0)
	s = binary.AppendUvarint(s, seq)
	s = binary.AppendVarint(s, at)
	s = binary.AppendUvarint(s, uint64(len(places)))
	end := 0
	for i, ordinal := range places {
		end += len(ids[i])
		s = binary.LittleEndian.AppendUint32(s, ordinal)
		s = binary.LittleEndian.AppendUint32(s, uint32(end))
	}
	for _, id := range ids {
		s = append(s, id...)
	}
	b.data = wire.AppendBytes(b.data, s)
	b.size = len(b.data)
	return s
}

// add appends a piece of the segment with a code to the group of an entry and a time. met reports whether the
// segment's name is in the block already. scratch is reused.
func (b *block) add(code int, met bool, seq uint64, at int64, p *piece, scratch []byte) []byte {
	s := binary.AppendUvarint(scratch[:0], uint64(code)+1)
	if !met {
		s = wire.AppendString(s, b.segments[code])
	}
	s = binary.AppendUvarint(s, uint64(p.n))
	s = binary.AppendUvarint(s, p.version)
	s = binary.AppendVarint(s, p.at-at)
	s = append(s, byte(p.cause))
	s = binary.AppendUvarint(s, uint64(p.exits))
	s = binary.AppendUvarint(s, uint64(p.len()-p.exits))
	last := int64(-1)
	for _, number := range p.profiles {
		s = binary.AppendVarint(s, int64(number)-last)
		last = int64(number)
	}
	if b.end == (Position{}) {
		b.first, b.latest = Position{seq, p.n}, p.at
	}
	b.data = wire.AppendBytes(b.data, s)
	b.latest = max(b.latest, p.at)
	b.end = Position{seq, p.n + p.len()}
	b.size = len(b.data)
	return s
}

// group is the entry, the time and the profiles of the pieces that follow its record.
type group struct {
	seq   uint64
	at    int64
	n     int
	fixed []byte // for each profile its ordinal and the end of its id
	ids   []byte

	bulk    bool
	set     wire.Reader // of a bulk: at its ordinals
	lengths []byte      // of its ids
	ends    []uint32    // of its ids
}

// read reads a group into g, reusing its memory.
func (g *group) read(r *wire.Reader) {
	*g = group{ends: g.ends[:0], seq: r.Uvarint()}
	if g.seq == 0 { // not a valid entry: this is a bulk
		g.readBulk(r)
		return
	}
	g.at, g.n = r.Varint(), r.Count(8)
	g.fixed = r.Take(8 * g.n)
	g.ids = r.Take(r.Len())
}

// ordinal returns the ordinal of a profile by number. REQUIRES: the group is not a bulk.
func (g *group) ordinal(number int) uint32 { return binary.LittleEndian.Uint32(g.fixed[8*number:]) }

// id returns the id of a profile by number. It aliases the block.
func (g *group) id(number int) (id string, ok bool) {
	from := uint32(0)
	if number > 0 {
		from = g.end(number - 1)
	}
	to := g.end(number)
	if from > to || uint64(to) > uint64(len(g.ids)) {
		return "", false
	}
	if from == to {
		return "", true
	}
	return unsafe.String(&g.ids[from], int(to-from)), true
}

func (g *group) end(number int) uint32 {
	if g.bulk {
		return g.bulkEnd(number)
	}
	return binary.LittleEndian.Uint32(g.fixed[8*number+4:])
}

// scanner reads the pieces of a block. To start in the middle, it needs the offset of the group.
type scanner struct {
	data     []byte
	off      int
	segments int // number of names read so far
	groupAt  int // offset of the group
	entered  bool
	group    group
	piece    wire.Reader
}

// head is the beginning of a piece: enough to decide whether to read the rest.
type head struct {
	code    int
	name    string // only where the code is used first
	seq     uint64
	n       int
	version uint64
	at      int64
	cause   engine.Cause
	exits   int
	enters  int
	group   *group
	rest    *wire.Reader // after these fields
}

// record returns the record at an offset, and the offset of the next one.
func (s *scanner) record(off int) (body []byte, next int, err error) {
	size, width := binary.Uvarint(s.data[off:])
	if width <= 0 || size == 0 || size > uint64(len(s.data)-off-width) {
		return nil, 0, wire.ErrMalformed
	}
	from := off + width
	return s.data[from : from+int(size)], from + int(size), nil
}

// next returns the next piece, which is valid until the next call. ok is false at the end, and where the
// bytes are damaged; then err is set.
func (s *scanner) next() (h head, ok bool, err error) {
	for s.off < len(s.data) {
		body, next, err := s.record(s.off)
		if err != nil {
			return head{}, false, err
		}
		if body[0] == 0 {
			s.groupAt, s.entered = s.off, false
		} else if h, err = s.read(body); err != nil {
			return head{}, false, err
		}
		s.off = next
		if body[0] != 0 {
			return h, true, nil
		}
	}
	return head{}, false, nil
}

// enter reads the record of the group.
func (s *scanner) enter() error {
	body, _, err := s.record(s.groupAt)
	if err != nil || body[0] != 0 {
		return wire.ErrMalformed
	}
	r := wire.NewReader(body[1:])
	s.group.read(r)
	s.entered = true
	return r.Done()
}

func (s *scanner) read(body []byte) (h head, err error) {
	if !s.entered {
		if err := s.enter(); err != nil {
			return h, err
		}
	}
	s.piece = *wire.NewReader(body)
	r := &s.piece
	h.code, h.group, h.rest = int(r.Uint32())-1, &s.group, r
	if h.code >= s.segments {
		h.name = r.String()
		s.segments = h.code + 1
	}
	h.seq, h.n, h.version, h.at = s.group.seq, int(r.Uint32()), r.Uvarint(), s.group.at+r.Varint()
	h.cause = engine.Cause(r.Byte())
	if !s.group.bulk {
		h.exits = r.Count(1)
		h.enters = r.Count(1)
		return h, r.Err()
	}
	h.exits, h.enters = int(r.Uint32()), int(r.Uint32())
	if h.exits+h.enters != s.group.n || h.exits > 0 && h.enters > 0 {
		r.Fail("piece of a bulk")
	}
	return h, r.Done()
}

// each calls fn with the number in the group of each profile of a piece, exits first. REQUIRES: the group
// is not a bulk.
func (h *head) each(fn func(enter bool, number int)) error {
	number := int64(-1)
	for i := range h.exits + h.enters {
		number += h.rest.Varint()
		if number < 0 || number >= int64(h.group.n) || h.rest.Err() != nil {
			return wire.ErrMalformed
		}
		fn(i >= h.exits, int(number))
	}
	return nil
}

// pieceOffset is a place within a piece: before the profile at an index, with this many bytes left; number
// is that of the previous profile. The zero value is the beginning of the piece.
type pieceOffset struct {
	profile, left int
	number        int64
}

// profiles calls fn with the id of each profile of a piece from a place on, exits first, until fn returns
// false, and returns the place before that profile. The ids alias the block.
func (h *head) profiles(from pieceOffset, fn func(n int, enter bool, id string) bool) (pieceOffset, error) {
	number := int64(-1)
	if from.profile > 0 {
		number = from.number
		h.rest.Take(h.rest.Len() - from.left)
	}
	for i := from.profile; i < h.exits+h.enters; i++ {
		here := pieceOffset{i, h.rest.Len(), number}
		if h.group.bulk {
			number = int64(i)
		} else {
			number += h.rest.Varint()
		}
		if number < 0 || number >= int64(h.group.n) || h.rest.Err() != nil {
			return here, wire.ErrMalformed
		}
		id, ok := h.group.id(int(number))
		if !ok {
			return here, wire.ErrMalformed
		}
		if !fn(h.n+i, i >= h.exits, id) {
			return here, nil
		}
	}
	return pieceOffset{}, h.rest.Done()
}

// loadBlock makes a block from bytes read from the store.
func loadBlock(data []byte) (*block, error) {
	b := &block{data: data, size: len(data), sealed: true, stored: true}
	s := scanner{data: data}
	for {
		h, ok, err := s.next()
		if err != nil || !ok {
			return b, err
		}
		if h.name != "" {
			b.segments = append(b.segments, string([]byte(h.name)))
		}
		if b.end == (Position{}) {
			b.first, b.latest = Position{h.seq, h.n}, h.at
		}
		b.latest = max(b.latest, h.at)
		b.end = Position{h.seq, h.n + h.exits + h.enters}
	}
}

package live

import (
	"encoding/binary"
	"math"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/wire"
)

// pieceSize bounds the profiles of one piece: a change of a million profiles is cut, so that nobody has
// to hold it as a whole.
const pieceSize = 512

// block is a stretch of a shard's log. Bytes below the length of data never change, so a reader takes
// data and segments under the log's lock and reads on without it.
//
// A piece is its length, then: code of its segment (with the name where it is used first), seq, N,
// version, at, cause, how many exit and enter, their ordinals, their ids.
type block struct {
	first, end Position       // of the first profile; behind the last
	data       []byte         // nil: only in the store
	segments   []string       // by code
	codes      map[string]int // their codes, of the open block
	latest     int64          // greatest At
	size       int            // bytes, also of one that is only in the store
	sealed     bool
	stored     bool
}

// piece is up to pieceSize profiles of one change.
type piece struct {
	seq     uint64
	n       int
	version uint64
	at      int64
	cause   engine.Cause
	exits   int      // the first of the profiles; the others enter
	ids     []string // of the profiles
	places  []uint32 // their ordinals
}

func (p *piece) count() int { return len(p.ids) }

// The causes of pieces without profiles, which say that a segment begins or ends to be: what is not
// known of it before the first is that it was not there.
const (
	segmentBegins engine.Cause = 0xf0 + iota
	segmentEnds
)

// mark is a piece of a segment that begins or ends to be.
type mark struct {
	segment string
	piece
}

// add appends a piece; scratch is reused.
func (b *block) add(segment string, p *piece, scratch []byte) []byte {
	code, met := b.codes[segment]
	s := scratch[:0]
	if !met {
		if b.codes == nil {
			b.codes = make(map[string]int)
		}
		code = len(b.segments)
		b.codes[segment] = code
		s = wire.AppendString(binary.AppendUvarint(s, uint64(code)), segment)
		b.segments = append(b.segments, segment)
	} else {
		s = binary.AppendUvarint(s, uint64(code))
	}
	s = binary.AppendUvarint(s, p.seq)
	s = binary.AppendUvarint(s, uint64(p.n))
	s = binary.AppendUvarint(s, p.version)
	s = binary.AppendVarint(s, p.at)
	s = append(s, byte(p.cause))
	s = binary.AppendUvarint(s, uint64(p.exits))
	s = binary.AppendUvarint(s, uint64(len(p.ids)-p.exits))
	last := int64(0)
	for _, ordinal := range p.places {
		s = binary.AppendVarint(s, int64(ordinal)-last)
		last = int64(ordinal)
	}
	for _, id := range p.ids {
		s = wire.AppendString(s, id)
	}
	if len(b.data) == 0 {
		b.first, b.latest = Position{p.seq, p.n}, p.at
	}
	b.data = wire.AppendBytes(b.data, s)
	b.latest = max(b.latest, p.at)
	b.end = Position{p.seq, p.n + p.count()}
	b.size = len(b.data)
	return s
}

// scanner reads the pieces of a block.
type scanner struct {
	data     []byte
	off      int
	segments int // names met so far
	piece    wire.Reader
}

// head is the beginning of a piece: enough to decide whether to read it.
type head struct {
	code    int
	name    string // where the segment is named first
	seq     uint64
	n       int
	version uint64
	at      int64
	cause   engine.Cause
	exits   int
	enters  int
	rest    *wire.Reader // behind these numbers
}

// next returns the next piece, which is good until the one after it; ok is false at the end or where the
// bytes are damaged, which err tells.
func (s *scanner) next() (h head, ok bool, err error) {
	if s.off >= len(s.data) {
		return head{}, false, nil
	}
	size, width := binary.Uvarint(s.data[s.off:])
	if width <= 0 || size > uint64(len(s.data)-s.off-width) {
		return head{}, false, wire.ErrMalformed
	}
	from := s.off + width
	s.piece = *wire.NewReader(s.data[from : from+int(size)])
	r := &s.piece
	h.code = int(r.Uint32())
	if h.code >= s.segments {
		h.name = r.String()
		s.segments = h.code + 1
	}
	h.seq, h.n, h.version, h.at = r.Uvarint(), int(r.Uint32()), r.Uvarint(), r.Varint()
	h.cause, h.exits, h.rest = engine.Cause(r.Byte()), r.Count(2), r
	h.enters = r.Count(2)
	if r.Err() != nil {
		return head{}, false, r.Err()
	}
	s.off = from + int(size)
	return h, true, nil
}

// places calls fn with the ordinal of each profile of a piece, exits first.
func (h *head) places(fn func(enter bool, ordinal uint32)) error {
	ordinal := int64(0)
	for i := range h.exits + h.enters {
		ordinal += h.rest.Varint()
		if ordinal < 0 || ordinal > math.MaxUint32 || h.rest.Err() != nil {
			return wire.ErrMalformed
		}
		fn(i >= h.exits, uint32(ordinal))
	}
	return nil
}

// inside is a place in a piece: before its profile of this number, with so many bytes left. The zero
// inside is its beginning.
type inside struct{ profile, left int }

// profiles calls fn with the id of each profile of a piece from a place on, exits first, until it returns
// false, and returns the place before that one. Ids alias the block.
func (h *head) profiles(from inside, fn func(n int, enter bool, id string) bool) (inside, error) {
	if from.profile > 0 {
		h.rest.Take(h.rest.Len() - from.left)
	} else {
		for range h.exits + h.enters {
			h.rest.Varint()
		}
	}
	for i := from.profile; i < h.exits+h.enters; i++ {
		left := h.rest.Len()
		if !fn(h.n+i, i >= h.exits, h.rest.String()) {
			return inside{i, left}, h.rest.Err()
		}
	}
	return inside{}, h.rest.Done()
}

// loadBlock makes a block of bytes out of the store.
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
		if b.first == (Position{}) {
			b.first, b.latest = Position{h.seq, h.n}, h.at
		}
		b.latest = max(b.latest, h.at)
		b.end = Position{h.seq, h.n + h.exits + h.enters}
	}
}

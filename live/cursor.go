package live

import (
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/query/wire"
)

// Position is a place in a shard's log: before the N-th profile of entry Seq. The zero Position is before
// everything.
type Position struct {
	Seq uint64
	N   int
}

func (p Position) less(q Position) bool { return p.Seq < q.Seq || p.Seq == q.Seq && p.N < q.N }

// after returns the position after a whole entry.
func after(seq uint64) Position { return Position{Seq: seq + 1} }

// Cursor is how far a subscriber has read. It is a value: changing a copy changes no other.
type Cursor struct {
	cluster      uint64   // hash of the cluster's id
	incarnations []uint64 // of the shards' logs
	shards       []Position
	paging       paging
}

// paging is the place within a snapshot that is being sent: the next page begins at ordinal next of shard.
type paging struct {
	active bool
	shard  int
	next   uint32
}

const cursorVersion = 2

// String returns the cursor in the form that clients store.
func (c *Cursor) String() string {
	b := make([]byte, 0, 32+8*len(c.shards))
	b = append(b, cursorVersion)
	b = binary.LittleEndian.AppendUint64(b, c.cluster)
	b = binary.AppendUvarint(b, uint64(len(c.shards)))
	for i, p := range c.shards {
		b = binary.AppendUvarint(b, c.incarnations[i])
		b = binary.AppendUvarint(b, p.Seq)
		b = binary.AppendUvarint(b, uint64(p.N))
	}
	if c.paging.active {
		b = binary.AppendUvarint(b, uint64(c.paging.shard))
		b = binary.AppendUvarint(b, uint64(c.paging.next))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(xxh3.Hash(b)))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor parses the result of String; other texts give ErrCursor. Whether the cursor belongs to a log is
// checked by Subscribe.
func ParseCursor(text string) (*Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 15 || b[0] != cursorVersion {
		return nil, ErrCursor
	}
	body := b[:len(b)-4]
	if binary.LittleEndian.Uint32(b[len(body):]) != uint32(xxh3.Hash(body)) {
		return nil, ErrCursor
	}
	c := &Cursor{cluster: binary.LittleEndian.Uint64(body[1:])}
	r := wire.NewReader(body[9:])
	n := r.Count(3)
	c.incarnations, c.shards = make([]uint64, n), make([]Position, n)
	for i := range c.shards {
		c.incarnations[i] = r.Uvarint()
		c.shards[i] = Position{Seq: r.Uvarint(), N: int(r.Uint32())}
	}
	if r.Err() == nil && r.Len() > 0 {
		c.paging = paging{active: true, shard: int(r.Uint32()), next: r.Uint32()}
	}
	if r.Done() != nil || c.paging.shard >= max(len(c.shards), 1) {
		return nil, ErrCursor
	}
	return c, nil
}

// Clone returns a copy. It shares the incarnations, which never change.
func (c *Cursor) Clone() *Cursor {
	copied := *c
	copied.shards = slices.Clone(c.shards)
	return &copied
}

// Advance moves the cursor past an item.
func (c *Cursor) Advance(item *Item) {
	if next := (Position{item.Seq, item.N + 1}); c.shards[item.Shard].less(next) {
		c.shards[item.Shard] = next
	}
}

// Paging reports whether a snapshot has been sent only in part.
func (c *Cursor) Paging() bool { return c.paging.active }

// behind reports whether d has read something that c has not. Cursors of different logs are behind each
// other.
func (c *Cursor) behind(d *Cursor) bool {
	if c.cluster != d.cluster || !slices.Equal(c.incarnations, d.incarnations) {
		return true
	}
	if c.paging.active && (!d.paging.active || c.paging.shard < d.paging.shard || c.paging.shard == d.paging.shard && c.paging.next < d.paging.next) {
		return true
	}
	for i := range c.shards {
		if c.shards[i].less(d.shards[i]) {
			return true
		}
	}
	return false
}

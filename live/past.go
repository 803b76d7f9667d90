package live

import (
	"context"
	"errors"
	"slices"
)

// UnknownError says that what a segment was like at an instant is not known, and from when on it is,
// Unix ms.
type UnknownError struct {
	Since int64
	Made  bool // the segment begins at Since; else changes before it are no longer kept
}

// Known returns Since and Made.
func (e *UnknownError) Known() (since int64, made bool) { return e.Since, e.Made }

func (e *UnknownError) Error() string {
	if e.Made {
		return "the segment did not exist yet"
	}
	return "the changes are no longer kept"
}

// Past returns the membership that a segment of a shard had at an instant, of ordinals: that of now, or
// of the first checkpoint behind the instant, without what has changed in between. It is what was told
// then, by the definition of then. The error is an *UnknownError where that is not known.
func (l *Log) Past(ctx context.Context, shard int, segment string, at int64, now *Members) (*Members, error) {
	s := l.shards[shard]
	if err := s.await(ctx, now.Seq); err != nil {
		return nil, err
	}
	if at >= now.At {
		return now, nil
	}
	base, err := s.checkpointBehind(segment, at)
	if err != nil {
		return nil, err
	}
	if base == nil || base.Seq > now.Seq {
		base = now
	}
	u := undo{segment: segment, at: at, before: after(base.Seq), is: &Members{Seq: base.Seq, At: at, Chunks: make([][]uint64, len(base.Chunks))}}
	for i, words := range base.Chunks {
		u.is.Chunks[i] = slices.Clone(words)
	}
	err = s.eachBlock(ctx, at+1, u.before, u.block)
	if since := s.since(); at < since { // after reading: what is dropped meanwhile was not read
		return nil, &UnknownError{Since: since}
	}
	return u.is, err
}

// undo takes changes back. Blocks come in their order: what a profile's first change tells is what was
// before all of them.
type undo struct {
	segment string
	at      int64
	before  Position
	is      *Members
	seen    [][]uint64
	marked  bool
}

func (u *undo) block(data []byte) error {
	code := -1
	sc := scanner{data: data}
	for {
		h, ok, err := sc.next()
		if err != nil || !ok {
			return err
		}
		if h.name == u.segment && h.name != "" {
			code = h.code
		}
		if h.code != code || h.at <= u.at || !(Position{h.seq, h.n}).less(u.before) {
			continue
		}
		if h.cause == segmentBegins || h.cause == segmentEnds {
			if h.cause == segmentBegins && !u.marked {
				return &UnknownError{Since: h.at, Made: true}
			}
			u.marked = true
			continue
		}
		if err := h.places(u.undo); err != nil {
			return err
		}
	}
}

func (u *undo) undo(enter bool, ordinal uint32) {
	chunk, bit := int(ordinal>>16), uint64(1)<<(ordinal&63)
	word := int(ordinal & 0xffff >> 6)
	seen := wordsAt(&u.seen, chunk)
	if seen[word]&bit != 0 {
		return
	}
	seen[word] |= bit
	is := wordsAt(&u.is.Chunks, chunk)
	if enter {
		is[word] &^= bit
	} else {
		is[word] |= bit
	}
}

// wordsAt returns the words of a chunk, made if need be.
func wordsAt(chunks *[][]uint64, chunk int) []uint64 {
	for len(*chunks) <= chunk {
		*chunks = append(*chunks, nil)
	}
	if (*chunks)[chunk] == nil {
		(*chunks)[chunk] = make([]uint64, chunkWords)
	}
	return (*chunks)[chunk]
}

// chunkWords is the number of words of a chunk of Members.
const chunkWords = 1024

// eachBlock calls fn with the bytes of the blocks before a position that hold something since an instant,
// as far as that is known. Blocks that are dropped meanwhile are left out.
func (s *shardLog) eachBlock(ctx context.Context, since int64, before Position, fn func(data []byte) error) error {
	s.mu.Lock()
	number := s.mu.base
	s.mu.Unlock()
	for ; ; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		number = max(number, s.mu.base)
		i := int(number - s.mu.base)
		if i >= len(s.mu.blocks) || !s.mu.blocks[i].first.less(before) {
			s.mu.Unlock()
			return nil
		}
		b := s.mu.blocks[i]
		data, old := b.data, b.latest != 0 && b.latest < since
		s.mu.Unlock()
		if old {
			continue
		}
		if data == nil {
			loaded, err := s.load(b)
			if errors.Is(err, errGone) {
				continue
			}
			if err != nil {
				return err
			}
			s.mu.Lock()
			b.latest = loaded.latest
			s.mu.Unlock()
			data = loaded.data
		}
		if err := fn(data); err != nil {
			return err
		}
	}
}

package live

import (
	"errors"
	"slices"
	"sort"

	"github.com/musterdb/muster/engine"
)

// Item is one profile that entered or left.
type Item struct {
	Shard   int
	Seq     uint64
	N       int // number among the profiles that entry Seq moved
	Enter   bool
	Profile string // canonical id at that time
	At      int64  // Unix ms
	Cause   engine.Cause
	Version uint64 // catalog version of the segment's definition
}

// reader reads one segment in one shard's log. It holds no part of the log except, while it reads a block
// that is only on disk, that block.
type reader struct {
	shard   *shardLog
	segment string
	pos     Position
	number  uint64      // number of the current block
	off     int         // offset of the piece that pos is in or before
	within  pieceOffset // place in that piece, so that reading it in small batches is not quadratic
	names   int         // number of names read before off
	group   int         // offset of the group that contains off
	code    int         // code of the segment in the block, plus 1; 0 while unknown
	looked  int         // number of the block's segments compared so far
	located bool
	loaded  *block // the current block, if it was read from the store
}

// blockView is a block as it was while the lock was held.
type blockView struct {
	data     []byte
	segments []string
	sealed   bool
	last     bool
	head     uint64
	end      Position
	stub     *block // set if the block is only in the store
}

// locate finds the block to read from; none is true when there is nothing after pos.
func (r *reader) locate() (v blockView, none bool, err error) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.pos.less(s.mu.horizon) {
		return v, false, resync(ReasonHorizon)
	}
	blocks := s.mu.blocks
	if !r.located || r.number < s.mu.base {
		// The last block that begins at or before pos.
		i := sort.Search(len(blocks), func(i int) bool { return r.pos.less(blocks[i].first) })
		r.number, r.off, r.names, r.loaded, r.located = s.mu.base+uint64(max(i-1, 0)), 0, 0, nil, true
		r.within, r.code, r.looked = pieceOffset{}, 0, 0
	}
	i := int(r.number - s.mu.base)
	if i >= len(blocks) {
		return blockView{head: s.mu.head}, true, nil
	}
	b := blocks[i]
	v = blockView{data: b.data, segments: b.segments, sealed: b.sealed, last: i == len(blocks)-1, head: s.mu.head, end: b.end}
	if b.data == nil && b.stored {
		v.stub = b
	}
	return v, false, nil
}

// check returns an error if the log cannot be read from the position.
func (r *reader) check() error {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	switch {
	case r.pos.less(r.shard.mu.horizon):
		return resync(ReasonHorizon)
	case after(r.shard.mu.head).less(r.pos):
		return resync(ReasonAhead)
	}
	return nil
}

// read appends up to limit items to out, and advances. At the end of the log, pos is after its head.
func (r *reader) read(limit int, out []Item) ([]Item, error) {
	for limit > 0 {
		v, none, err := r.locate()
		if err != nil {
			return out, err
		}
		if none {
			r.pos = after(v.head)
			return out, nil
		}
		if v.stub != nil {
			if r.loaded == nil {
				if r.loaded, err = r.shard.load(v.stub); errors.Is(err, errGone) {
					r.located = false
					continue
				} else if err != nil {
					return out, err
				}
			}
			v.data, v.segments = r.loaded.data, r.loaded.segments
		}
		before := len(out)
		done := true
		if r.find(v.segments) {
			if out, done, err = r.scan(&v, limit, out); err != nil {
				return out, err
			}
		} else if v.sealed {
			r.off, r.within = len(v.data), pieceOffset{}
		} else {
			r.off, r.names, r.within = len(v.data), len(v.segments), pieceOffset{}
		}
		limit -= len(out) - before
		switch {
		case !done:
		case v.sealed:
			r.number, r.off, r.names, r.loaded, r.within = r.number+1, 0, 0, nil, pieceOffset{}
			r.code, r.looked = 0, 0
			if v.last {
				r.pos = after(v.head)
			} else if r.pos.less(v.end) {
				r.pos = v.end
			}
		default:
			r.pos = after(v.head)
			return out, nil
		}
	}
	return out, nil
}

// find reports whether the block has the segment, looking only at names added since its last call.
func (r *reader) find(segments []string) bool {
	if r.code == 0 {
		if i := slices.Index(segments[r.looked:], r.segment); i >= 0 {
			r.code = r.looked + i + 1
		}
		r.looked = len(segments)
	}
	return r.code > 0
}

// scan reads the pieces of a block. done reports that there are no more.
func (r *reader) scan(v *blockView, limit int, out []Item) (_ []Item, done bool, err error) {
	s := scanner{data: v.data, off: r.off, segments: r.names, groupAt: r.group}
	for within := r.within; ; within = (pieceOffset{}) {
		r.off, r.names, r.group, r.within = s.off, s.segments, s.groupAt, within
		h, ok, err := s.next()
		if err != nil || !ok {
			return out, true, err
		}
		if h.code != r.code-1 {
			continue
		}
		full := false
		r.within, err = h.profiles(within, func(n int, enter bool, id string) bool {
			at := Position{h.seq, n}
			if at.less(r.pos) || id == "" {
				return true
			}
			if limit == 0 {
				full = true
				return false
			}
			limit--
			out = append(out, Item{Shard: r.shard.number, Seq: h.seq, N: n, Enter: enter, Profile: string([]byte(id)), At: h.at, Cause: h.cause, Version: h.version})
			r.pos = Position{h.seq, n + 1}
			return true
		})
		if err != nil || full {
			return out, false, err
		}
	}
}

package member

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// leafKind is the kind of a leaf.
type leafKind uint8

const (
	truthLeaf  leafKind = iota // a condition's bit
	countLeaf                  // lo <= n <= hi of a counter
	sumLeaf                    // the same for a sum
	memberLeaf                 // the membership of a held segment
)

// leaf is an input of programs: a value that is true or false for every profile and is known without reading
// facts. Its users are marked when it flips.
type leaf struct {
	t       *Tracker
	kind    leafKind
	lo8     uint8 // the bounds for counts below 255
	hi8     uint8
	at      uint32 // the place in rows, or the bit
	lo, hi  int64  // both included; for sums, in coefficients
	of      *counter
	op      tree.Op // for sums that are kept apart: the comparison itself
	literal tree.Number
	slot    int    // for memberLeaf
	bare    bool   // true for a profile without facts
	users   []user // active segments only
	flipped uint64 // the settling in which the leaf is the opposite of its earlier value
}

// user is an active segment that uses a leaf. If its program cannot be true without a certain condition,
// guard is the bit of that condition: for most profiles the program need not be evaluated.
type user struct {
	segment *segment
	guard   uint32
}

// unguarded is the guard of programs that have none.
const unguarded = 1<<32 - 1

// guardOf returns the guard of a program.
func guardOf(n *node) uint32 {
	if n.op == opAnd && len(n.args) > 0 && n.args[0].op == opLeaf && n.args[0].leaf.kind == truthLeaf {
		return n.args[0].leaf.at
	}
	return unguarded
}

// leave removes a segment from the users.
func (l *leaf) leave(s *segment) {
	l.users = slices.DeleteFunc(slices.Clone(l.users), func(u user) bool { return u.segment == s })
}

// newCountLeaf returns the comparison lo <= n <= hi of a counter; hi < 0 means no upper bound.
func newCountLeaf(k *counter, lo, hi int64) *leaf {
	if hi < 0 {
		hi = math.MaxInt64
	}
	l := &leaf{t: k.t, kind: countLeaf, at: k.at, lo: lo, hi: hi, of: k}
	l.lo8, l.hi8 = uint8(min(lo, 255)), uint8(min(hi, 254))
	l.bare = l.admits(0)
	return l
}

func (l *leaf) admits(n int64) bool { return l.lo <= n && n <= l.hi }

// holds reports whether the leaf is true for a profile with a row.
func (l *leaf) holds(row []byte, ordinal uint32) bool {
	switch l.kind {
	case truthLeaf:
		return int(l.at/8) < len(row) && row[l.at/8]>>(l.at%8)&1 != 0
	case countLeaf:
		var n uint8
		if int(l.at) < len(row) {
			n = row[l.at]
		}
		if n == countSpilled {
			return l.admits(int64(l.of.spill[ordinal]))
		}
		return l.lo8 <= n && n <= l.hi8
	case sumLeaf:
		c := sumAt(row, l.at)
		if c == sumSpilled {
			return l.holdsSum(l.of.sums[ordinal])
		}
		return l.admits(int64(c))
	}
	return l.t.host.Members(l.slot).Has(ordinal)
}

func sumAt(row []byte, at uint32) int32 {
	if int(at)+4 > len(row) {
		return 0
	}
	return int32(binary.LittleEndian.Uint32(row[at:]))
}

// fill sets out to the positions in all for which the leaf is true.
func (l *leaf) fill(chunk int, all, out *query.Bits) {
	switch l.kind {
	case truthLeaf:
		l.t.rows.fillBit(chunk, l.at, all, out)
		return
	case memberLeaf:
		l.t.host.Members(l.slot).Fill(chunk, out)
		out.And(all)
		return
	}
	for i := range pagesPerChunk {
		p := l.t.rows.page(chunk*pagesPerChunk + i)
		for w := i * pageRows / 64; w < (i+1)*pageRows/64; w++ {
			switch {
			case all[w] == 0:
				out[w] = 0
			case p == nil || int(l.at) >= p.width:
				out[w] = 0
				if l.bare {
					out[w] = all[w]
				}
			default:
				out[w] = l.word(p, chunk, w, all[w])
			}
		}
	}
}

// word evaluates the leaf for the profiles in a mask of 64. Others are not read, since each row is a cache
// miss.
func (l *leaf) word(p *rowPage, chunk, w int, of uint64) (word uint64) {
	begin := w * 64 % pageRows * p.width
	first := uint32(chunk)<<query.ChunkBits | uint32(w*64)
	for ; of != 0; of &= of - 1 {
		b := bits.TrailingZeros64(of)
		at := begin + b*p.width
		if l.kind == countLeaf {
			if n := p.data[at+int(l.at)]; n != countSpilled {
				if l.lo8 <= n && n <= l.hi8 {
					word |= 1 << b
				}
				continue
			}
		}
		if l.holds(p.data[at:at+p.width], first+uint32(b)) {
			word |= 1 << b
		}
	}
	return word
}

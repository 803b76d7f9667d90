package values

import (
	"math/big"

	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// Share is a range of the hash space of one sample: the ids for which xxh3_64(name, 0x00, id) × 100 ÷ 2^64
// is in [from, to), in exact arithmetic.
type Share struct {
	prefix   []byte
	lo       uint64 // smallest hash in the share
	hi       uint64 // largest hash in the share
	nonEmpty bool
}

// NewShare returns the share of `in sample "name" from% to to%`.
func NewShare(name string, from, to tree.Number) Share {
	lo, hi := threshold(from), threshold(to)
	s := Share{prefix: append([]byte(name), 0)}
	if lo.Cmp(hi) >= 0 {
		return s
	}
	s.nonEmpty = true
	s.lo, s.hi = lo.Uint64(), hi.Sub(hi, big.NewInt(1)).Uint64()
	return s
}

// Has reports whether an id is in the share.
func (s Share) Has(id string) bool {
	if !s.nonEmpty {
		return false
	}
	var buf [128]byte
	h := xxh3.Hash(append(append(buf[:0], s.prefix...), id...))
	return s.lo <= h && h <= s.hi
}

// threshold returns the smallest hash at or above percent, ⌈percent ÷ 100 × 2^64⌉, limited to [0, 2^64].
func threshold(percent tree.Number) *big.Int {
	r, ok := new(big.Rat).SetString(percent.String())
	if !ok {
		return new(big.Int)
	}
	space := new(big.Int).Lsh(big.NewInt(1), 64)
	r.Mul(r, new(big.Rat).SetFrac(space, big.NewInt(100)))
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	if q.Sign() < 0 {
		return new(big.Int)
	}
	if q.Cmp(space) > 0 {
		return space
	}
	return q
}

package query

import (
	"math"

	"github.com/musterdb/muster/query/tree"
)

// Totals has the number of rows and the sums of properties for each profile. It is immutable once a
// source returns it.
type Totals struct {
	// Counts has the number of rows by position, 255 for that many or more.
	Counts [ChunkSize]uint8
	// Sums has the sums of number properties, by property id. If an entry is nil, or the id is beyond
	// the end, no row has the property.
	Sums []*Sums
}

// Sums is the sums of a property by position.
type Sums struct {
	// Coefs has the sums as coefficients with Scale decimals, 0 if there is no value. It is nil if that
	// is impossible: a value is negative or a float or has more than 9 decimals, or a sum is above
	// 2^32-1.
	Coefs *[ChunkSize]uint32
	Scale int8
	Most  uint32 // the greatest of Coefs
}

// Sum returns the sums of a property, nil if no row has it.
func (t *Totals) Sum(property uint32) *Sums {
	if int(property) < len(t.Sums) {
		return t.Sums[property]
	}
	return nil
}

// Copy returns a copy that may be added to.
func (t *Totals) Copy() *Totals {
	c := &Totals{Counts: t.Counts, Sums: make([]*Sums, len(t.Sums))}
	for id, s := range t.Sums {
		if s == nil {
			continue
		}
		own := *s
		if s.Coefs != nil {
			coefs := *s.Coefs
			own.Coefs = &coefs
		}
		c.Sums[id] = &own
	}
	return c
}

// Add adds the rows of a block.
func (t *Totals) Add(b *Block) {
	for _, p := range b.Pos[:b.Rows] {
		if n := t.Counts[p]; n < math.MaxUint8 {
			t.Counts[p] = n + 1
		}
	}
	for id, v := range b.Cols {
		if v == nil || v.Type != tree.NumberType {
			continue
		}
		for len(t.Sums) <= id {
			t.Sums = append(t.Sums, nil)
		}
		if t.Sums[id] == nil {
			t.Sums[id] = &Sums{Coefs: new([ChunkSize]uint32)}
		}
		if s := t.Sums[id]; s.Coefs != nil && !s.add(b.Pos[:b.Rows], v) {
			s.Coefs, s.Most = nil, 0
		}
	}
}

// add adds a column. It returns false if the sums can no longer be represented.
func (s *Sums) add(pos []uint16, v *Vec) bool {
	if v.Scales != nil || v.Scale < 0 || v.Scale > 9 {
		return false
	}
	if v.Scale > s.Scale && !s.rescale(v.Scale) {
		return false
	}
	factor := uint64(tree.Pow10(s.Scale - v.Scale))
	for i, p := range pos {
		raw, ok := v.Raw(i)
		if !ok {
			continue
		}
		if raw < 0 || raw > math.MaxUint32 {
			return false
		}
		sum := uint64(s.Coefs[p]) + uint64(raw)*factor
		if sum > math.MaxUint32 {
			return false
		}
		s.Coefs[p] = uint32(sum)
		s.Most = max(s.Most, uint32(sum))
	}
	return true
}

// rescale converts the sums to coefficients with more decimals. It returns false if one does not fit.
func (s *Sums) rescale(scale int8) bool {
	factor := uint64(tree.Pow10(scale - s.Scale))
	s.Scale = scale
	if uint64(s.Most)*factor > math.MaxUint32 {
		return false
	}
	s.Most *= uint32(factor)
	for i := range s.Coefs {
		s.Coefs[i] *= uint32(factor)
	}
	return true
}

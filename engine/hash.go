package engine

import (
	"encoding/binary"
	"math/bits"

	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// factSum is the state hash: a sum mod 2^128 of the hashes of logical facts. It does not depend on
// the order of the facts or on how they are stored (codes, widths, leaves, tails). A fact that is
// removed is subtracted. Ordinals are part of it: they are assigned in log order on every replica.
type factSum struct{ hi, lo uint64 }

func (s factSum) add(t factSum) factSum {
	lo, carry := bits.Add64(s.lo, t.lo, 0)
	hi, _ := bits.Add64(s.hi, t.hi, carry)
	return factSum{hi, lo}
}

func (s factSum) sub(t factSum) factSum {
	lo, borrow := bits.Sub64(s.lo, t.lo, 0)
	hi, _ := bits.Sub64(s.hi, t.hi, borrow)
	return factSum{hi, lo}
}

func (s factSum) bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], s.hi)
	binary.BigEndian.PutUint64(b[8:], s.lo)
	return b
}

// The kinds of facts.
const (
	factAttribute = iota + 1
	factEvent
	factUserID
	factAnonymousID
	factHome
	factListed
	_ // unused: the numbers are part of the hashes in snapshots
	factMember
)

// Odd constants without a pattern (digits of π). Any would do, but they are part of the format of the
// hashes that replicas compare.
const (
	mixA = 0x243f6a8885a308d3
	mixB = 0x13198a2e03707345
	mixC = 0xa4093822299f31d1
	mixD = 0x082efa98ec4e6c89
	mixE = 0x452821e638d01377
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^mixA, b^mixB)
	return hi ^ lo
}

// fact hashes a fact of one kind about a subject.
func fact(kind, subject, a, b uint64) factSum {
	x := mix(subject^kind<<56, a)
	y := mix(x^mixC, b^mixD)
	return factSum{mix(y^mixE, x^b), mix(y^a, subject^mixC^kind)}
}

// hashScalar hashes a value that is neither a string nor a list.
func hashScalar(t tree.Type, raw int64, scale int8) uint64 {
	return mix(uint64(raw), mixE^uint64(t)<<8^uint64(uint8(scale)))
}

// hashText hashes the stored form of a string or list; xxh is its XXH3.
func hashText(t tree.Type, xxh uint64) uint64 { return xxh ^ uint64(t)*mixC }

func attributeFact(ordinal, id uint32, valueHash uint64) factSum {
	return fact(factAttribute, uint64(ordinal), uint64(id), valueHash)
}

func eventFact(ordinal, event uint32, time int64, properties uint64) factSum {
	return fact(factEvent, uint64(ordinal)|uint64(event)<<32, uint64(time), properties)
}

// propertyHash returns what one property adds to the hash of an event's properties.
func propertyHash(id uint32, valueHash uint64) uint64 { return mix(uint64(id)+mixD, valueHash) }

func idFact(kind uint64, id string, ordinal uint32) factSum {
	return fact(kind, uint64(ordinal), xxh3.HashString(id), uint64(len(id)))
}

// Package places finds what would stand at some places of many keys if they were in order, without
// putting them in order.
//
// Its nouns: keys (unsigned integers), places (counted from 0), cells (stretches of equal width the keys
// are counted by). It must not know what the keys stand for.
//
// Only the keys of the cells that hold a place are looked at again: few, or all are equal. Start reading
// at places.go.
package places

// Package places finds the keys at given places of the sorted order, without sorting the keys.
//
// Its nouns: keys (unsigned integers), places (positions in the sorted order, from 0), cells (ranges of equal
// width, in which the keys are counted). It must not know what the keys mean.
//
// After counting, it reads only the keys of cells that contain a wanted place again: these are few, or all
// equal. Start reading at places.go.
package places

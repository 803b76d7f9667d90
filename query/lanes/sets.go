package lanes

import "math/bits"

// And sets out to the intersection of a and b, and returns its size. out may be a or b. REQUIRES: all three
// have the same length.
func And(a, b, out []uint64) int {
	n := len(out)
	whole := n &^ (wordsPerStep() - 1)
	return andWhole(a[:whole], b[:whole], out[:whole]) + plainAnd(a[whole:n], b[whole:n], out[whole:])
}

// AndNot is And for the difference: bits that are in a and not in b.
func AndNot(a, b, out []uint64) int {
	n := len(out)
	whole := n &^ (wordsPerStep() - 1)
	return andNotWhole(a[:whole], b[:whole], out[:whole]) + plainAndNot(a[whole:n], b[whole:n], out[whole:])
}

// Or is And for the union.
func Or(a, b, out []uint64) int {
	n := len(out)
	whole := n &^ (wordsPerStep() - 1)
	return orWhole(a[:whole], b[:whole], out[:whole]) + plainOr(a[whole:n], b[whole:n], out[whole:])
}

func plainAnd(a, b, out []uint64) (n int) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		x := a[i] & b[i]
		out[i] = x
		n += bits.OnesCount64(x)
	}
	return n
}

func plainAndNot(a, b, out []uint64) (n int) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		x := a[i] &^ b[i]
		out[i] = x
		n += bits.OnesCount64(x)
	}
	return n
}

func plainOr(a, b, out []uint64) (n int) {
	a, b = a[:len(out)], b[:len(out)]
	for i := range out {
		x := a[i] | b[i]
		out[i] = x
		n += bits.OnesCount64(x)
	}
	return n
}

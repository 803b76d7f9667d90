package lanes

import "math/bits"

// And sets out to what both sets have and returns how many that is. All three are of one length; out may
// be a or b.
func And(a, b, out []uint64) int {
	n := len(out)
	whole := n &^ (atOnce() - 1)
	return andWhole(a[:whole], b[:whole], out[:whole]) + plainAnd(a[whole:n], b[whole:n], out[whole:])
}

// AndNot is And for what a has and b has not.
func AndNot(a, b, out []uint64) int {
	n := len(out)
	whole := n &^ (atOnce() - 1)
	return andNotWhole(a[:whole], b[:whole], out[:whole]) + plainAndNot(a[whole:n], b[whole:n], out[whole:])
}

// Or is And for what either set has.
func Or(a, b, out []uint64) int {
	n := len(out)
	whole := n &^ (atOnce() - 1)
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

package lanes

import "golang.org/x/sys/cpu"

//go:noescape
func and4(a, b, out *uint64, n int) int

//go:noescape
func andNot4(a, b, out *uint64, n int) int

//go:noescape
func or4(a, b, out *uint64, n int) int

// fours tells whether sets of n words, a multiple of four, go to the assembly.
func fours(n int) bool { return n > 0 && cpu.X86.HasAVX2 && cpu.X86.HasPOPCNT }

func andWhole(a, b, out []uint64) int {
	if !fours(len(out)) {
		return plainAnd(a, b, out)
	}
	return and4(&a[0], &b[0], &out[0], len(out))
}

func andNotWhole(a, b, out []uint64) int {
	if !fours(len(out)) {
		return plainAndNot(a, b, out)
	}
	return andNot4(&a[0], &b[0], &out[0], len(out))
}

func orWhole(a, b, out []uint64) int {
	if !fours(len(out)) {
		return plainOr(a, b, out)
	}
	return or4(&a[0], &b[0], &out[0], len(out))
}

package lanes

import "golang.org/x/sys/cpu"

//go:noescape
func and4(a, b, out *uint64, n int) int

//go:noescape
func andNot4(a, b, out *uint64, n int) int

//go:noescape
func or4(a, b, out *uint64, n int) int

//go:noescape
func and16(a, b, out *uint64, n int) int

//go:noescape
func andNot16(a, b, out *uint64, n int) int

//go:noescape
func or16(a, b, out *uint64, n int) int

//go:noescape
func count16(words *uint64, n int) int

// wordsPerStep returns how many words the assembly for this processor handles at a time, 1 if there is none.
func wordsPerStep() int {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512VPOPCNTDQ:
		return 16
	case cpu.X86.HasAVX2 && cpu.X86.HasPOPCNT:
		return 4
	}
	return 1
}

// andWhole is And for a multiple of wordsPerStep words.
func andWhole(a, b, out []uint64) int {
	switch step := wordsPerStep(); {
	case step == 1 || len(out) == 0:
		return plainAnd(a, b, out)
	case step == 4:
		return and4(&a[0], &b[0], &out[0], len(out))
	}
	return and16(&a[0], &b[0], &out[0], len(out))
}

// andNotWhole is AndNot for a multiple of wordsPerStep words.
func andNotWhole(a, b, out []uint64) int {
	switch step := wordsPerStep(); {
	case step == 1 || len(out) == 0:
		return plainAndNot(a, b, out)
	case step == 4:
		return andNot4(&a[0], &b[0], &out[0], len(out))
	}
	return andNot16(&a[0], &b[0], &out[0], len(out))
}

// orWhole is Or for a multiple of wordsPerStep words.
func orWhole(a, b, out []uint64) int {
	switch step := wordsPerStep(); {
	case step == 1 || len(out) == 0:
		return plainOr(a, b, out)
	case step == 4:
		return or4(&a[0], &b[0], &out[0], len(out))
	}
	return or16(&a[0], &b[0], &out[0], len(out))
}

// countWhole is Count for a multiple of wordsPerStep words.
func countWhole(words []uint64) int {
	switch step := wordsPerStep(); {
	case step == 1 || len(words) == 0:
		return plainCount(words)
	case step == 4:
		return count4(&words[0], len(words))
	}
	return count16(&words[0], len(words))
}

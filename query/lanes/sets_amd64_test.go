package lanes

import "golang.org/x/sys/cpu"

// joinKernels returns the assembly for this processor that joins sets of n words: and, and not, or.
func joinKernels(n int) map[string][3]func(a, b, out *uint64, n int) int {
	found := map[string][3]func(a, b, out *uint64, n int) int{}
	if cpu.X86.HasAVX2 && cpu.X86.HasPOPCNT {
		found["4 at a time"] = [3]func(a, b, out *uint64, n int) int{and4, andNot4, or4}
	}
	if n%16 == 0 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VPOPCNTDQ {
		found["16 at a time"] = [3]func(a, b, out *uint64, n int) int{and16, andNot16, or16}
	}
	return found
}

// countKernels returns the assembly for this processor that counts n words.
func countKernels(n int) map[string]func(words *uint64, n int) int {
	found := map[string]func(words *uint64, n int) int{}
	if cpu.X86.HasPOPCNT {
		found["4 at a time"] = count4
	}
	if n%16 == 0 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VPOPCNTDQ {
		found["16 at a time"] = count16
	}
	return found
}

// withinKernels returns the functions for this processor that compare values.
func withinKernels[T Value]() map[string]func(vals []T, lo, width T, out []uint64) {
	found := map[string]func(vals []T, lo, width T, out []uint64){"one by one": plainWords[T]}
	if cpu.X86.HasAVX2 {
		found["32 bytes at a time"] = halfWords[T]
	}
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW {
		found["64 bytes at a time"] = wideWords[T]
	}
	return found
}

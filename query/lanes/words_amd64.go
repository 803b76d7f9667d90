package lanes

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:noescape
func within8(vals *uint8, words int, lo, width uint8, out *uint64)

//go:noescape
func within16(vals *uint16, words int, lo, width uint16, out *uint64)

//go:noescape
func within32(vals *uint32, words int, lo, width uint32, out *uint64)

//go:noescape
func wideWithin8(vals *uint8, words int, lo, width uint8, out *uint64)

//go:noescape
func wideWithin16(vals *uint16, words int, lo, width uint16, out *uint64)

//go:noescape
func wideWithin32(vals *uint32, words int, lo, width uint32, out *uint64)

//go:noescape
func steps16(vals *uint16, groups int) int

// stepGroup is the number of values that steps16 handles per iteration.
const stepGroup = 32

// Steps counts the values that differ from the one before.
func Steps(vals []uint16) int {
	groups := (len(vals) - 1) / stepGroup
	if groups <= 0 || !cpu.X86.HasAVX2 || !cpu.X86.HasPOPCNT {
		return plainSteps(vals)
	}
	return steps16(&vals[0], groups) + plainSteps(vals[groups*stepGroup:])
}

// words sets out to the set of values from lo to lo + width. REQUIRES: out is not empty, and len(vals) >= 64 ×
// len(out).
func words[T Value](vals []T, lo, width T, out []uint64) {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW:
		wideWords(vals, lo, width, out)
	case cpu.X86.HasAVX2:
		halfWords(vals, lo, width, out)
	default:
		plainWords(vals, lo, width, out)
	}
}

// wideWords is words with AVX-512.
func wideWords[T Value](vals []T, lo, width T, out []uint64) {
	_ = vals[len(out)*64-1]
	first := unsafe.Pointer(&vals[0])
	switch unsafe.Sizeof(lo) {
	case 1:
		wideWithin8((*uint8)(first), len(out), uint8(lo), uint8(width), &out[0])
	case 2:
		wideWithin16((*uint16)(first), len(out), uint16(lo), uint16(width), &out[0])
	default:
		wideWithin32((*uint32)(first), len(out), uint32(lo), uint32(width), &out[0])
	}
}

// halfWords is words with AVX2.
func halfWords[T Value](vals []T, lo, width T, out []uint64) {
	_ = vals[len(out)*64-1]
	first := unsafe.Pointer(&vals[0])
	switch unsafe.Sizeof(lo) {
	case 1:
		within8((*uint8)(first), len(out), uint8(lo), uint8(width), &out[0])
	case 2:
		within16((*uint16)(first), len(out), uint16(lo), uint16(width), &out[0])
	default:
		within32((*uint32)(first), len(out), uint32(lo), uint32(width), &out[0])
	}
}

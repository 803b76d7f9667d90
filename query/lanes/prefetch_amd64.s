#include "textflag.h"

// func prefetch512(first unsafe.Pointer)
TEXT ·prefetch512(SB), NOSPLIT, $0-8
	MOVQ first+0(FP), SI
	PREFETCHT0 (SI)
	PREFETCHT0 64(SI)
	PREFETCHT0 128(SI)
	PREFETCHT0 192(SI)
	PREFETCHT0 256(SI)
	PREFETCHT0 320(SI)
	PREFETCHT0 384(SI)
	PREFETCHT0 448(SI)
	RET

// func prefetch64(at unsafe.Pointer)
TEXT ·prefetch64(SB), NOSPLIT, $0-8
	MOVQ at+0(FP), SI
	PREFETCHT0 (SI)
	RET

#include "textflag.h"

// func ahead(first unsafe.Pointer)
TEXT ·ahead(SB), NOSPLIT, $0-8
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

// func aheadLine(at unsafe.Pointer)
TEXT ·aheadLine(SB), NOSPLIT, $0-8
	MOVQ at+0(FP), SI
	PREFETCHT0 (SI)
	RET

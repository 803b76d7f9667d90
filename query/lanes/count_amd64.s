#include "textflag.h"

// func count4(words *uint64, n int) int
// Four words per iteration, each with its own sum. REQUIRES: n is a positive multiple of 4.
TEXT ·count4(SB), NOSPLIT, $0-24
	MOVQ words+0(FP), SI
	MOVQ n+8(FP), CX
	XORQ AX, AX
	XORQ BX, BX
	XORQ DX, DX
	XORQ DI, DI

loop:
	POPCNTQ (SI), R8
	POPCNTQ 8(SI), R9
	POPCNTQ 16(SI), R10
	POPCNTQ 24(SI), R11
	ADDQ R8, AX
	ADDQ R9, BX
	ADDQ R10, DX
	ADDQ R11, DI
	ADDQ $32, SI
	SUBQ $4, CX
	JNZ loop
	ADDQ BX, AX
	ADDQ DI, DX
	ADDQ DX, AX
	MOVQ AX, ret+16(FP)
	RET

// func addScaled16(sums *uint16, vals *uint8, n int, first, step uint16)
// Y0 is first and Y1 is step in every lane of 16 bits. REQUIRES: n is a positive multiple of 16.
TEXT ·addScaled16(SB), NOSPLIT, $0-28
	MOVQ sums+0(FP), DI
	MOVQ vals+8(FP), SI
	MOVQ n+16(FP), CX
	VPBROADCASTW first+24(FP), Y0
	VPBROADCASTW step+26(FP), Y1
	VPXOR Y7, Y7, Y7

loop:
	VPMOVZXBW (SI), Y2
	VPMULLW Y1, Y2, Y3
	VPADDW Y0, Y3, Y3
	VPCMPEQW Y7, Y2, Y4
	VPANDN Y3, Y4, Y5
	VPADDW (DI), Y5, Y5
	VMOVDQU Y5, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JNZ loop
	VZEROUPPER
	RET

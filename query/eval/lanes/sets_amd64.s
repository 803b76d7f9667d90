#include "textflag.h"

// Four words a turn: they are joined and stored at once, and counted from where they were stored, each with
// a sum of its own. REQUIRES: n is a multiple of 4 above 0.

// func and4(a, b, out *uint64, n int) int
TEXT ·and4(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	XORQ AX, AX
	XORQ BX, BX
	XORQ R12, R12
	XORQ R13, R13

and4loop:
	VMOVDQU (SI), Y0
	VPAND (DX), Y0, Y0
	VMOVDQU Y0, (DI)
	POPCNTQ (DI), R8
	POPCNTQ 8(DI), R9
	POPCNTQ 16(DI), R10
	POPCNTQ 24(DI), R11
	ADDQ R8, AX
	ADDQ R9, BX
	ADDQ R10, R12
	ADDQ R11, R13
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $4, CX
	JNZ and4loop
	ADDQ BX, AX
	ADDQ R13, R12
	ADDQ R12, AX
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func andNot4(a, b, out *uint64, n int) int
TEXT ·andNot4(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	XORQ AX, AX
	XORQ BX, BX
	XORQ R12, R12
	XORQ R13, R13

andNot4loop:
	VMOVDQU (DX), Y0
	VPANDN (SI), Y0, Y0
	VMOVDQU Y0, (DI)
	POPCNTQ (DI), R8
	POPCNTQ 8(DI), R9
	POPCNTQ 16(DI), R10
	POPCNTQ 24(DI), R11
	ADDQ R8, AX
	ADDQ R9, BX
	ADDQ R10, R12
	ADDQ R11, R13
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $4, CX
	JNZ andNot4loop
	ADDQ BX, AX
	ADDQ R13, R12
	ADDQ R12, AX
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func or4(a, b, out *uint64, n int) int
TEXT ·or4(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	XORQ AX, AX
	XORQ BX, BX
	XORQ R12, R12
	XORQ R13, R13

or4loop:
	VMOVDQU (SI), Y0
	VPOR (DX), Y0, Y0
	VMOVDQU Y0, (DI)
	POPCNTQ (DI), R8
	POPCNTQ 8(DI), R9
	POPCNTQ 16(DI), R10
	POPCNTQ 24(DI), R11
	ADDQ R8, AX
	ADDQ R9, BX
	ADDQ R10, R12
	ADDQ R11, R13
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $4, CX
	JNZ or4loop
	ADDQ BX, AX
	ADDQ R13, R12
	ADDQ R12, AX
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

#include "textflag.h"

// These functions join sets of words and count the result in the same pass. and4, andNot4 and or4 handle four
// words per iteration and count them in memory after storing them, each with its own sum. and16, andNot16,
// or16 and count16 handle sixteen words and count them in registers. In all of them, SI and DX point into the
// sets, DI into the result, CX is the number of words left, and AX the sum.
// REQUIRES: n is a positive multiple of the number in the name.

// JOIN4 applies op to the words at first and at second.
#define JOIN4(op, first, second) \
	XORQ AX, AX               \
	XORQ BX, BX               \
	XORQ R12, R12             \
	XORQ R13, R13             \
loop:                         \
	VMOVDQU (first), Y0       \
	op (second), Y0, Y0       \
	VMOVDQU Y0, (DI)          \
	POPCNTQ (DI), R8          \
	POPCNTQ 8(DI), R9         \
	POPCNTQ 16(DI), R10       \
	POPCNTQ 24(DI), R11       \
	ADDQ R8, AX               \
	ADDQ R9, BX               \
	ADDQ R10, R12             \
	ADDQ R11, R13             \
	ADDQ $32, SI              \
	ADDQ $32, DX              \
	ADDQ $32, DI              \
	SUBQ $4, CX               \
	JNZ loop                  \
	ADDQ BX, AX               \
	ADDQ R13, R12             \
	ADDQ R12, AX

// SUM16 adds the lanes of Z4 and Z5.
#define SUM16 \
	VPADDQ Z5, Z4, Z4         \
	VEXTRACTI64X4 $1, Z4, Y5  \
	VPADDQ Y5, Y4, Y4         \
	VEXTRACTI128 $1, Y4, X5   \
	VPADDQ X5, X4, X4         \
	VPSRLDQ $8, X4, X5        \
	VPADDQ X5, X4, X4         \
	VMOVQ X4, AX

// JOIN16 is JOIN4 for sixteen words.
#define JOIN16(op, first, second) \
	VPXORQ Z4, Z4, Z4         \
	VPXORQ Z5, Z5, Z5         \
loop:                         \
	VMOVDQU64 (first), Z0     \
	VMOVDQU64 64(first), Z1   \
	op (second), Z0, Z0       \
	op 64(second), Z1, Z1     \
	VMOVDQU64 Z0, (DI)        \
	VMOVDQU64 Z1, 64(DI)      \
	VPOPCNTQ Z0, Z0           \
	VPOPCNTQ Z1, Z1           \
	VPADDQ Z0, Z4, Z4         \
	VPADDQ Z1, Z5, Z5         \
	ADDQ $128, SI             \
	ADDQ $128, DX             \
	ADDQ $128, DI             \
	SUBQ $16, CX              \
	JNZ loop                  \
	SUM16

// func and4(a, b, out *uint64, n int) int
TEXT ·and4(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	JOIN4(VPAND, SI, DX)
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func and16(a, b, out *uint64, n int) int
TEXT ·and16(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	JOIN16(VPANDQ, SI, DX)
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func andNot4(a, b, out *uint64, n int) int
TEXT ·andNot4(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	JOIN4(VPANDN, DX, SI)
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func andNot16(a, b, out *uint64, n int) int
TEXT ·andNot16(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	JOIN16(VPANDNQ, DX, SI)
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func or4(a, b, out *uint64, n int) int
TEXT ·or4(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	JOIN4(VPOR, SI, DX)
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func or16(a, b, out *uint64, n int) int
TEXT ·or16(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ out+16(FP), DI
	MOVQ n+24(FP), CX
	JOIN16(VPORQ, SI, DX)
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

// func count16(words *uint64, n int) int
TEXT ·count16(SB), NOSPLIT, $0-24
	MOVQ words+0(FP), SI
	MOVQ n+8(FP), CX
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5

loop:
	VPOPCNTQ (SI), Z0
	VPOPCNTQ 64(SI), Z1
	VPADDQ Z0, Z4, Z4
	VPADDQ Z1, Z5, Z5
	ADDQ $128, SI
	SUBQ $16, CX
	JNZ loop
	SUM16
	MOVQ AX, ret+16(FP)
	VZEROUPPER
	RET

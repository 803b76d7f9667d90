#include "textflag.h"

// In all functions, Y0 is lo and Y1 is width in every lane. SI points into the values, DI into the words. A value
// is inside the range if value - lo, which wraps around for a value below lo, is the minimum of itself and
// width.

// func within8(vals *uint8, words int, lo, width uint8, out *uint64)
TEXT ·within8(SB), NOSPLIT, $0-32
	MOVQ vals+0(FP), SI
	MOVQ words+8(FP), CX
	VPBROADCASTB lo+16(FP), Y0
	VPBROADCASTB width+17(FP), Y1
	MOVQ out+24(FP), DI

loop8:
	VMOVDQU (SI), Y2
	VMOVDQU 32(SI), Y3
	VPSUBB Y0, Y2, Y2
	VPSUBB Y0, Y3, Y3
	VPMINUB Y1, Y2, Y4
	VPMINUB Y1, Y3, Y5
	VPCMPEQB Y4, Y2, Y2
	VPCMPEQB Y5, Y3, Y3
	VPMOVMSKB Y2, AX
	VPMOVMSKB Y3, BX
	SHLQ $32, BX
	ORQ BX, AX
	MOVQ AX, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JNZ loop8
	VZEROUPPER
	RET

// Packing works within halves of 128 bits and leaves the quarters as 0 2 1 3. VPERMQ $0xD8 restores the order.

// func within16(vals *uint16, words int, lo, width uint16, out *uint64)
TEXT ·within16(SB), NOSPLIT, $0-32
	MOVQ vals+0(FP), SI
	MOVQ words+8(FP), CX
	VPBROADCASTW lo+16(FP), Y0
	VPBROADCASTW width+18(FP), Y1
	MOVQ out+24(FP), DI

loop16:
	VMOVDQU (SI), Y2
	VMOVDQU 32(SI), Y3
	VMOVDQU 64(SI), Y4
	VMOVDQU 96(SI), Y5
	VPSUBW Y0, Y2, Y2
	VPSUBW Y0, Y3, Y3
	VPSUBW Y0, Y4, Y4
	VPSUBW Y0, Y5, Y5
	VPMINUW Y1, Y2, Y6
	VPMINUW Y1, Y3, Y7
	VPMINUW Y1, Y4, Y8
	VPMINUW Y1, Y5, Y9
	VPCMPEQW Y6, Y2, Y2
	VPCMPEQW Y7, Y3, Y3
	VPCMPEQW Y8, Y4, Y4
	VPCMPEQW Y9, Y5, Y5
	VPACKSSWB Y3, Y2, Y2
	VPACKSSWB Y5, Y4, Y4
	VPERMQ $0xD8, Y2, Y2
	VPERMQ $0xD8, Y4, Y4
	VPMOVMSKB Y2, AX
	VPMOVMSKB Y4, BX
	SHLQ $32, BX
	ORQ BX, AX
	MOVQ AX, (DI)
	ADDQ $128, SI
	ADDQ $8, DI
	DECQ CX
	JNZ loop16
	VZEROUPPER
	RET

// Packing twice leaves the eighths as 0 2 4 6 1 3 5 7. order32 restores the order.
DATA order32<>+0(SB)/4, $0
DATA order32<>+4(SB)/4, $4
DATA order32<>+8(SB)/4, $1
DATA order32<>+12(SB)/4, $5
DATA order32<>+16(SB)/4, $2
DATA order32<>+20(SB)/4, $6
DATA order32<>+24(SB)/4, $3
DATA order32<>+28(SB)/4, $7
GLOBL order32<>(SB), RODATA|NOPTR, $32

// HALF32 compares the 32 values at off(SI) and puts their bits into the low half of r.
#define HALF32(off, r) \
	VMOVDQU off(SI), Y2         \
	VMOVDQU (off+32)(SI), Y3    \
	VMOVDQU (off+64)(SI), Y4    \
	VMOVDQU (off+96)(SI), Y5    \
	VPSUBD Y0, Y2, Y2           \
	VPSUBD Y0, Y3, Y3           \
	VPSUBD Y0, Y4, Y4           \
	VPSUBD Y0, Y5, Y5           \
	VPMINUD Y1, Y2, Y6          \
	VPMINUD Y1, Y3, Y7          \
	VPMINUD Y1, Y4, Y8          \
	VPMINUD Y1, Y5, Y9          \
	VPCMPEQD Y6, Y2, Y2         \
	VPCMPEQD Y7, Y3, Y3         \
	VPCMPEQD Y8, Y4, Y4         \
	VPCMPEQD Y9, Y5, Y5         \
	VPACKSSDW Y3, Y2, Y2        \
	VPACKSSDW Y5, Y4, Y4        \
	VPACKSSWB Y4, Y2, Y2        \
	VPERMD Y2, Y10, Y2          \
	VPMOVMSKB Y2, r

// func within32(vals *uint32, words int, lo, width uint32, out *uint64)
TEXT ·within32(SB), NOSPLIT, $0-32
	MOVQ vals+0(FP), SI
	MOVQ words+8(FP), CX
	MOVL lo+16(FP), AX
	MOVL width+20(FP), BX
	VMOVD AX, X0
	VMOVD BX, X1
	VPBROADCASTD X0, Y0
	VPBROADCASTD X1, Y1
	MOVQ out+24(FP), DI
	VMOVDQU order32<>(SB), Y10

loop32:
	HALF32(0, AX)
	HALF32(128, BX)
	SHLQ $32, BX
	ORQ BX, AX
	MOVQ AX, (DI)
	ADDQ $256, SI
	ADDQ $8, DI
	DECQ CX
	JNZ loop32
	VZEROUPPER
	RET

// func steps16(vals *uint16, groups int) int
TEXT ·steps16(SB), NOSPLIT, $0-24
	MOVQ vals+0(FP), SI
	MOVQ groups+8(FP), CX
	XORQ DX, DX

steps:
	VMOVDQU (SI), Y2
	VMOVDQU 32(SI), Y3
	VPCMPEQW 2(SI), Y2, Y2
	VPCMPEQW 34(SI), Y3, Y3
	VPACKSSWB Y3, Y2, Y2
	VPMOVMSKB Y2, AX
	NOTL AX
	POPCNTL AX, AX
	ADDQ AX, DX
	ADDQ $64, SI
	DECQ CX
	JNZ steps
	MOVQ DX, ret+16(FP)
	VZEROUPPER
	RET

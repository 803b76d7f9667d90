#include "textflag.h"

// As in within_amd64.s, but a comparison sets a mask register, which is stored as it is. Z0 is lo and Z1 is width
// in every lane. SI points into the values, DI into the words.

// func wideWithin8(vals *uint8, words int, lo, width uint8, out *uint64)
TEXT ·wideWithin8(SB), NOSPLIT, $0-32
	MOVQ vals+0(FP), SI
	MOVQ words+8(FP), CX
	VPBROADCASTB lo+16(FP), Z0
	VPBROADCASTB width+17(FP), Z1
	MOVQ out+24(FP), DI

wide8:
	VMOVDQU64 (SI), Z2
	VPSUBB Z0, Z2, Z2
	VPCMPUB $2, Z1, Z2, K1
	KMOVQ K1, (DI)
	ADDQ $64, SI
	ADDQ $8, DI
	DECQ CX
	JNZ wide8
	VZEROUPPER
	RET

// func wideWithin16(vals *uint16, words int, lo, width uint16, out *uint64)
TEXT ·wideWithin16(SB), NOSPLIT, $0-32
	MOVQ vals+0(FP), SI
	MOVQ words+8(FP), CX
	VPBROADCASTW lo+16(FP), Z0
	VPBROADCASTW width+18(FP), Z1
	MOVQ out+24(FP), DI

wide16:
	VMOVDQU64 (SI), Z2
	VMOVDQU64 64(SI), Z3
	VPSUBW Z0, Z2, Z2
	VPSUBW Z0, Z3, Z3
	VPCMPUW $2, Z1, Z2, K1
	VPCMPUW $2, Z1, Z3, K2
	KMOVD K1, (DI)
	KMOVD K2, 4(DI)
	ADDQ $128, SI
	ADDQ $8, DI
	DECQ CX
	JNZ wide16
	VZEROUPPER
	RET

// func wideWithin32(vals *uint32, words int, lo, width uint32, out *uint64)
TEXT ·wideWithin32(SB), NOSPLIT, $0-32
	MOVQ vals+0(FP), SI
	MOVQ words+8(FP), CX
	MOVL lo+16(FP), AX
	MOVL width+20(FP), BX
	VPBROADCASTD AX, Z0
	VPBROADCASTD BX, Z1
	MOVQ out+24(FP), DI

wide32:
	VMOVDQU64 (SI), Z2
	VMOVDQU64 64(SI), Z3
	VMOVDQU64 128(SI), Z4
	VMOVDQU64 192(SI), Z5
	VPSUBD Z0, Z2, Z2
	VPSUBD Z0, Z3, Z3
	VPSUBD Z0, Z4, Z4
	VPSUBD Z0, Z5, Z5
	VPCMPUD $2, Z1, Z2, K1
	VPCMPUD $2, Z1, Z3, K2
	VPCMPUD $2, Z1, Z4, K3
	VPCMPUD $2, Z1, Z5, K4
	KMOVW K1, (DI)
	KMOVW K2, 2(DI)
	KMOVW K3, 4(DI)
	KMOVW K4, 6(DI)
	ADDQ $256, SI
	ADDQ $8, DI
	DECQ CX
	JNZ wide32
	VZEROUPPER
	RET

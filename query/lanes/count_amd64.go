package lanes

import "golang.org/x/sys/cpu"

//go:noescape
func count4(words *uint64, n int) int

//go:noescape
func addScaled16(sums *uint16, vals *uint8, n int, first, step uint16)

// addScaledWhole is AddScaled for a multiple of 16 values.
func addScaledWhole(sums []uint16, vals []uint8, first, step uint16) {
	if len(vals) == 0 || !cpu.X86.HasAVX2 {
		plainAddScaled(sums, vals, first, step)
		return
	}
	_ = sums[len(vals)-1]
	addScaled16(&sums[0], &vals[0], len(vals), first, step)
}

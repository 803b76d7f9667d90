//go:build !amd64

package lanes

func addScaledWhole(sums []uint16, vals []uint8, first, step uint16) {
	plainAddScaled(sums, vals, first, step)
}

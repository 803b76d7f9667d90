//go:build !amd64

package lanes

func joinKernels(int) map[string][3]func(a, b, out *uint64, n int) int { return nil }

func countKernels(int) map[string]func(words *uint64, n int) int { return nil }

func withinKernels[T Value]() map[string]func(vals []T, lo, width T, out []uint64) {
	return map[string]func(vals []T, lo, width T, out []uint64){"one by one": plainWords[T]}
}

//go:build !amd64

package lanes

func ways(int) map[string][3]func(a, b, out *uint64, n int) int { return nil }

func countWays(int) map[string]func(words *uint64, n int) int { return nil }

func wordWays[T Value]() map[string]func(vals []T, lo, width T, out []uint64) {
	return map[string]func(vals []T, lo, width T, out []uint64){"one by one": plainWords[T]}
}

//go:build !amd64

package lanes

func words[T Value](vals []T, lo, width T, out []uint64) { plainWords(vals, lo, width, out) }

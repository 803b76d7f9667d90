//go:build !amd64

package lanes

func words[T Value](vals []T, lo, width T, out []uint64) { plainWords(vals, lo, width, out) }

// Steps counts the values that differ from the one before.
func Steps(vals []uint16) int { return plainSteps(vals) }

//go:build !amd64

package lanes

func wordsPerStep() int { return 1 }

func andWhole(a, b, out []uint64) int    { return plainAnd(a, b, out) }
func andNotWhole(a, b, out []uint64) int { return plainAndNot(a, b, out) }
func orWhole(a, b, out []uint64) int     { return plainOr(a, b, out) }
func countWhole(words []uint64) int      { return plainCount(words) }

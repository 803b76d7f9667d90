package bench

import (
	"slices"
	"time"
)

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// sorted returns all numbers in ascending order.
func sorted(parts ...[]float64) []float64 {
	all := slices.Concat(parts...)
	slices.Sort(all)
	return all
}

func median(numbers []float64) float64 { return quantile(sorted(numbers), 0.5) }

// quantile returns a quantile of ascending numbers, 0 if there are none.
func quantile(ascending []float64, q float64) float64 {
	if len(ascending) == 0 {
		return 0
	}
	return ascending[min(int(q*float64(len(ascending))), len(ascending)-1)]
}

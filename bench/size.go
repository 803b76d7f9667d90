package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/bench/gen"
)

// Size says how much data is loaded.
type Size struct {
	Name   string
	Users  int
	Events int
}

// Sizes returns the known sizes, the smallest first. XS only shows that everything runs.
func Sizes() []Size {
	return []Size{
		{"XS", 100_000, 2_000_000},
		{"S", 1_000_000, 20_000_000},
		{"M", 10_000_000, 200_000_000},
		{"L", 100_000_000, 500_000_000},
	}
}

// SizeByName returns the size with a name, in any case.
func SizeByName(name string) (Size, error) {
	for _, s := range Sizes() {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
	}
	return Size{}, fmt.Errorf("size %q: want XS, S, M or L", name)
}

// Now is the time as of which all questions are asked, and the time of the last event. It is fixed, so that every
// run asks the same questions of the same data.
func Now() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

// Shop returns the data of a size.
func (s Size) Shop(seed uint64) (*gen.Shop, error) {
	return gen.New(gen.Config{Users: s.Users, Events: s.Events, Seed: seed, End: Now()})
}

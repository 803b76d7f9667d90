package exec

import (
	"math/rand/v2"
	"testing"
)

// TestCellTable covers bucket and group numbers that are found through an array and ones that are not.
func TestCellTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	edges := []int32{0, 1, 2, maxDense - 2, maxDense - 1, maxDense, maxDense + 1, 1 << 20, 1<<31 - 1}
	var table cellTable
	want := map[[2]int32]int64{}
	for range 20_000 {
		at := [2]int32{edges[rng.IntN(len(edges))], edges[rng.IntN(len(edges))]}
		if rng.IntN(2) == 0 {
			at = [2]int32{rng.Int32N(2 * maxDense), rng.Int32N(20)}
		}
		cell, made := table.at(at[0], at[1])
		if _, exists := want[at]; made == exists || cell.N != want[at] {
			t.Fatalf("bucket %d, group %d: %d, made %t; want %d", at[0], at[1], cell.N, made, want[at])
		}
		cell.N++
		want[at]++
	}
	if len(table.cells) != len(want) {
		t.Fatalf("%d cells, want %d", len(table.cells), len(want))
	}
	for _, cell := range table.cells {
		if cell.N != want[[2]int32{cell.bucket, cell.group}] {
			t.Fatalf("bucket %d, group %d: %d", cell.bucket, cell.group, cell.N)
		}
	}
}

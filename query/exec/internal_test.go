package exec

import (
	"testing"

	"github.com/musterdb/muster/query/tree"
)

func number(t *testing.T, text string) tree.Number {
	t.Helper()
	n, ok := tree.ParseNumber(text)
	if !ok {
		t.Fatalf("not a number: %s", text)
	}
	return n
}

func TestLowerEnd(t *testing.T) {
	for _, c := range [][3]string{
		{"25", "10", "20"}, {"-1", "10", "-10"}, {"-10", "10", "-10"}, {"0.3", "0.1", "0.3"}, {"0.29", "0.1", "0.2"},
		{"9223372036854775807", "10", "9223372036854775800"}, {"-9223372036854775807", "10", "-9223372036854775810"},
		{"1e300", "10", "1e300"}, {"7", "2.5", "5"},
	} {
		if got := lowerEnd(number(t, c[0]), number(t, c[1])); got.Number() != number(t, c[2]) {
			t.Errorf("%s in steps of %s: %s, want %s", c[0], c[1], got.Number(), c[2])
		}
	}
}

func TestGroupsAreRefusedAboveTheirLimit(t *testing.T) {
	b := &budget{limit: 1 << 20}
	g := newGroups(b, tree.CountFn)
	g.limit = 3
	for i := range 3 {
		if _, err := g.at([]tree.Value{tree.NumInt(int64(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.at([]tree.Value{tree.NumInt(1)}); err != nil {
		t.Error("an existing group is refused:", err)
	}
	if _, err := g.at([]tree.Value{tree.Str("1")}); err == nil {
		t.Error("the fourth group is accepted")
	}
}

package gen

import (
	"slices"
	"testing"

	"github.com/musterdb/muster/query/syntax"
)

// TestSegments checks that every text is a valid predicate, the same for the same seed, and that the first ones
// of many are those of few.
func TestSegments(t *testing.T) {
	all := Segments(1, 2000)
	if !slices.Equal(all[:100], Segments(1, 100)) {
		t.Error("the first 100 of 2,000 segments differ from 100 segments")
	}
	forms := map[string]bool{}
	for _, text := range all {
		if _, err := syntax.ParsePred(text, syntax.Limits{}); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		forms[text] = true
	}
	if len(forms) < 1800 {
		t.Errorf("only %d different segments", len(forms))
	}
}

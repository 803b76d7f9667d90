package check

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/musterdb/muster/query/tree"
)

// TestMultiplyingSegmentsAreRefused checks a tower of segments that each use the one below twice: forty
// short texts make a trillion conditions.
func TestMultiplyingSegmentsAreRefused(t *testing.T) {
	c := testCatalog(t)
	c.segments["level 0"] = &tree.Segment{Name: "level 0", Pred: parsed(t, `age > 5`)}
	for i := 1; i <= 40; i++ {
		name := fmt.Sprintf("level %d", i)
		c.segments[name] = &tree.Segment{Name: name, Pred: parsed(t, fmt.Sprintf(`in segment "level %d" or not in segment "level %[1]d"`, i-1))}
	}
	if _, _, err := Predicate(parsed(t, `in segment "level 10"`), c); err != nil {
		t.Errorf("ten levels: %v", err)
	}
	text := `age > 1 and in segment "level 40"`
	_, _, err := Predicate(parsed(t, text), c)
	var d *tree.Diagnostic
	if !errors.As(err, &d) || d.Code != "limit" || d.Hint == "" {
		t.Fatalf("forty levels: %v, want limit", err)
	}
	if at := text[d.At.Offset:][:d.At.Length]; at != `in segment "level 40"` {
		t.Errorf("points at %q", at)
	}
}

// TestLargePatternsAreRefused checks that short patterns with huge programs are refused before they are
// compiled.
func TestLargePatternsAreRefused(t *testing.T) {
	c := testCatalog(t)
	small := `country matches "(.*a){1}.*0x"`
	if _, _, err := Predicate(parsed(t, small+strings.Repeat(" or "+small, 900)), c); err != nil {
		t.Errorf("900 small ones: %v", err)
	}
	large := `country matches "(` + strings.Repeat("a", 1000) + `){1000}"`
	_, _, err := Predicate(parsed(t, "age > 1 and "+large), c)
	var d *tree.Diagnostic
	if !errors.As(err, &d) || d.Code != "limit" || d.Hint == "" {
		t.Errorf("a million instructions: %v, want limit", err)
	}
}

package syntax

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query/tree"
)

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"typical": `count where did "Order Completed" where (amount > 50) at least 2 times in last 30 days and country = "BR"`,
		"long": `count where did "Order Completed" where (amount > 50 and category in ("shoes", "hats")) at least 2 times in last 30 days ` +
			`and country != "BR" and not in segment "VIP" and sum(amount) of "Order Completed" in last 90 days > 200 by plan order by count desc limit 10 as of 2026-01-31`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestLimits parses texts that would overflow the stack or take seconds without limits.
func TestLimits(t *testing.T) {
	cases := map[string]string{
		"parentheses":        "count where " + strings.Repeat("(", 300_000) + "a" + strings.Repeat(")", 300_000),
		"some parentheses":   "count where " + strings.Repeat("(", 30_000) + "a" + strings.Repeat(")", 30_000),
		"open parentheses":   "count where " + strings.Repeat("(", 65),
		"nots":               "count where " + strings.Repeat("not ", 15_000) + "a",
		"nots and brackets":  "count where " + strings.Repeat("not (", 33) + "a" + strings.Repeat(")", 33),
		"clauses":            "count where a" + strings.Repeat(" or a", 10_000),
		"short clauses":      "count where a" + strings.Repeat(" or a", 1_000),
		"betweens":           "count where a" + strings.Repeat(" and a between 1 and 2", 1_000),
		"sum":                "count where a" + strings.Repeat("+a", 30_000) + " > 1",
		"sums in brackets":   "count where " + strings.Repeat("1+(", 33) + "a" + strings.Repeat(")", 33) + " > 1",
		"long text":          "count where a = \"" + strings.Repeat("x", 1<<20) + "\"",
		"minus signs":        "count where a > " + strings.Repeat("- ", 30_000) + "1",
		"sum inside event":   "count where did a where (b" + strings.Repeat("*b", 100) + " > 1)",
		"brackets in in":     "count where a in (" + strings.Repeat("(", 100),
		"steps":              `count where did "a"` + strings.Repeat(` then "a"`, 1_000),
		"steps not done":     `count where did "a"` + strings.Repeat(` then not "a" within 1 day`, 1_000),
		"steps and clauses":  "count where a" + strings.Repeat(` or did "a" then "b"`, 500),
		"steps of a funnel":  `funnel "a"` + strings.Repeat(` then "a"`, 1_000) + " within 7 days",
		"sums of events":     "count where a > 1" + strings.Repeat(` or sum(x) of "a" + sum(x) of "b" > 1`, 500),
		"columns of events":  `list sum(x) of "a"` + strings.Repeat(`, sum(x) of "a"`, 1_000),
		"measures":           "stats sum(a)" + strings.Repeat(", sum(a)", 1_000),
		"dimensions":         "count by a" + strings.Repeat(", a", 1_000),
		"orders":             "list a, b order by a" + strings.Repeat(", a", 1_000),
		"explained measures": "explain analyze stats sum(a)" + strings.Repeat(", sum(a)", 1_000),
		"event in brackets ": "count where " + strings.Repeat("did a where (", 100) + "b",
	}
	for name, text := range cases {
		var err error
		took := time.Hour
		for range 3 { // the best of three, so that a busy machine does not fail the test
			start := time.Now()
			_, err = Parse(text, Limits{})
			took = min(took, time.Since(start))
		}
		d, ok := err.(*tree.Diagnostic)
		if !ok || d.Code != "limit" || d.Hint == "" {
			t.Errorf("%s: error %v, want a limit error with a hint", name, err)
		}
		if took > 50*time.Millisecond {
			t.Errorf("%s took %s", name, took)
		}
	}
	for name, text := range map[string]string{
		"brackets": "count where " + strings.Repeat("(", 64) + "a" + strings.Repeat(")", 64),
		"nots":     "count where " + strings.Repeat("not ", 64) + "a",
		"clauses":  "count where a" + strings.Repeat(" or a", 999),
		"betweens": "count where a" + strings.Repeat(" and a between 1 and 2", 999),
		"sum":      "count where a" + strings.Repeat("+a", 64) + " > 1",
		"values":   "count where a in (1" + strings.Repeat(",-1", 20_000) + ")",
		"columns":  "list a" + strings.Repeat(",a", 20_000),
		"explain":  "explain analyze list a" + strings.Repeat(",a", 20_000),
		"steps":    `count where did "a"` + strings.Repeat(` then "a"`, 999),
		"funnel":   `funnel "a"` + strings.Repeat(` then "a"`, 999) + " within 7 days",
		"measures": "stats sum(a)" + strings.Repeat(", sum(a)", 999),
		"events":   "count where a > 1" + strings.Repeat(` or sum(x) of "a" > 1`, 999),
	} {
		if _, err := Parse(text, Limits{}); err != nil {
			t.Errorf("%s at the limit: %v", name, err)
		}
	}
	if _, err := Parse("count where (a)", Limits{Nesting: 1}); err != nil {
		t.Error(err)
	}
	if _, err := Parse("count where ((a))", Limits{Nesting: 1}); err == nil {
		t.Error("a limit given by the caller was ignored")
	}
}

// TestTooManySteps checks the position and the text of the error for too many steps.
func TestTooManySteps(t *testing.T) {
	text := `count where did "a"` + strings.Repeat(` then "a"`, 1_000)
	_, err := Parse(text, Limits{})
	var d *tree.Diagnostic
	if !errors.As(err, &d) {
		t.Fatalf("error %v, want a diagnostic", err)
	}
	if want := strings.LastIndex(text, "then"); d.At.Offset != want || d.At.Length != len("then") {
		t.Errorf("points at %d, %d bytes, want the last then at %d", d.At.Offset, d.At.Length, want)
	}
	if !strings.Contains(d.Message, "1000 conditions") || !strings.Contains(d.Hint, "every step counts") {
		t.Errorf("says %q, hint %q", d.Message, d.Hint)
	}
}

// TestSavedSegmentsOutliveLimits reads a predicate that could be saved before steps counted as conditions.
func TestSavedSegmentsOutliveLimits(t *testing.T) {
	text := `did "a"` + strings.Repeat(` then "a"`, 2_499)
	if _, err := ParsePred(text, Limits{}); err == nil {
		t.Error("2,500 steps can be saved")
	}
	if _, err := ParseSaved(text); err != nil {
		t.Errorf("2,500 steps cannot be read: %v", err)
	}
}

package exec

import (
	"fmt"
	"slices"
	"testing"

	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

func TestPropertiesAreAllFound(t *testing.T) {
	for text, want := range map[string][]string{
		`count where country = "BR"`:                                                                             nil,
		`count where did "A" where (x = 1 and not y is set)`:                                                     {"A.x", "A.y"},
		`count where country = "BR" or sum(v * w) of "A" where (z = 1) > 3 and plan = "p"`:                       {"A.v", "A.w", "A.z"},
		`count where did "A" where (x = 1) then "B" where (y = 2) within 1 day`:                                  {"A.x", "B.y"},
		`trend "A" where (x = 1) this month by day of sum(v) where plan = "p"`:                                   {"A.v", "A.x"},
		`rfm of "A" ever by amount where plan = "p"`:                                                             {"A.amount"},
		`stats sum(v) of "A", avg(age) by country`:                                                               {"A.v"},
		`count by favorite(c) of "A"`:                                                                            {"A.c"},
		`list name, last(p) of "A" where in top 10 by sum(v) of "B" order by max(m) of "C" desc`:                 {"A.p", "B.v", "C.m"},
		`funnel "A" where (x = 1) then "B" within 7 days ever where plan = "p"`:                                  {"A.x"},
		`count where did "A" where (x = 1) then "B" where (y = previous.z) then "C" where (v = previous.w) ever`: {"A.x", "A.z", "B.w", "B.y", "C.v"},
		`overlap did "A" where (x = 1), everyone`:                                                                {"A.x"},
		`explain count where last did "A" where (x = 1) in last 3 days`:                                          {"A.x"},
	} {
		q, err := syntax.Parse(text, syntax.Limits{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, used := range Properties(q.Stmt) {
			got = append(got, fmt.Sprint(used.Event, ".", used.Name.Name))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestPropertiesOfSegments(t *testing.T) {
	pred, err := syntax.ParsePred(`did "A" where (x = 1)`, syntax.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	segment := &tree.InSegment{Name: "s", Def: &tree.Segment{Name: "s", Pred: pred}}
	found := Properties(&tree.CountStmt{Where: &tree.Not{Arg: segment}, By: []tree.Dimension{{Segment: segment}}})
	if len(found) != 2 || found[0].Event != "A" || found[0].Name.Name != "x" {
		t.Errorf("found %v, want property x of A twice", found)
	}
}

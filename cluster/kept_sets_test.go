package cluster

import (
	"errors"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// TestKeptSets: a kept set exists for the segments that use it, not for users, and is dropped when no
// segment uses it.
func TestKeptSets(t *testing.T) {
	parse := func(text string) (tree.Pred, error) { return syntax.ParsePred(text, syntax.Limits{}) }
	s := catalog.New(parse)
	apply := func(c catalog.Change) {
		t.Helper()
		c.Version = s.Version() + 1
		next, err := s.Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	const name = keptPrefix + `Pro" at 2026-01-01T00:00:00Z`
	asks := &tree.InList{Name: name}
	apply(catalog.Change{Kind: catalog.PutList, Name: "staff"})
	apply(catalog.Change{Kind: catalog.KeepSet, Name: name})
	text, err := savedText(s, asks)
	if err != nil {
		t.Fatal(err)
	}
	apply(catalog.Change{Kind: catalog.PutSegment, Segment: catalog.Segment{Name: "Old", Text: text, Canonical: text, Zone: "UTC"}})
	if got, ok := unusedKept(s); ok {
		t.Errorf("%q is unused, though a segment uses it", got)
	}
	var d *tree.Diagnostic
	if err := refuseKeptSets(s, &tree.CountStmt{Where: &tree.Not{Arg: asks}}); !errors.As(err, &d) || d.Code != "unknown_list" {
		t.Errorf("a statement that names a kept set: %v", err)
	}
	if err := refuseKeptSets(s, &tree.InList{Name: "staff"}); err != nil {
		t.Errorf("a statement that names a list: %v", err)
	}
	apply(catalog.Change{Kind: catalog.DropSegment, Name: "Old"})
	if got, ok := unusedKept(s); !ok || got != name {
		t.Errorf("unused kept set: %q, %t, want %q", got, ok, name)
	}
	apply(catalog.Change{Kind: catalog.DropList, Name: name})
	if _, err := savedText(s, asks); err == nil {
		t.Error("a segment with a dropped set is accepted")
	}
}

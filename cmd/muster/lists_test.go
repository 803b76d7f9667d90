package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
)

// TestListsAreDropped: over HTTP, not while a segment asks them, and for good: of the same name there is a
// new one afterwards, also behind a restart.
func TestListsAreDropped(t *testing.T) {
	n := newLiveNode(t)
	coded := func(err error) string {
		var p *api.Problem
		if !errors.As(err, &p) {
			return "none"
		}
		return p.Code
	}
	put := func(name string, ids ...string) {
		t.Helper()
		if err := n.put("/v1/lists/"+name, api.ListRequest{IDs: ids}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.api.Events(t.Context(), strings.NewReader(`{"type":"identify","userId":"u1","messageId":"1"}`+"\n"+`{"type":"identify","userId":"u2","messageId":"2"}`), ""); err != nil {
		t.Fatal(err)
	}
	put("letter", "u1", "u2")
	put("other", "u1")
	if _, err := n.api.PutSegment(t.Context(), "Reads", api.SegmentRequest{Predicate: `not in list "letter" or in list "letter"`}, true); err != nil {
		t.Fatal(err)
	}
	err := n.api.DropList(t.Context(), "letter")
	if coded(err) != "in_use" || !strings.Contains(err.Error(), `segment "Reads"`) {
		t.Errorf("dropped while it is used: %v", err)
	}
	if err := n.api.DropList(t.Context(), "other"); err != nil {
		t.Error(err)
	}
	if got := coded(n.api.DropList(t.Context(), "other")); got != "no_list" {
		t.Errorf("dropped twice: %s", got)
	}
	if err := n.api.DropSegment(t.Context(), "Reads"); err != nil {
		t.Fatal(err)
	}
	if err := n.api.DropList(t.Context(), "letter"); err != nil {
		t.Errorf("nobody uses it: %v", err)
	}
	put("letter", "u2")
	for range 2 {
		if got := n.query(`list where in list "letter"`); len(got) != 1 || got[0] != "u2" {
			t.Errorf("on the new list are %v", got)
		}
		n.stop()
		n.open()
	}
}

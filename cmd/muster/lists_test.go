package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
)

// TestListsAreDropped checks over HTTP that a list cannot be dropped while a segment uses it, and that a new list
// with the name of a dropped one is empty at first, also after a restart.
func TestListsAreDropped(t *testing.T) {
	n := newLiveNode(t)
	codeOf := func(err error) string {
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
	if codeOf(err) != "in_use" || !strings.Contains(err.Error(), `segment "Reads"`) {
		t.Errorf("dropped while it is used: %v", err)
	}
	if err := n.api.DropList(t.Context(), "other"); err != nil {
		t.Error(err)
	}
	if got := codeOf(n.api.DropList(t.Context(), "other")); got != "no_list" {
		t.Errorf("dropped twice: %s", got)
	}
	if err := n.api.DropSegment(t.Context(), "Reads"); err != nil {
		t.Fatal(err)
	}
	if err := n.api.DropList(t.Context(), "letter"); err != nil {
		t.Errorf("drop of a list that is no longer used: %v", err)
	}
	put("letter", "u2")
	for range 2 {
		if got := n.query(`list where in list "letter"`); len(got) != 1 || got[0] != "u2" {
			t.Errorf("the new list has %v, want u2", got)
		}
		n.stop()
		n.open()
	}
}

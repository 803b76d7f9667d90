package streamcheck

import (
	"fmt"
	"testing"

	"github.com/musterdb/muster/api"
)

func page(more bool, ids ...string) *api.StreamMessage {
	m := &api.StreamMessage{Op: "members", More: more, Cursor: "p"}
	for _, id := range ids {
		m.Profiles = append(m.Profiles, api.StreamMember{Profile: id})
	}
	return m
}

func change(op, id, cursor string) *api.StreamMessage {
	return &api.StreamMessage{Op: op, Profile: id, Cursor: cursor, Cause: "event"}
}

func merged(id string) *api.StreamMessage {
	m := change("exit", id, "m")
	m.Cause = "merge"
	return m
}

// TestChecker checks that a correct stream has no fault and that each kind of fault is found.
func TestChecker(t *testing.T) {
	cut := &api.StreamMessage{Op: "cut"} // a reconnect
	cases := []struct {
		name   string
		stream []*api.StreamMessage
		list   []string
		faults int
	}{
		{"right", []*api.StreamMessage{page(true, "a", "b"), page(false, "c"), change("exit", "a", "1"), change("enter", "d", "2"), cut, change("enter", "a", "3")}, []string{"a", "b", "c", "d"}, 0},
		{"gap at the end", []*api.StreamMessage{change("enter", "a", "1")}, []string{"a", "b"}, 1},
		{"lost exit at the end", []*api.StreamMessage{page(false, "a")}, nil, 1},
		{"lost exit", []*api.StreamMessage{change("enter", "a", "1"), change("enter", "a", "3")}, []string{"a"}, 1},
		{"lost enter", []*api.StreamMessage{change("exit", "a", "3")}, nil, 1},
		{"resent", []*api.StreamMessage{change("enter", "a", "1"), change("exit", "a", "2"), cut, change("enter", "a", "1"), change("exit", "a", "2")}, nil, 2},
		{"no cursor", []*api.StreamMessage{change("enter", "a", "")}, []string{"a"}, 1},
		{"member twice", []*api.StreamMessage{page(true, "a"), page(false, "a")}, []string{"a"}, 1},
		{"continued snapshot", []*api.StreamMessage{page(true, "a"), cut, page(false, "a", "b"), change("enter", "b", "1"), change("exit", "c", "2")}, []string{"a", "b"}, 0},
		{"enter of a member", []*api.StreamMessage{page(false, "a"), change("enter", "a", "1")}, []string{"a"}, 1},
		{"change within a snapshot", []*api.StreamMessage{page(true, "a"), change("enter", "b", "1"), page(false)}, []string{"a", "b"}, 1},
		{"enter twice after a continued snapshot", []*api.StreamMessage{page(true, "a"), cut, page(false, "b"), change("enter", "b", "1"), change("enter", "b", "2")}, []string{"a", "b"}, 1},
		{"merged before the snapshot could name it", []*api.StreamMessage{page(false, "a"), merged("b")}, []string{"a"}, 0},
		{"merged without a snapshot", []*api.StreamMessage{merged("b")}, nil, 1},
		{"resync", []*api.StreamMessage{change("enter", "a", "1"), {Op: "resync"}, page(false, "b")}, []string{"b"}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var checker Checker
			for _, m := range c.stream {
				if m == cut {
					checker.Reconnected()
				} else {
					checker.Take(m)
				}
			}
			agrees := checker.Agrees(c.list)
			before := len(checker.faults)
			faults := checker.End(c.list)
			if agrees != (len(faults) == before) {
				t.Errorf("Agrees is %t, but End returns %v", agrees, faults[before:])
			}
			if len(faults) != c.faults || (Error(faults) == nil) != (c.faults == 0) {
				t.Errorf("%v, want %d", fmt.Sprint(faults), c.faults)
			}
		})
	}
}

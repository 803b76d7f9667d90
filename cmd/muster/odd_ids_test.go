package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
)

// oddIDs are ids with a special meaning in paths, URLs, shells or statements.
var oddIDs = []string{
	".", "..", "...", "a/b", "/", "//", "a//b", "a/", "/a", "../a", "%", "%2e%2e", "%2F", "?", "a?b=c", "#", "a#b", " a", "a b", "+", `\`, `..\a`, ";", "@", "&", "=", "*",
	`"`, "'", "<a>", "{id}", "é", "日本", "members", "events", "--help", "-1", "\u202e", "a\nb", "\x1b[m",
}

// TestOddIDs checks that the Go client and the command find profiles, segments and lists of any name.
func TestOddIDs(t *testing.T) {
	n := newLiveNode(t)
	var batch []json.RawMessage
	for i, id := range oddIDs {
		text, err := json.Marshal(map[string]any{"type": "identify", "userId": id, "messageId": fmt.Sprint(i), "traits": map[string]any{"n": i}})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, text)
	}
	if _, err := n.api.Batch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for i, id := range oddIDs {
		if p, err := n.api.Profile(t.Context(), id); err != nil || p.ID != id || fmt.Sprint(p.Attributes["n"]) != fmt.Sprint(i) {
			t.Errorf("profile %q: %+v, %v", id, p, err)
		}
		if line, err := n.api.Timeline(t.Context(), id, "", 10); err != nil || len(line.Events) != 1 {
			t.Errorf("timeline of %q: %+v, %v", id, line, err)
		}
		out, errs, code := command(t, "", "profile", "show", "--json", "--server", n.served.URL, "--", id)
		if code != exitDone || !strings.Contains(out, fmt.Sprintf(`"n": %d`, i)) {
			t.Errorf("show %q: exit %d, %s%s", id, code, out, errs)
		}
		if strings.ContainsAny(id, "\x1b\n\u202e") { // not allowed as names
			continue
		}
		if _, err := n.api.PutSegment(t.Context(), id, api.SegmentRequest{Predicate: fmt.Sprintf("n = %d", i)}, false); err != nil {
			t.Errorf("save segment %q: %v", id, err)
		}
		if s, err := n.api.Segment(t.Context(), id); err != nil || s.Name != id {
			t.Errorf("segment %q: %+v, %v", id, s, err)
		}
		if in, err := n.api.Member(t.Context(), id, id); err != nil || !in {
			t.Errorf("member of %q: %v, %v", id, in, err)
		}
		if page, err := n.api.Members(t.Context(), id, "", 10); err != nil || len(page.Members) != 1 || page.Members[0] != id {
			t.Errorf("members of %q: %+v, %v", id, page, err)
		}
		if _, err := n.api.EditList(t.Context(), id, []string{id}, nil); err != nil {
			t.Errorf("list %q: %v", id, err)
		}
		if err := n.api.DropSegment(t.Context(), id); err != nil {
			t.Errorf("drop %q: %v", id, err)
		}
	}
	for _, call := range []func() error{
		func() error { _, err := n.api.Profile(t.Context(), ""); return err },
		func() error { _, err := n.api.Members(t.Context(), "", "", 1); return err },
		func() error { return n.api.DropSegment(t.Context(), "") },
	} {
		if err := call(); err == nil {
			t.Error("a request with an empty name succeeds, want an error")
		}
	}
}

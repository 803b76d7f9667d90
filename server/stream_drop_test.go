package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/internal/node"
)

// TestDroppedSegment: a client that continues after a segment was dropped gets the exits, and then the
// error that there is no such segment. A new client gets that error immediately.
func TestDroppedSegment(t *testing.T) {
	f := newFakeLive(t, 1, nil)
	f.flip(0, 1, 2)
	cursor := f.Now().String()
	f.flip(0, 1, 2) // the exits that come with the drop
	s := newTestServer(t, &Node{Health: fakeHealth{fullStatus()}}, nil)
	s.AttachLive(f)
	var page api.Changes
	w := ask(s, "GET", "/v1/segments/VIP/changes?after="+cursor, nil)
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Changes) != 2 || page.Changes[0]["op"] != "exit" {
		t.Fatalf("%s: %v", w.Body, err)
	}
	problemOf(t, ask(s, "GET", "/v1/segments/VIP/changes?wait=10s&after="+page.Cursor, nil), 404, "no_segment")
	problemOf(t, ask(s, "GET", "/v1/segments/VIP/changes?wait=10s", nil), 404, "no_segment")
	problemOf(t, ask(s, "GET", "/v1/segments/VIP/changes", nil), 404, "no_segment")
	events := []string{"Accept", "text/event-stream"}
	problemOf(t, ask(s, "GET", "/v1/segments/VIP/changes?after="+page.Cursor, nil, events...), 404, "no_segment")
	w = ask(s, "GET", "/v1/segments/VIP/changes?after="+cursor, nil, events...)
	if text := w.Body.String(); strings.Count(text, `"op":"exit"`) != 2 || !strings.HasSuffix(text, `"temporary":false}`+"\n\n") || !strings.Contains(text, `"code":"no_segment"`) {
		t.Errorf("events: %s", text)
	}
	fake := &Node{Segments: segmentsOf(node.SegmentText{Name: "VIP"}), Health: fakeHealth{fullStatus()}}
	s = newTestServer(t, fake, nil)
	s.AttachLive(f)
	if w = ask(s, "GET", "/v1/segments/VIP/changes?after="+page.Cursor, nil); w.Code != 200 {
		t.Errorf("created again: %d %s", w.Code, w.Body)
	}
}

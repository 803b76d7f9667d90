package systest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/musterdb/muster/api"
)

// The abandoned cart of docs/QUERY.md, with 2 seconds instead of an hour: as it is there, and with a second
// clause by which a later order ends the membership.
const (
	cartAbandoned = `did "Product Added" then not "Order Completed" within 2 seconds in last 1 day`
	cartToRemind  = cartAbandoned + ` and did not "Product Added" then "Order Completed" in last 1 day`
)

// TestAbandonedCart runs it in real time through a real node and a WebSocket. A person who does not order enters
// within a tick of the due time. An order in time prevents it. A later order changes nothing in the plain segment
// and immediately ends membership in the other.
func TestAbandonedCart(t *testing.T) {
	p := serve(t)
	client := &api.Client{BaseURL: p.url()}
	send := func(user, event string) int64 {
		t.Helper()
		at := time.Now().UnixMilli()
		message := fmt.Sprintf(`{"type":"track","userId":%q,"event":%q,"timestamp":%d}`, user, event, at)
		if _, err := client.Batch(t.Context(), []json.RawMessage{json.RawMessage(message)}); err != nil {
			t.Fatal(err)
		}
		return at
	}
	send("zoe", "Order Completed") // defines the names
	send("zoe", "Product Added")
	send("zoe", "Order Completed")
	for name, text := range map[string]string{"abandoned": cartAbandoned, "to remind": cartToRemind} {
		if _, err := client.PutSegment(t.Context(), name, api.SegmentRequest{Predicate: text}, true); err != nil {
			t.Fatal(err)
		}
	}
	heard := follow(t, p, "abandoned", "to remind")
	send("bob", "Product Added")
	added := send("ann", "Product Added")
	send("bob", "Order Completed") // in time: bob never enters
	for segment, m := range heard.next(2) {
		if want := time.UnixMilli(added + 2000).UTC().Format("2006-01-02T15:04:05.000Z"); m.Op != "enter" || m.Profile != "ann" || m.Cause != "time" || m.At != want {
			t.Errorf("%s: %+v, want ann to enter at %s", segment, m, want)
		}
	}
	send("ann", "Order Completed")
	if m := heard.next(1)["to remind"]; m == nil || m.Op != "exit" || m.Profile != "ann" || m.Cause != "event" {
		t.Errorf("on the order: %+v, want ann to leave", m)
	}
	for segment, want := range map[string]bool{"abandoned": true, "to remind": false} {
		if is, err := client.Member(t.Context(), segment, "ann"); err != nil || is != want {
			t.Errorf("after a late order ann is in %q: %t (%v), want %t", segment, is, err, want)
		}
		if is, err := client.Member(t.Context(), segment, "bob"); err != nil || is {
			t.Errorf("bob ordered in time and is in %q: %t (%v)", segment, is, err)
		}
	}
}

// heard is a WebSocket that follows segments.
type heard struct {
	t    *testing.T
	conn *websocket.Conn
}

func follow(t *testing.T, p *process, segments ...string) *heard {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(p.url(), "http")+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, name := range segments {
		if err := conn.WriteJSON(api.StreamCommand{Op: "subscribe", ID: name, Segment: name, From: "snapshot", Credit: 1000}); err != nil {
			t.Fatal(err)
		}
	}
	return &heard{t, conn}
}

// next returns the last change of each of count segments, and logs how late they were received.
func (h *heard) next(count int) map[string]*api.StreamMessage {
	h.t.Helper()
	changes := map[string]*api.StreamMessage{}
	for len(changes) < count {
		m := &api.StreamMessage{}
		if err := h.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			h.t.Fatal(err)
		}
		if err := h.conn.ReadJSON(m); err != nil {
			h.t.Fatal(err)
		}
		if len(m.Profiles) > 0 {
			h.t.Errorf("members %v before anything was abandoned", m.Profiles)
		}
		if m.Op != "enter" && m.Op != "exit" {
			continue
		}
		changes[m.Segment] = m
		at, err := time.Parse(time.RFC3339, m.At)
		if err != nil {
			h.t.Fatal(err)
		}
		late := time.Since(at)
		h.t.Logf("%s: %s of %s by %s, received %s after its time", m.Segment, m.Op, m.Profile, m.Cause, late.Round(time.Millisecond))
		if late < 0 || late > 2*time.Second { // a tick is 250 ms, and the machine is shared
			h.t.Errorf("%s: %s of %s was received %s after its time", m.Segment, m.Op, m.Profile, late)
		}
	}
	return changes
}

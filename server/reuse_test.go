package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/musterdb/muster/engine"
)

// TestMemoryIsReusedInTime: messages that the node was given do not change until it has answered,
// although the memory of earlier requests is reused for later ones.
func TestMemoryIsReusedInTime(t *testing.T) {
	var wrong atomic.Int64
	fake := &fakeIngester{ingest: func(_ context.Context, msgs []engine.Incoming) ([]engine.Outcome, error) {
		for range 5 {
			runtime.Gosched() // other requests begin and end meanwhile
		}
		out := make([]engine.Outcome, len(msgs))
		for i, m := range msgs {
			if len(m.Fields) != 1 || m.UserID != m.MessageID || m.Fields[0].Value.Str != m.MessageID || string(m.Context) != `{"x":"`+m.MessageID+`"}` {
				wrong.Add(1)
			}
			out[i].Status = engine.Accepted
		}
		return out, nil
	}}
	s := newTestServer(t, &Node{Ingest: fake}, nil)
	var senders sync.WaitGroup
	for sender := range 6 {
		senders.Go(func() {
			for n := range 60 {
				var body strings.Builder
				body.WriteString(`{"batch":[`)
				for i := range 1 + (sender*7+n*13)%90 { // bodies of all lengths
					id := fmt.Sprintf("%d-%d-%d", sender, n, i)
					fmt.Fprintf(&body, `%s{"type":"identify","messageId":"%s","userId":"%s","traits":{"name":"%s"},"x":"%s"}`, ","[:min(i, 1)], id, id, id, id)
				}
				body.WriteString(`]}`)
				if w := ask(s, "POST", "/v1/batch", strings.NewReader(body.String())); w.Code != http.StatusOK {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	senders.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d messages changed while the node had them", n)
	}
	if used := s.inFlight.used.Load(); used != 0 {
		t.Errorf("%d bytes are still in flight", used)
	}
}

// TestDecodingTakesTurns: decoding a body or stream gives up its turn after turnMessages messages.
func TestDecodingTakesTurns(t *testing.T) {
	turns, open := 0, 0
	s := newTestServer(t, &Node{}, func(c *Config) {
		c.Turn = func(context.Context) func() {
			turns, open = turns+1, open+1
			return func() { open-- }
		}
	})
	one := strings.TrimSpace(oneTrack)
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/v1/batch", `{"batch":[` + strings.Repeat(one+",", 4*turnMessages) + one + `]}`, 5},
		{"/v1/batch", `{"batch":[` + strings.Repeat(one+",", 4*turnMessages), 5},
		{"/v1/events", strings.Repeat(one+"\n", 4*turnMessages), 4},
	} {
		turns = 0
		ask(s, "POST", c.path, strings.NewReader(c.body))
		if turns != c.want || open != 0 {
			t.Errorf("%s: %d turns, want %d; %d have not ended", c.path, turns, c.want, open)
		}
	}
}

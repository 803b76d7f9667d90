package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
)

func stopWebhooks(t *testing.T, s *Server) {
	t.Helper()
	if err := s.StopWebhooks(context.Background()); err != nil {
		t.Error(err)
	}
}

// notShownAgain checks that the secret of an existing webhook is not in an answer.
func notShownAgain(t *testing.T, s *Server, url string) {
	t.Helper()
	if w := ask(s, "PUT", "/v1/webhooks/crm", text(`{"segment":"VIP","url":"`+url+`"}`)); w.Code != 200 || strings.Contains(w.Body.String(), "whsec_") {
		t.Errorf("a secret was shown again: %d %s", w.Code, w.Body)
	}
}

// TestWebhooks: from PUT to the target, with a replay; a private address is refused unless allowed.
func TestWebhooks(t *testing.T) {
	got := make(chan string, 100)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("webhook-id") + " " + string(body)
	}))
	defer target.Close()
	f := newFakeLive(t, 1, nil)
	for _, allow := range []bool{true, false} {
		s, _ := newLiveServer(t, f, func(c *Config) { c.PrivateWebhooks = allow })
		if err := s.StartWebhooks(nil, nil); err != nil {
			t.Fatal(err)
		}
		defer stopWebhooks(t, s)
		w := ask(s, "PUT", "/v1/webhooks/crm", text(`{"segment":"VIP","url":"`+target.URL+`","fields":["email"]}`))
		var hook api.Webhook
		if err := json.Unmarshal(w.Body.Bytes(), &hook); err != nil || !strings.HasPrefix(hook.Secret, "whsec_") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		status := func(until func(api.Webhook) bool) (st api.Webhook) {
			t.Helper()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for end := time.Now().Add(20 * time.Second); ; <-tick.C {
				st = api.Webhook{}
				if err := json.Unmarshal(ask(s, "GET", "/v1/webhooks/crm", nil).Body.Bytes(), &st); err != nil || time.Now().After(end) {
					t.Fatalf("%+v %v", st, err)
				}
				if until(st) {
					return st
				}
			}
		}
		status(func(st api.Webhook) bool { return st.Cursor != "" }) // it has begun
		f.flip(0, 1)
		if !allow {
			st := status(func(st api.Webhook) bool { return st.Failed > 0 })
			if !strings.Contains(st.LastError, "--private-webhooks") || st.Secret != "" {
				t.Errorf("%+v", st)
			}
			continue
		}
		first := <-got
		if !strings.HasPrefix(first, `msg-0-1-0 {"type":"segment.entered"`) || !strings.Contains(first, `"fields":{"email":"email of u0-1"}`) {
			t.Errorf("got %s", first)
		}
		var after struct{ Data struct{ Cursor string } }
		_, body, _ := strings.Cut(first, " ")
		if err := json.Unmarshal([]byte(body), &after); err != nil {
			t.Fatal(err)
		}
		f.flip(0, 2)
		second := <-got
		status(func(st api.Webhook) bool { return st.Pending == 0 })
		if w := ask(s, "GET", "/v1/webhooks/crm/deliveries", nil); !strings.Contains(w.Body.String(), `"status":200`) {
			t.Errorf("%s", w.Body)
		}
		if w := ask(s, "POST", "/v1/webhooks/crm/replay", text(`{"from":"`+after.Data.Cursor+`"}`)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if again := <-got; again != second {
			t.Errorf("replayed %s, want %s", again, second)
		}
		notShownAgain(t, s, target.URL)
		problemOf(t, ask(s, "PUT", "/v1/webhooks/x", text(`{"segment":"VIP","url":"ftp://x"}`)), 422, "refused")
		problemOf(t, ask(s, "PUT", "/v1/webhooks/x", text(`{"segment":"none","url":"https://x.example"}`)), 404, "no_segment")
		ask(s, "DELETE", "/v1/webhooks/crm", nil)
		problemOf(t, ask(s, "GET", "/v1/webhooks/crm", nil), 404, "no_webhook")
	}
}

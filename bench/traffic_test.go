package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
)

// fakeNode remembers messageIds and is busy now and then.
type fakeNode struct {
	mu       sync.Mutex
	seen     map[string]bool
	requests int
	faults   []string
}

type tracked struct {
	MessageID  string
	UserID     string
	Event      string
	Timestamp  json.RawMessage
	Properties map[string]any
}

// isFresh reports whether the time of sending is valid and current.
func (m *tracked) isFresh() bool {
	var at time.Time
	if ms, err := strconv.ParseInt(string(m.Timestamp), 10, 64); err == nil {
		at = time.UnixMilli(ms)
	} else if err := json.Unmarshal(m.Timestamp, &at); err != nil {
		return false
	}
	return time.Since(at).Abs() < time.Minute
}

func (k *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests++
	var messages []tracked
	switch r.URL.Path {
	case "/v1/batch":
		var batch struct{ Batch []tracked }
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
			k.faults = append(k.faults, err.Error())
		}
		messages = batch.Batch
	case "/v1/events":
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			var m tracked
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				k.faults = append(k.faults, err.Error())
			}
			messages = append(messages, m)
		}
	}
	if k.requests%5 == 1 { // stored, but the sender gets an error; this includes the first request, so it happens on slow machines too
		k.take(messages)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	k.take(messages)
	io.WriteString(w, `{"success":true}`)
}

func (k *fakeNode) take(messages []tracked) {
	for _, m := range messages {
		if len(m.MessageID) != 36 || m.UserID == "" || m.Event == "" || len(m.Properties) != 4 || !m.isFresh() {
			k.faults = append(k.faults, fmt.Sprintf("%+v", m))
		}
		k.seen[m.MessageID] = true
	}
}

// TestSendIsExact checks that what is reported as acknowledged is what the server has, over both paths, also
// when it was busy.
func TestSendIsExact(t *testing.T) {
	for _, segment := range []bool{false, true} {
		k := &fakeNode{seen: map[string]bool{}}
		server := httptest.NewServer(k)
		sent, err := Send(t.Context(), &api.Client{BaseURL: server.URL}, TrafficConfig{Segment: segment, Batch: 20, Senders: 3, Duration: 100 * time.Millisecond, Seed: 3})
		server.Close()
		if err != nil {
			t.Fatal(err)
		}
		if sent.Events == 0 || int(sent.Events) != len(k.seen) || len(sent.Requests)*20 != int(sent.Events) {
			t.Errorf("segment %t: %d events acknowledged in %d requests, the server has %d", segment, sent.Events, len(sent.Requests), len(k.seen))
		}
		if sent.Busy == 0 {
			t.Errorf("segment %t: the server was never busy", segment)
		}
		if len(k.faults) > 0 {
			t.Errorf("segment %t: %d faults, the first: %s", segment, len(k.faults), k.faults[0])
		}
	}
}

// TestSendKeepsTheRate allows less than the rate, on a slow machine, but never more.
func TestSendKeepsTheRate(t *testing.T) {
	k := &fakeNode{seen: map[string]bool{}}
	server := httptest.NewServer(k)
	defer server.Close()
	sent, err := Send(t.Context(), &api.Client{BaseURL: server.URL}, TrafficConfig{Batch: 10, Senders: 2, Rate: 1000, Duration: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if sent.Events < 20 || sent.Events > 320 {
		t.Errorf("%d events in 0.3 s at 1,000 a second", sent.Events)
	}
}

func TestRefusalsEndTheTraffic(t *testing.T) {
	for _, answer := range []struct {
		status int
		body   string
	}{{http.StatusOK, `{"rejected":1}`}, {http.StatusBadRequest, "no"}, {http.StatusOK, "no JSON"}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(answer.status)
			io.WriteString(w, answer.body)
		}))
		if _, err := Send(t.Context(), &api.Client{BaseURL: server.URL}, TrafficConfig{Duration: time.Minute}); err == nil {
			t.Errorf("%d %s was no error", answer.status, answer.body)
		}
		server.Close()
	}
}

func TestQuantile(t *testing.T) {
	numbers := sorted([]float64{3, 1}, []float64{2, 4})
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := quantile(numbers, q); got != want {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 {
		t.Error("the quantile of no numbers is not 0")
	}
}

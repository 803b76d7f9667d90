package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/streamcheck"
	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/server"
)

// liveNode is a node and its server. The node can be restarted while the address stays the same.
type liveNode struct {
	t      *testing.T
	config nodeConfig
	served *httptest.Server
	server atomic.Pointer[server.Server]
	close  func() error
	api    *api.Client
}

func newLiveNode(t *testing.T) *liveNode {
	c := testConfig(t.TempDir())
	c.Shards = 3
	c.Tune = func(cc *cluster.Config) { cc.TickEvery, cc.SnapshotBytes = 20*time.Millisecond, 20<<10 }
	n := &liveNode{t: t, config: c}
	n.open()
	n.served = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.server.Load().ServeHTTP(w, r) }))
	n.api = &api.Client{BaseURL: n.served.URL}
	t.Cleanup(func() {
		n.served.CloseClientConnections()
		n.stop()
		n.served.Close()
	})
	return n
}

func (n *liveNode) open() {
	n.t.Helper()
	node, changes, err := openNode(context.WithoutCancel(n.t.Context()), n.config)
	if err != nil {
		n.t.Fatal(err)
	}
	s, err := server.New(server.Config{Heartbeat: 50 * time.Millisecond})
	if err != nil {
		n.t.Fatal(err)
	}
	s.Attach(serverNode(node))
	s.AttachLive(changes)
	n.close = node.Close
	n.server.Store(s)
}

func (n *liveNode) stop() {
	if err := n.close(); err != nil {
		n.t.Errorf("close node: %v", err)
	}
}

// query runs a statement and returns the first column of its rows, sorted.
func (n *liveNode) query(text string) (rows []string) {
	n.t.Helper()
	got, err := n.api.Query(n.t.Context(), api.QueryRequest{Query: text})
	if err != nil {
		n.t.Fatalf("%s: %v", text, err)
	}
	for _, row := range got.Rows {
		rows = append(rows, fmt.Sprint(row[0]))
	}
	slices.Sort(rows)
	return rows
}

func (n *liveNode) send(messages ...string) {
	n.t.Helper()
	raw := make([]json.RawMessage, len(messages))
	for i, m := range messages {
		raw[i] = json.RawMessage(m)
	}
	if _, err := n.api.Batch(n.t.Context(), raw); err != nil {
		n.t.Fatal(err)
	}
}

// TestLiveThroughRestarts watches several segments while messages arrive, identities merge, segments are
// replaced, time passes and the node is restarted. No change may be missing or come twice, and at the end the
// stream and the member list must agree.
func TestLiveThroughRestarts(t *testing.T) {
	n := newLiveNode(t)
	segments := map[string]string{
		"Buyers":  `did "Order" in last 2 seconds`,
		"Often":   `did "Order" at least 3 times`,
		"Pro":     `plan = "pro"`,
		"Nested":  `in segment "Often" and not in segment "Pro"`,
		"Dropped": `did "View" then not "Order" within 1 second`,
	}
	n.send(`{"type":"track","userId":"u0","event":"Order","messageId":"first","properties":{"amount":1}}`,
		`{"type":"track","userId":"u0","event":"View","messageId":"second"}`,
		`{"type":"identify","userId":"u0","messageId":"third","traits":{"plan":"free"}}`)
	for _, name := range []string{"Buyers", "Often", "Pro", "Nested", "Dropped"} {
		n.query(fmt.Sprintf("create segment %q as %s", name, segments[name]))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	watchers := map[string]*liveWatcher{}
	for name := range segments {
		w := &liveWatcher{done: make(chan error, 1)}
		watchers[name] = w
		go func() { w.done <- w.watch(ctx, n.api, name) }()
	}
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	for round := range 3 {
		for i := range 60 {
			n.send(randomMessages(r, fmt.Sprint(round, "-", i))...)
			if r.IntN(20) == 0 {
				n.query(fmt.Sprintf(`create or replace segment "Often" as did "Order" at least %d times`, 2+r.IntN(3)))
			}
		}
		n.served.CloseClientConnections()
		n.stop()
		n.open()
	}
	wanted := n.settled(slices.Collect(maps.Keys(segments)))
	for name, w := range watchers {
		want := wanted[name]
		w.want.Store(&want)
		if err := <-w.done; !errors.Is(err, errCaughtUp) {
			t.Errorf("seed %d: %s: %v; the stream has %d members, want %d", seed, name, err, w.checker.Size(), len(want))
		}
		if err := streamcheck.Error(w.checker.End(want)); err != nil {
			t.Errorf("seed %d: %s: %v", seed, name, err)
		}
		t.Logf("%s: %d members, %d enters, %d exits", name, len(want), w.checker.Enters, w.checker.Exits)
	}
}

func randomMessages(r *rand.Rand, id string) (all []string) {
	for i := range 1 + r.IntN(20) {
		who := fmt.Sprintf(`"userId":"u%d"`, r.IntN(60))
		switch r.IntN(4) {
		case 0:
			who = fmt.Sprintf(`"anonymousId":"a%d"`, r.IntN(60))
		case 1:
			k := r.IntN(60)
			who = fmt.Sprintf(`"userId":"u%d","anonymousId":"a%d"`, k, k)
		}
		what := []string{`"type":"track","event":"Order","properties":{"amount":5}`, `"type":"track","event":"View"`,
			`"type":"identify","traits":{"plan":"pro"}`, `"type":"identify","traits":{"plan":"free"}`}[r.IntN(4)]
		all = append(all, fmt.Sprintf(`{%s,%s,"messageId":"m%s-%d"}`, what, who, id, i))
	}
	return all
}

// settled returns the members of segments once the passing of time no longer changes them.
func (n *liveNode) settled(names []string) map[string][]string {
	n.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for last, since := "", time.Now(); ; <-tick.C {
		found := map[string][]string{}
		for _, name := range names {
			found[name] = n.members(name)
		}
		if now := fmt.Sprint(found); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > 3*time.Second { // longer than any window of the segments
			return found
		}
	}
}

func (n *liveNode) members(name string) (ids []string) {
	n.t.Helper()
	for after := ""; ; {
		page, err := n.api.Members(n.t.Context(), name, after, 1000)
		if err != nil {
			n.t.Fatal(err)
		}
		ids = append(ids, page.Members...)
		if after = page.Next; after == "" {
			slices.Sort(ids)
			return ids
		}
	}
}

// liveWatcher watches one segment. Once want is set it stops at the next checkpoint.
type liveWatcher struct {
	checker streamcheck.Checker
	want    atomic.Pointer[[]string]
	done    chan error
}

var errCaughtUp = errors.New("caught up")

func (w *liveWatcher) watch(ctx context.Context, client *api.Client, segment string) error {
	return client.Watch(ctx, api.WatchOptions{Segment: segment, From: "snapshot"}, func(m *api.StreamMessage) error {
		w.checker.Take(m)
		if want := w.want.Load(); want != nil && m.Op == "checkpoint" {
			return errCaughtUp
		}
		return nil
	})
}

// request sends a request and returns the problem in the answer, or nil.
func (n *liveNode) request(method, path, body string) error {
	r, err := http.NewRequestWithContext(n.t.Context(), method, n.served.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode < 400 {
		return nil
	}
	p := &api.Problem{}
	if err := json.NewDecoder(answer.Body).Decode(p); err != nil {
		return err
	}
	return p
}

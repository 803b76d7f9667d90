package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// StallConfig says how many clients read nothing of what they are sent.
type StallConfig struct {
	LiveConfig
	Sockets  int           // 1,000 by default
	Duration time.Duration // how long they stall; 60 s by default: the node gives up a write after 30 s
	Before   time.Duration // how long ingest is measured before; 20 s by default
}

// Validate reports all faults and sets the defaults.
func (c *StallConfig) Validate() error {
	if c.Sockets == 0 {
		c.Sockets = 1000
	}
	if c.Duration == 0 {
		c.Duration = time.Minute
	}
	if c.Before == 0 {
		c.Before = 20 * time.Second
	}
	if c.Rate == 0 {
		c.Rate = 5000
	}
	if c.Segments == 0 {
		c.Segments = 20
	}
	c.Args = append(c.Args, "--private-webhooks") // the stalled target is on this machine
	return errors.Join(c.prepare()...)
}

// MeasureStalls opens sockets that never read and a webhook target that never answers. All follow a segment that
// a new profile enters with each request. It measures memory and ingest without and with them. Then all
// continue to read, and each is compared with the list of members.
func MeasureStalls(ctx context.Context, c StallConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.run(ctx, c.fill, c.stalls)
}

func (c *StallConfig) stalls(ctx context.Context, node *Node) ([]Figure, error) {
	if err := save(ctx, node, probeSegment, probeText, ""); err != nil {
		return nil, err
	}
	if _, err := c.define(ctx, node, 0, c.Segments); err != nil {
		return nil, err
	}
	cursor, err := cursorOf(ctx, node)
	if err != nil {
		return nil, err
	}
	alone, err := c.load(ctx, node, c.Before, 1)
	if err != nil {
		return nil, err
	}
	target := newStalledTarget()
	defer target.close()
	hook := fmt.Sprintf(`{"segment":%q,"url":%q}`, probeSegment, target.server.URL)
	if err := call(ctx, node, http.MethodPut, "/v1/webhooks/stalled", bytes.NewReader([]byte(hook))); err != nil {
		return nil, err
	}
	stalled, err := c.stall(ctx, node, cursor)
	defer func() {
		for _, s := range stalled {
			s.listener.stop()
		}
	}()
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, stallSettle); err != nil {
		return nil, err
	}
	opened, err := node.Resident()
	if err != nil {
		return nil, err
	}
	beside, err := c.load(ctx, node, c.Duration, 2)
	if err != nil {
		return nil, err
	}
	kernel := socketBytes()
	outcome, err := c.resume(ctx, node, stalled)
	if err != nil {
		return nil, err
	}
	delivered, status, err := target.resume(ctx, node, beside.probes)
	if err != nil {
		return nil, err
	}
	return append(c.figures(alone, beside, opened, kernel), append(outcome.figures(c.Sockets),
		Figure{Name: "stalled webhook: changes delivered after it answers again", Value: float64(delivered), Unit: "changes", More: true, Note: fmt.Sprintf("of %d; the node says %s", beside.probes, status)})...), nil
}

// stallSettle is how long the sockets are left to fill with what happened since the cursor: after that the
// node waits for each of them.
const stallSettle = 5 * time.Second

// stalledLoad is what was measured while events were sent.
type stalledLoad struct {
	p50, p99, rate float64
	most, last     int64 // resident bytes
	probes         int
	note           string
}

// load sends events and watches the node's memory.
func (c *StallConfig) load(ctx context.Context, node *Node, d time.Duration, seed uint64) (x stalledLoad, err error) {
	c.Log("%d events/s: %s", c.Rate, d)
	shop, err := c.shop()
	if err != nil {
		return x, err
	}
	used, err := node.processorTime()
	if err != nil {
		return x, err
	}
	watching, enough := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for wait(watching, 500*time.Millisecond) == nil {
			if now, err := node.Resident(); err == nil {
				x.most, x.last = max(x.most, now), now
			}
		}
	})
	sent, probes, err := sendLive(ctx, node, TrafficConfig{Batch: 100, Rate: c.Rate, Users: c.Users, Duration: d, Seed: seed}, shop, true)
	enough()
	watch.Wait()
	if err != nil {
		return x, err
	}
	after, err := node.processorTime()
	latencies := sent.Latencies(nil)
	x.p50, x.p99, x.rate, x.probes = quantile(latencies, 0.5), quantile(latencies, 0.99), sent.Rate(), len(probes)
	x.note = shared(sent.Elapsed.Seconds(), after-used, sent.Own)
	return x, err
}

// cursorOf returns the current cursor.
func cursorOf(ctx context.Context, node *Node) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, node.Client.BaseURL+"/v1/segments/"+probeSegment+"/changes?wait=0s", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var page struct{ Cursor string }
	err = json.NewDecoder(answer.Body).Decode(&page)
	return page.Cursor, err
}

// stall opens the sockets. They follow the segment from a cursor and read nothing.
func (c *StallConfig) stall(ctx context.Context, node *Node, cursor string) (all []*staller, err error) {
	c.Log("%d sockets that do not read", c.Sockets)
	for i := range c.Sockets {
		l, err := listen(ctx, node, true)
		if err != nil {
			return all, fmt.Errorf("socket %d: %w", i, err)
		}
		all = append(all, &staller{listener: l, cursor: cursor})
		if i < checkedStallers {
			all[i].check()
		}
		if err := l.subscribe("s", probeSegment, cursor); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (c *StallConfig) figures(alone, beside stalledLoad, opened, kernel int64) []Figure {
	return []Figure{
		{Name: "ingest p99 without stalled readers", Value: alone.p99, Unit: "ms", Note: fmt.Sprintf("p50 %.1f ms, %.0f events/s; %s", alone.p50, alone.rate, alone.note)},
		{Name: "ingest p99 with stalled readers", Value: beside.p99, Unit: "ms", Note: fmt.Sprintf("p50 %.1f ms, %.0f events/s; %s", beside.p50, beside.rate, beside.note)},
		{Name: "ingest p99 with ÷ without", Value: beside.p99 / max(alone.p99, 0.1), Unit: "×", Goal: 1.2, Note: fmt.Sprintf("%d sockets and a webhook target that take nothing", c.Sockets)},
		{Name: "resident memory without", Value: float64(alone.last), Unit: "B"},
		{Name: "resident memory when the sockets are open", Value: float64(opened), Unit: "B", Note: fmt.Sprintf("%s a socket", formatBytes((opened-alone.last)/int64(max(c.Sockets, 1))))},
		{Name: "resident memory with, most", Value: float64(beside.most), Unit: "B", Note: "the events sent meanwhile are in it"},
		{Name: "memory of all TCP buffers of the machine", Value: float64(kernel), Unit: "B", Note: "/proc/net/sockstat, while they stall"},
	}
}

// stalledTarget is a webhook target that does not answer until answer is called.
type stalledTarget struct {
	server    *httptest.Server
	answering chan struct{}
	once      sync.Once
	mu        struct {
		sync.Mutex
		entered map[string]bool
	}
	resyncs atomic.Int64
}

func newStalledTarget() *stalledTarget {
	t := &stalledTarget{answering: make(chan struct{})}
	t.mu.entered = map[string]bool{}
	t.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-t.answering:
		case <-r.Context().Done():
			return
		}
		var m struct {
			Type string
			Data struct{ Profile string }
		}
		if json.NewDecoder(r.Body).Decode(&m) != nil {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if m.Type == "segment.resync" {
			t.resyncs.Add(1)
		}
		t.mu.entered[m.Data.Profile] = true
	}))
	return t
}

func (t *stalledTarget) answer() { t.once.Do(func() { close(t.answering) }) }

func (t *stalledTarget) close() {
	t.answer()
	t.server.CloseClientConnections()
	t.server.Close()
}

// hookTimeout is how long to wait for the target's deliveries once it answers again: a failed delivery is
// retried after seconds, then after 5 minutes.
const hookTimeout = time.Minute

// resume lets the target answer. It returns how many changes it has received once it has all of them, or after
// hookTimeout, and the node's state of the webhook.
func (t *stalledTarget) resume(ctx context.Context, node *Node, want int) (delivered int, status string, err error) {
	t.answer()
	for give := time.Now().Add(hookTimeout); time.Now().Before(give) && delivered < want; {
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return 0, "", err
		}
		t.mu.Lock()
		delivered = len(t.mu.entered)
		t.mu.Unlock()
	}
	answer, err := http.Get(node.Client.BaseURL + "/v1/webhooks/stalled")
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	var state struct {
		Pending, Dead int
		Failed        int64
		Disabled      string
		LastError     string `json:"last_error"`
	}
	err = json.NewDecoder(answer.Body).Decode(&state)
	status = fmt.Sprintf("%d are pending, %d dead, %d tries failed, %q; %d resyncs", state.Pending, state.Dead, state.Failed, state.LastError, t.resyncs.Load())
	return delivered, status, err
}

// allMembers returns the members of the segment that all follow.
func allMembers(ctx context.Context, node *Node) ([]string, error) {
	var all []string
	for next := ""; ; {
		page, err := node.Client.Members(ctx, probeSegment, next, 10_000)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Members...)
		if next = page.Next; next == "" {
			slices.Sort(all)
			return all, nil
		}
	}
}

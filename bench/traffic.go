package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/api"
)

// TrafficConfig describes senders of live events. Each event has 4 properties, a UUID as its messageId and the
// time of sending; over Segment's path it has what the SDK for Node adds to every message. The bodies of all
// senders together cover many profiles.
type TrafficConfig struct {
	Segment  bool // Segment's POST /v1/batch instead of NDJSON to POST /v1/events
	Batch    int  // events per request; 500 by default
	Senders  int  // connections that send one request after another; 8 by default
	Users    int  // profiles of the events; 200,000 by default
	Rate     int  // events per second of all senders; as many as the node accepts by default
	Duration time.Duration
	Seed     uint64
}

// Validate reports all faults and sets the defaults.
func (c *TrafficConfig) Validate() error {
	var faults []error
	def := func(name string, v *int, d int) {
		if *v == 0 {
			*v = d
		}
		if *v < 0 {
			faults = append(faults, fmt.Errorf("%s %d: want 1 or more", name, *v))
		}
	}
	def("batch", &c.Batch, 500)
	def("senders", &c.Senders, 8)
	def("users", &c.Users, 200_000)
	if c.Rate < 0 {
		faults = append(faults, fmt.Errorf("rate %d: want 0 or more", c.Rate))
	}
	if c.Duration <= 0 {
		faults = append(faults, fmt.Errorf("duration %s: want more than 0", c.Duration))
	}
	return errors.Join(faults...)
}

// Sent is the result of the traffic.
type Sent struct {
	Events   int64 // acknowledged
	Elapsed  time.Duration
	Own      float64 // processor seconds of this process
	Busy     int64   // requests answered with 429 or 503 and sent again
	Requests []Request
	Last     []byte // the last acknowledged body
}

// Request is one acknowledged request. Due is when it was sent or, with a rate, when it should have been sent:
// waiting for a slow node counts.
type Request struct{ Due, Acked time.Time }

// Rate returns the acknowledged events per second.
func (s *Sent) Rate() float64 { return float64(s.Events) / s.Elapsed.Seconds() }

// Latencies returns the times to acknowledgement of the requests that keep accepts, ascending, in ms.
func (s *Sent) Latencies(keep func(Request) bool) []float64 {
	var all []float64
	for _, r := range s.Requests {
		if keep == nil || keep(r) {
			all = append(all, float64(r.Acked.Sub(r.Due).Nanoseconds())/1e6)
		}
	}
	slices.Sort(all)
	return all
}

// traffic is a run of senders.
type traffic struct {
	config TrafficConfig
	client *http.Client
	url    string
	next   atomic.Uint64 // the number of the next messageId
	start  time.Time

	mu struct {
		sync.Mutex
		sent Sent
	}
}

// Send sends live events to a node until the duration is over.
func Send(ctx context.Context, client *api.Client, c TrafficConfig) (*Sent, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	t := &traffic{config: c, url: client.BaseURL + "/v1/events",
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.Senders, DisableCompression: true}}}
	if c.Segment {
		t.url = client.BaseURL + "/v1/batch"
	}
	defer t.client.CloseIdleConnections()
	t.next.Store(c.Seed << 40)
	senderForms := make([]*bodyTemplates, c.Senders)
	for i := range senderForms {
		senderForms[i] = newBodyTemplates(c, uint64(i))
	}
	before, err := processorTimeOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	t.start = time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var senders sync.WaitGroup
	for i := range c.Senders {
		senders.Go(func() {
			if err := t.sender(ctx, i, senderForms[i]); err != nil {
				cancel(err)
			}
		})
	}
	senders.Wait()
	t.mu.sent.Elapsed = time.Since(t.start)
	after, err := processorTimeOf(os.Getpid())
	t.mu.sent.Own = after - before
	return &t.mu.sent, errors.Join(context.Cause(ctx), err)
}

// sender sends one body after another; with a rate it keeps to its share of it.
func (t *traffic) sender(ctx context.Context, number int, bodies *bodyTemplates) error {
	beat := time.Duration(0)
	if t.config.Rate > 0 {
		beat = time.Duration(float64(t.config.Batch) / float64(t.config.Rate) * float64(t.config.Senders) * float64(time.Second))
	}
	due := t.start.Add(beat * time.Duration(number) / time.Duration(t.config.Senders))
	for time.Since(t.start) < t.config.Duration && ctx.Err() == nil {
		if beat == 0 {
			due = time.Now()
		} else if wait := time.Until(due); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil
			}
		}
		body := bodies.next().fill(t.next.Add(uint64(t.config.Batch))-uint64(t.config.Batch), time.Now())
		if err := t.sendUntilAcked(ctx, body); err != nil {
			return err
		}
		acked := time.Now()
		t.mu.Lock()
		t.mu.sent.Events += int64(t.config.Batch)
		t.mu.sent.Requests = append(t.mu.sent.Requests, Request{due, acked})
		if acked.Sub(t.start) >= t.config.Duration || t.mu.sent.Last == nil {
			t.mu.sent.Last = bytes.Clone(body)
		}
		t.mu.Unlock()
		due = due.Add(beat)
	}
	return nil
}

// sendUntilAcked sends a body until it is acknowledged: if the node is busy it sends the same ids again soon.
func (t *traffic) sendUntilAcked(ctx context.Context, body []byte) error {
	for {
		status, answer, err := t.post(ctx, body)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
			t.mu.Lock()
			t.mu.sent.Busy++
			t.mu.Unlock()
			wait := time.NewTimer(20 * time.Millisecond)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
			}
			continue
		case status != http.StatusOK:
			return fmt.Errorf("send events: status %d: %s", status, answer[:min(len(answer), 300)])
		}
		var result api.IngestResult
		if err := json.Unmarshal(answer, &result); err != nil {
			return fmt.Errorf("send events: %w", err)
		}
		if result.Rejected > 0 {
			return fmt.Errorf("send events: %d were rejected: %s", result.Rejected, answer[:min(len(answer), 300)])
		}
		return nil
	}
}

func (t *traffic) post(ctx context.Context, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("send events: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if t.config.Segment {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := t.client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("send events: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/bench/gen"
	"github.com/musterdb/muster/bench/naming"
)

// liveTraffic sends more events of the shop's customers. If probes are enabled, each request ends with a probe:
// an event by which a new profile enters a segment, so that the change can be matched with its request.
type liveTraffic struct {
	traffic
	probe  bool
	probes atomic.Int64
	asked  struct {
		sync.Mutex
		all []probeRequest
	}
}

// probeRequest is one acknowledged request with the number of its probe.
type probeRequest struct {
	Request
	probe int64
}

// The segment that probes enter.
const (
	probeSegment = "Probe"
	probeText    = `did "Order Completed" where (category = "probe") in last 30 days`
	probeUser    = "probe-"
)

// sendLive sends until the duration is over or ctx ends, which is not an error.
func sendLive(ctx context.Context, node *Node, c TrafficConfig, shop *gen.Shop, probe bool) (*Sent, []probeRequest, error) {
	if err := c.Validate(); err != nil {
		return nil, nil, err
	}
	t := &liveTraffic{probe: probe}
	t.config, t.url = c, node.Client.BaseURL+"/v1/events"
	t.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c.Senders, DisableCompression: true}}
	defer t.client.CloseIdleConnections()
	t.next.Store(c.Seed << 40)
	t.probes.Store(int64(c.Seed << 32))
	bodies := shopBodies(c, shop)
	before, err := processorTimeOf(os.Getpid())
	if err != nil {
		return nil, nil, err
	}
	t.start = time.Now()
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var senders sync.WaitGroup
	for i := range c.Senders {
		senders.Go(func() {
			if err := t.run(inner, i, bodies[i]); err != nil {
				cancel(err)
			}
		})
	}
	senders.Wait()
	sent := &t.mu.sent
	sent.Elapsed = time.Since(t.start)
	after, err := processorTimeOf(os.Getpid())
	sent.Own = after - before
	if cause := context.Cause(inner); cause != nil && ctx.Err() == nil {
		err = errors.Join(err, cause)
	}
	for _, a := range t.asked.all {
		sent.Requests = append(sent.Requests, a.Request)
	}
	return sent, t.asked.all, err
}

// run sends one request after another; with a rate it keeps to its share of it.
func (t *liveTraffic) run(ctx context.Context, number int, bodies *bodyTemplates) error {
	beat := time.Duration(0)
	if t.config.Rate > 0 {
		beat = time.Duration(float64(t.config.Batch) / float64(t.config.Rate) * float64(t.config.Senders) * float64(time.Second))
	}
	due := t.start.Add(beat * time.Duration(number) / time.Duration(t.config.Senders))
	var buf []byte
	for time.Since(t.start) < t.config.Duration && ctx.Err() == nil {
		if beat == 0 {
			due = time.Now()
		} else if pause := time.Until(due); pause > 0 && wait(ctx, pause) != nil {
			return nil
		}
		now := time.Now()
		body := bodies.next().fill(t.next.Add(uint64(t.config.Batch))-uint64(t.config.Batch), now)
		n, events := int64(0), int64(t.config.Batch)
		if t.probe {
			n = t.probes.Add(1)
			events++
			buf = append(buf[:0], body...)
			buf = fmt.Appendf(buf, `{"type":"track","messageId":"probe-%d","userId":"%s%d","event":"Order Completed","timestamp":%d,"properties":{"category":"probe"}}`+"\n", n, probeUser, n, now.UnixMilli())
			body = buf
		}
		if err := t.sendUntilAcked(ctx, body); err != nil || ctx.Err() != nil {
			return err
		}
		acked := time.Now()
		t.asked.Lock()
		t.asked.all = append(t.asked.all, probeRequest{Request{due, acked}, n})
		t.mu.sent.Events += events
		t.asked.Unlock()
		due = due.Add(beat)
	}
	return nil
}

// shopBodies renders bodies for all senders from the shop's events, as far as there are any.
func shopBodies(c TrafficConfig, shop *gen.Shop) []*bodyTemplates {
	all := make([]*bodyTemplates, c.Senders)
	for i := range all {
		all[i] = &bodyTemplates{}
	}
	f := &bodyTemplate{}
	sender := 0
	for e := range shop.Events() {
		f.body = append(f.body, `{"type":"track","messageId":"`...)
		f.ids = append(f.ids, len(f.body))
		f.body = fmt.Appendf(f.body, `00000000-0000-0000-8000-%012x","userId":"`, e.Time&0xffffffffffff)
		f.body = naming.AppendPerson(f.body, e.User)
		f.body = fmt.Appendf(f.body, `","event":"%s","timestamp":`, e.Name)
		f.time()
		if e.Category != "" {
			f.body = fmt.Appendf(f.body, `,"properties":{"amount":%d.%02d,"category":"%s"}`, e.AmountCents/100, e.AmountCents%100, e.Category)
		}
		f.body = append(f.body, "}\n"...)
		if len(f.ids) < c.Batch {
			continue
		}
		all[sender].all = append(all[sender].all, f)
		f, sender = &bodyTemplate{}, (sender+1)%c.Senders
		if sender == 0 && len(all[0].all)*c.Senders*c.Batch >= renderedEvents {
			break
		}
	}
	return all
}

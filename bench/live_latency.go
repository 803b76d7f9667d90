package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// LatencyConfig says how the time from an event to the change it causes is measured.
type LatencyConfig struct {
	LiveConfig
	Duration time.Duration // 60 s by default
}

// Validate reports all faults and sets the defaults.
func (c *LatencyConfig) Validate() error {
	if c.Duration == 0 {
		c.Duration = time.Minute
	}
	if c.Rate == 0 {
		c.Rate = 10_000
	}
	return errors.Join(c.prepare()...)
}

// MeasureLatency sends events at a fixed rate with live segments that are all followed. It measures from the
// HTTP answer to a request until a WebSocket has received the change that the request caused.
func MeasureLatency(ctx context.Context, c LatencyConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.run(ctx, c.fill, c.latency)
}

// latencyWarm is how long events are sent before the measurement.
const latencyWarm = 3 * time.Second

func (c *LatencyConfig) latency(ctx context.Context, node *Node) ([]Figure, error) {
	if err := save(ctx, node, probeSegment, probeText, ""); err != nil {
		return nil, err
	}
	if _, err := c.define(ctx, node, 0, c.Segments); err != nil {
		return nil, err
	}
	shop, err := c.shop()
	if err != nil {
		return nil, err
	}
	followers, err := c.listenToAll(ctx, node)
	if err != nil {
		return nil, err
	}
	defer followers.stop()
	traffic := TrafficConfig{Batch: 100, Rate: c.Rate, Users: c.Users, Duration: latencyWarm, Seed: 1}
	if _, _, err := sendLive(ctx, node, traffic, shop, true); err != nil {
		return nil, err
	}
	c.Log("%d events/s beside %d live segments: %s", c.Rate, c.Segments, c.Duration)
	traffic.Duration, traffic.Seed = c.Duration, 2
	others := followers.others.Load()
	used, err := node.processorTime()
	if err != nil {
		return nil, err
	}
	sent, probes, err := sendLive(ctx, node, traffic, shop, true)
	if err != nil {
		return nil, err
	}
	usedAfter, err := node.processorTime()
	if err != nil {
		return nil, err
	}
	seconds := sent.Elapsed.Seconds()
	note := shared(seconds, usedAfter-used, sent.Own)
	others = followers.others.Load() - others
	heard, err := followers.probesOf(ctx, probes)
	if err != nil {
		return nil, err
	}
	return c.figures(sent, probes, heard, float64(others)/seconds, note), nil
}

// figures returns the latencies. A change may arrive before the answer to its request: that counts as 0.
func (c *LatencyConfig) figures(sent *Sent, probes []probeRequest, heard map[int64]time.Time, others float64, note string) []Figure {
	var fromAck, fromDue []float64
	for _, p := range probes {
		fromAck = append(fromAck, max(0, millis(heard[p.probe].Sub(p.Acked))))
		fromDue = append(fromDue, millis(heard[p.probe].Sub(p.Due)))
	}
	slices.Sort(fromAck)
	slices.Sort(fromDue)
	acks := sent.Latencies(nil)
	of := fmt.Sprintf("%d requests of 101 events, %.0f events/s, %d live segments, all followed", len(probes), sent.Rate(), c.Segments)
	return []Figure{
		{Name: "acknowledgement → WebSocket, p50", Value: quantile(fromAck, 0.5), Unit: "ms", Goal: 5, Note: of},
		{Name: "acknowledgement → WebSocket, p99", Value: quantile(fromAck, 0.99), Unit: "ms", Goal: 25, Note: note},
		{Name: "acknowledgement → WebSocket, max", Value: quantile(fromAck, 1), Unit: "ms"},
		{Name: "time of sending → WebSocket, p50", Value: quantile(fromDue, 0.5), Unit: "ms", Note: "from when the request was due"},
		{Name: "time of sending → WebSocket, p99", Value: quantile(fromDue, 0.99), Unit: "ms"},
		{Name: "time of sending → WebSocket, max", Value: quantile(fromDue, 1), Unit: "ms"},
		{Name: "time of sending → acknowledgement, p50", Value: quantile(acks, 0.5), Unit: "ms"},
		{Name: "time of sending → acknowledgement, p99", Value: quantile(acks, 0.99), Unit: "ms"},
		{Name: "changes of the other segments heard meanwhile", Value: others, Unit: "changes/s", More: true},
	}
}

// followers are listeners that follow the probes on one connection and all other segments on others.
type followers struct {
	listeners []*listener
	running   sync.WaitGroup
	others    atomic.Int64
	mu        struct {
		sync.Mutex
		probes map[int64]time.Time
	}
}

func (c *LatencyConfig) listenToAll(ctx context.Context, node *Node) (*followers, error) {
	e := &followers{}
	e.mu.probes = map[int64]time.Time{}
	var names []string
	for i := range c.Segments {
		names = append(names, segmentName(i))
	}
	groups := append([][]string{{probeSegment}}, slices.Collect(slices.Chunk(names, 50))...)
	for i, names := range groups {
		l, err := listen(ctx, node, false, names...)
		if err == nil {
			e.listeners = append(e.listeners, l)
			err = l.begun(ctx)
		}
		if err != nil {
			e.stop()
			return nil, err
		}
		e.running.Go(func() {
			_ = l.run(func(h heardChange) error { // returns an error when it is stopped; missing changes are found later
				if i > 0 {
					e.others.Add(1)
					return nil
				}
				if number, err := strconv.ParseInt(strings.TrimPrefix(string(h.profile), probeUser), 10, 64); err == nil && h.enter {
					e.mu.Lock()
					e.mu.probes[number] = h.received
					e.mu.Unlock()
				}
				return nil
			})
		})
	}
	return e, nil
}

// changesTimeout is how long changes may take after the last event.
const changesTimeout = 30 * time.Second

// probesOf waits for the changes of all requests and returns when they arrived.
func (e *followers) probesOf(ctx context.Context, probes []probeRequest) (map[int64]time.Time, error) {
	for give := time.Now().Add(changesTimeout); ; {
		heard, missing := map[int64]time.Time{}, 0
		e.mu.Lock()
		for _, p := range probes {
			if at, ok := e.mu.probes[p.probe]; ok {
				heard[p.probe] = at
			} else {
				missing++
			}
		}
		e.mu.Unlock()
		if missing == 0 {
			return heard, nil
		}
		if time.Now().After(give) {
			return nil, fmt.Errorf("%d of %d changes did not come", missing, len(probes))
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (e *followers) stop() {
	for _, l := range e.listeners {
		l.stop()
	}
	e.running.Wait()
}

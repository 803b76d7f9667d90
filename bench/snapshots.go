package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// MeasureSnapshots drives a node at half of what it takes, long enough for snapshots by log bytes, and
// compares the requests that met one with the others. Then it changes few profiles, and looks how much of
// a snapshot is written anew.
func MeasureSnapshots(ctx context.Context, c LoadConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.run(ctx, c.snapshots, c.littleChange)
}

func (c *LoadConfig) snapshots(ctx context.Context, node *Node) ([]Figure, error) {
	full := c.Traffic
	full.Duration, full.Rate, full.Seed = 2*c.Warm, 0, 1
	most, err := Send(ctx, node.Client, full)
	if err != nil {
		return nil, err
	}
	half := c.Traffic
	half.Duration, half.Rate, half.Seed = c.Snapshot, max(int(most.Rate()/2), 1), 2
	c.Log("snapshots: %s at %d events/s", half.Duration, half.Rate)
	before, err := node.Written()
	if err != nil {
		return nil, err
	}
	sent, taken, err := c.untilSnapshots(ctx, node, half)
	if err != nil {
		return nil, err
	}
	after, err := node.Written()
	if err != nil {
		return nil, err
	}
	if err := trafficAudit(node, most.Events+sent.Events).Run(ctx); err != nil {
		return nil, err
	}
	meets := func(r Request) bool {
		for _, s := range taken {
			if s.has(r.Due, r.Acked) {
				return true
			}
		}
		return false
	}
	during := sent.Latencies(meets)
	quiet := sent.Latencies(func(r Request) bool { return !meets(r) })
	if len(during) == 0 || len(quiet) == 0 {
		return nil, fmt.Errorf("%d requests met one of %d snapshots in %s, %d met none: nothing to compare, drive the node longer", len(during), len(taken), half.Duration, len(quiet))
	}
	return []Figure{
		{Name: "ingest at half rate, p99 beside snapshots", Value: quantile(during, 0.99), Unit: "ms", Note: fmt.Sprintf("%d requests met one of %d snapshots; p50 %s ms", len(during), len(taken), formatNumber(quantile(during, 0.5)))},
		{Name: "ingest at half rate, p99 without", Value: quantile(quiet, 0.99), Unit: "ms", Note: fmt.Sprintf("%d requests; p50 %s ms", len(quiet), formatNumber(quantile(quiet, 0.5)))},
		{Name: "bytes written an event, snapshots included", Value: float64(after-before) / float64(sent.Events), Unit: "B"},
		{Name: "ingest p99 with a snapshot ÷ without", Value: quantile(during, 0.99) / max(quantile(quiet, 0.99), 0.1), Unit: "×", Goal: 2},
	}, nil
}

// The node is driven until it has taken fewestSnapshots, one a shard, but not longer than for
// longestDrives of the time asked for.
const (
	fewestSnapshots = 8
	longestDrives   = 5
)

// untilSnapshots sends traffic, again if need be: a slow machine takes long to fill the logs.
func (c *LoadConfig) untilSnapshots(ctx context.Context, node *Node, traffic TrafficConfig) (all *Sent, taken []Snapshot, err error) {
	all = &Sent{}
	for drive := 1; drive <= longestDrives; drive++ {
		sent, err := Send(ctx, node.Client, traffic)
		if err != nil {
			return nil, nil, err
		}
		all.Events += sent.Events
		all.Requests = append(all.Requests, sent.Requests...)
		if taken, err = node.Snapshots(); err != nil || len(taken) >= fewestSnapshots {
			return all, taken, err
		}
		c.Log("snapshots: %d so far, at least %d are wanted", len(taken), fewestSnapshots)
		traffic.Seed++
	}
	return all, taken, nil
}

// Few profiles are changed by so many events that a node that has fallen quiet takes a snapshot of them.
const (
	fewProfiles = 1000
	fewEvents   = 500_000

	quietBegin  = 20 * time.Second // a quiet node has begun with its snapshots
	quietAfter  = 6 * time.Second  // without a snapshot: there is none to come
	quietAtMost = 90 * time.Second
	quietLook   = 500 * time.Millisecond
)

// littleChange compares what the snapshots of a node that is quiet write with what they hold: first all
// that has come so far, then the events of few profiles.
func (c *LoadConfig) littleChange(ctx context.Context, node *Node) ([]Figure, error) {
	c.Log("snapshots: waiting for those of a quiet node")
	if _, err := c.quietSnapshots(ctx, node, 0); err != nil {
		return nil, err
	}
	before, err := node.Snapshots()
	if err != nil {
		return nil, err
	}
	few := c.Traffic
	few.Users, few.Seed, few.Rate, few.Duration = fewProfiles, 1<<10, 0, time.Second
	sent := int64(0)
	c.Log("snapshots: %d events of %d profiles, and again", fewEvents, fewProfiles)
	for sent < fewEvents {
		more, err := Send(ctx, node.Client, few)
		if err != nil {
			return nil, err
		}
		sent += more.Events
		few.Seed++
	}
	all, err := c.quietSnapshots(ctx, node, len(before)+1)
	if err != nil {
		return nil, err
	}
	if len(all) == len(before) {
		return nil, fmt.Errorf("the node took no snapshot of %d events within %s", sent, quietAtMost)
	}
	var fresh, whole int64
	for _, s := range all[len(before):] {
		fresh, whole = fresh+s.Fresh, whole+s.Bytes
	}
	return []Figure{
		{Name: "a snapshot after events of few profiles: written anew", Value: 100 * float64(fresh) / float64(whole), Unit: "%",
			Note: fmt.Sprintf("%s of %s; %d events of %d profiles", formatBytes(fresh), formatBytes(whole), sent, fewProfiles)},
		{Name: "a snapshot after events of few profiles: written an event", Value: float64(fresh) / float64(sent), Unit: "B"},
	}, nil
}

// quietSnapshots waits until the node has taken so many snapshots and takes no more.
func (c *LoadConfig) quietSnapshots(ctx context.Context, node *Node, fewest int) (taken []Snapshot, err error) {
	look := time.NewTicker(quietLook)
	defer look.Stop()
	started, last := time.Now(), time.Now()
	for {
		before := len(taken)
		if taken, err = node.Snapshots(); err != nil {
			return nil, err
		}
		if len(taken) > before {
			last = time.Now()
		}
		if time.Since(started) > quietAtMost ||
			time.Since(started) > quietBegin && time.Since(last) > quietAfter && len(taken) >= fewest {
			return taken, nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Snapshot is one that a node has taken.
type Snapshot struct {
	Span
	Bytes int64 // of the whole
	Fresh int64 // of the pages that were not there already
}

// Snapshots returns the snapshots the node has taken, as its log tells them.
func (n *Node) Snapshots() ([]Snapshot, error) {
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		return nil, fmt.Errorf("read the node's log: %w", err)
	}
	return readSnapshots(string(text))
}

// readSnapshots reads a node's log: what a snapshot writes is told before that it is taken.
func readSnapshots(log string) (all []Snapshot, err error) {
	written := map[string]Snapshot{} // by group
	for line := range strings.Lines(log) {
		takes := strings.Contains(line, `msg="snapshot taken"`)
		if !takes && !strings.Contains(line, `msg="snapshot written"`) {
			continue
		}
		fields := map[string]string{}
		for field := range strings.FieldsSeq(line) {
			key, value, _ := strings.Cut(field, "=")
			fields[key] = value
		}
		s := written[fields["group"]]
		if !takes {
			s.Bytes, err = strconv.ParseInt(fields["bytes"], 10, 64)
			if err == nil {
				s.Fresh, err = strconv.ParseInt(fields["new_bytes"], 10, 64)
			}
			written[fields["group"]] = s
		} else if s.To, err = time.Parse(time.RFC3339Nano, fields["time"]); err == nil {
			var elapsed time.Duration
			elapsed, err = time.ParseDuration(fields["elapsed"])
			s.From = s.To.Add(-elapsed)
			all = append(all, s)
		}
		if err != nil {
			return nil, fmt.Errorf("read the node's log: %w", err)
		}
	}
	return all, nil
}

// Span is a stretch of time.
type Span struct{ From, To time.Time }

// has tells whether a request that began at from and ended at to met the span.
func (s Span) has(from, to time.Time) bool { return !to.Before(s.From) && !from.After(s.To) }

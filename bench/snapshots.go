package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// MeasureSnapshots loads a node at half its maximum rate, long enough for snapshots triggered by log bytes, and
// compares the requests during a snapshot with the others. Then it changes few profiles, and measures how much
// of a snapshot is written again.
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

// The node is loaded until it has taken fewestSnapshots, one per shard, but at most longestDrives times the
// configured duration.
const (
	fewestSnapshots = 8
	longestDrives   = 5
)

// untilSnapshots sends traffic, repeatedly if necessary: a slow machine takes long to fill the logs.
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

// Few profiles get so many events that an idle node takes a snapshot of them.
const (
	fewProfiles = 1000
	fewEvents   = 500_000

	quietBegin  = 20 * time.Second // an idle node has begun its snapshots by then
	quietAfter  = 6 * time.Second  // this long without a snapshot: there will be no more
	quietAtMost = 90 * time.Second
	quietLook   = 500 * time.Millisecond
)

// littleChange compares how much the snapshots of an idle node write with their size: first for everything
// sent so far, then for the events of few profiles.
func (c *LoadConfig) littleChange(ctx context.Context, node *Node) ([]Figure, error) {
	c.Log("snapshots: waiting for those of an idle node")
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

// quietSnapshots waits until the node has taken at least fewest snapshots and takes no more.
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

// Snapshot is a snapshot that a node has taken.
type Snapshot struct {
	Span
	Bytes int64 // of the whole
	Fresh int64 // of newly written pages
}

// Snapshots returns the snapshots in the node's log.
func (n *Node) Snapshots() ([]Snapshot, error) {
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		return nil, fmt.Errorf("read the node's log: %w", err)
	}
	return readSnapshots(string(text))
}

// readSnapshots parses a node's log, in which the line about written bytes comes before the line that the
// snapshot is taken.
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

// Span is a span of time.
type Span struct{ From, To time.Time }

// has reports whether a request that began at from and ended at to overlaps the span.
func (s Span) has(from, to time.Time) bool { return !to.Before(s.From) && !from.After(s.To) }

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// CostConfig says with how many live segments ingest is measured.
type CostConfig struct {
	LiveConfig
	Counts   []int         // 0, 1, 100, 1,000 and 10,000 by default; the others are compared with the first
	Duration time.Duration // of each; 15 s by default
}

// Validate reports all faults and sets the defaults.
func (c *CostConfig) Validate() error {
	if len(c.Counts) == 0 {
		c.Counts = []int{0, 1, 100, 1000, 10_000}
	}
	if c.Duration == 0 {
		c.Duration = 15 * time.Second
	}
	return errors.Join(c.prepare()...)
}

// MeasureCost sends events as fast as a fresh node accepts them, with more and more live segments.
func MeasureCost(ctx context.Context, c CostConfig) (figures []Figure, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var alone costOf
	for i, count := range c.Counts {
		one := c
		one.Segments, one.Dir = count, filepath.Join(c.Dir, fmt.Sprint("segments-", count))
		if err := os.Mkdir(one.Dir, 0o755); err != nil {
			return nil, err
		}
		var cost costOf
		if _, err := one.run(ctx, one.fill, func(ctx context.Context, node *Node) (_ []Figure, err error) {
			cost, err = one.cost(ctx, node)
			return nil, err
		}); err != nil {
			return nil, fmt.Errorf("with %d segments: %w", count, err)
		}
		if err := os.RemoveAll(one.Dir); err != nil {
			return nil, err
		}
		if i == 0 {
			alone = cost
		}
		figures = append(figures, cost.figures(count, alone)...)
	}
	return figures, nil
}

// costOf is the measurement with one number of segments.
type costOf struct {
	rate, node, own  float64 // events/s; processor seconds per event
	p99              float64 // ms
	defined          time.Duration
	resident, before int64
}

func (c *CostConfig) cost(ctx context.Context, node *Node) (cost costOf, err error) {
	if cost.before, err = node.Resident(); err != nil {
		return cost, err
	}
	if cost.defined, err = c.define(ctx, node, 0, c.Segments); err != nil {
		return cost, err
	}
	if cost.resident, err = node.Resident(); err != nil {
		return cost, err
	}
	shop, err := c.shop()
	if err != nil {
		return cost, err
	}
	traffic := TrafficConfig{Users: c.Users, Duration: 2 * time.Second, Seed: 1}
	if _, _, err := sendLive(ctx, node, traffic, shop, false); err != nil {
		return cost, err
	}
	c.Log("ingest beside %d live segments: %s", c.Segments, c.Duration)
	traffic.Duration, traffic.Seed = c.Duration, 2
	before, err := node.processorTime()
	if err != nil {
		return cost, err
	}
	sent, _, err := sendLive(ctx, node, traffic, shop, false)
	if err != nil {
		return cost, err
	}
	after, err := node.processorTime()
	if err != nil {
		return cost, err
	}
	cost.rate, cost.p99 = sent.Rate(), quantile(sent.Latencies(nil), 0.99)
	cost.node, cost.own = (after-before)/float64(sent.Events), sent.Own/float64(sent.Events)
	return cost, nil
}

func (x *costOf) figures(count int, alone costOf) []Figure {
	name := fmt.Sprintf("%d live segments: ", count)
	rate := Figure{Name: name + "ingest", Value: x.rate, Unit: "events/s", More: true,
		Note: fmt.Sprintf("%.0f %% of that with the fewest; the senders take %.1f µs/event of the same processors", 100*x.rate/alone.rate, 1e6*x.own)}
	if count == 1000 {
		rate.Goal = alone.rate / 2
	}
	return []Figure{rate,
		{Name: name + "processor time of the node", Value: 1e6 * x.node, Unit: "µs/event", Note: fmt.Sprintf("%+.2f µs", 1e6*(x.node-alone.node))},
		{Name: name + "p99 to acknowledgement", Value: x.p99, Unit: "ms", Note: "8 senders as fast as it goes"},
		{Name: name + "time to save them", Value: x.defined.Seconds(), Unit: "s", Note: fmt.Sprintf("resident memory grew by %s", formatBytes(x.resident-x.before))},
	}
}

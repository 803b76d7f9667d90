package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ConcurrentConfig says how many clients ask questions at the same time, and of which data.
type ConcurrentConfig struct {
	ShopConfig
	Askers   int           // clients that ask at the same time; 20 by default
	Think    time.Duration // between an answer and the next question of an asker; 500 ms by default
	Duration time.Duration // of each phase; 20 s by default
}

// Validate reports all faults and sets the defaults.
func (c *ConcurrentConfig) Validate() error {
	if c.Askers == 0 {
		c.Askers = 20
	}
	if c.Think == 0 {
		c.Think = 500 * time.Millisecond
	}
	if c.Duration == 0 {
		c.Duration = 20 * time.Second
	}
	return errors.Join(c.faults()...)
}

// MeasureConcurrent imports a shop into a fresh node and asks a mix of all questions over HTTP: with one
// asker, with many, and with many during ingest at full and at half rate. Then it cancels many questions at
// the same time and measures how soon the node is free.
func MeasureConcurrent(ctx context.Context, c ConcurrentConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.run(ctx, c.loadOnly, c.phases, c.cancelled)
}

func (c *ConcurrentConfig) loadOnly(ctx context.Context, node *Node) ([]Figure, error) {
	_, err := c.load(ctx, node)
	return nil, err
}

// crowdGoal is the factor by which many askers and full ingest may slow the slowest answers.
const crowdGoal = 3

// phases asks under one load after another.
func (c *ConcurrentConfig) phases(ctx context.Context, node *Node) ([]Figure, error) {
	if _, _, err := c.askAll(ctx, node, 1, 0, 2*time.Second); err != nil { // warm up
		return nil, err
	}
	var figures []Figure
	var alone, most float64
	for i, phase := range []struct {
		name   string
		askers int
		share  float64 // of the maximum ingest rate
	}{{"1 asker", 1, 0}, {fmt.Sprintf("%d askers", c.Askers), c.Askers, 0},
		{"full ingest alone", 0, 1},
		{fmt.Sprintf("%d askers and full ingest", c.Askers), c.Askers, 1},
		{fmt.Sprintf("%d askers and half of full ingest", c.Askers), c.Askers, 0.5}} {
		c.Log("%s: %s", phase.name, c.Duration)
		var sent *Sent
		var sendErr error
		var sending sync.WaitGroup
		if phase.share > 0 {
			traffic := TrafficConfig{Segment: true, Duration: c.Duration, Users: c.Size.Users, Seed: c.Seed + uint64(i)}
			if phase.share < 1 {
				traffic.Rate = int(phase.share * most)
			}
			sending.Go(func() { sent, sendErr = Send(ctx, node.Client, traffic) })
		}
		times, own, err := c.askAll(ctx, node, phase.askers, c.thinkOf(phase.askers), c.Duration)
		sending.Wait()
		if err := errors.Join(err, sendErr); err != nil {
			return nil, err
		}
		if phase.askers > 0 {
			figures = append(figures, c.answers(phase.name, times, own, &alone, phase.share)...)
		}
		if sent != nil {
			most = max(most, sent.Rate())
			figures = append(figures,
				Figure{Name: phase.name + ": events", Value: sent.Rate(), Unit: "events/s", More: true},
				Figure{Name: phase.name + ": events, p99 to acknowledgement", Value: quantile(sent.Latencies(nil), 0.99), Unit: "ms"})
		}
	}
	return figures, nil
}

// thinkOf returns the wait of an asker: a single one asks again immediately.
func (c *ConcurrentConfig) thinkOf(askers int) time.Duration {
	if askers < 2 {
		return 0
	}
	return c.Think
}

// answers returns the figures of one phase; alone is the p99 of the first phase.
func (c *ConcurrentConfig) answers(name string, times, own []float64, alone *float64, share float64) []Figure {
	p99 := quantile(times, 0.99)
	note := fmt.Sprintf("%d questions", len(times))
	figures := []Figure{
		{Name: name + ": p50", Value: quantile(times, 0.5), Unit: "ms", Note: note},
		{Name: name + ": p99", Value: p99, Unit: "ms", Note: formatNumber(quantile(own, 0.99)) + " ms in the node's own measure"},
	}
	if *alone == 0 {
		*alone = max(p99, 1e-3)
		return figures
	}
	ratio := Figure{Name: name + ": p99 ÷ that of one asker", Value: p99 / *alone, Unit: "×"}
	if share == 1 {
		ratio.Goal = crowdGoal
	}
	return append(figures, ratio)
}

// askAll runs askers that go through all questions, each starting with a different one. It returns the times
// they measured, and the times the node reports.
func (c *ConcurrentConfig) askAll(ctx context.Context, node *Node, askers int, think, duration time.Duration) (outside, own []float64, err error) {
	client := newHTTP(node, askers)
	questions := Questions()
	until := time.Now().Add(duration)
	times, inside := make([][]float64, askers), make([][]float64, askers)
	faults := make([]error, askers)
	var all sync.WaitGroup
	for i := range askers {
		all.Go(func() {
			if think > 0 { // spread their starts
				pause(ctx, think*time.Duration(i)/time.Duration(askers))
			}
			for n := i; time.Now().Before(until) && ctx.Err() == nil; n++ {
				started := time.Now()
				_, took, err := askHTTP(ctx, client, questions[n%len(questions)])
				if err != nil {
					faults[i] = err
					return
				}
				inside[i] = append(inside[i], millis(took))
				times[i] = append(times[i], millis(time.Since(started)))
				pause(ctx, think)
			}
		})
	}
	all.Wait()
	return sorted(times...), sorted(inside...), errors.Join(faults...)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// cancelled lets all askers ask the slowest question, cancels them, and asks a small one: its time shows how
// long the node continues work that no one waits for.
func (c *ConcurrentConfig) cancelled(ctx context.Context, node *Node) ([]Figure, error) {
	slowest, longest := Question{}, time.Duration(0)
	for _, q := range Questions() {
		_, took, err := askHTTP(ctx, node.Client, q)
		if err != nil {
			return nil, err
		}
		if took > longest {
			slowest, longest = q, took
		}
	}
	small := Questions()[0]
	var times []float64
	client := newHTTP(node, c.Askers+1)
	for range 20 {
		asked, leave := context.WithTimeout(ctx, longest/2)
		var all sync.WaitGroup
		for range c.Askers {
			all.Go(func() { _, _, _ = askHTTP(asked, client, slowest) }) // either cancelled or answered in time
		}
		all.Wait()
		leave()
		started := time.Now()
		if _, _, err := askHTTP(ctx, client, small); err != nil {
			return nil, err
		}
		times = append(times, millis(time.Since(started)))
	}
	slices.Sort(times)
	return []Figure{{Name: fmt.Sprintf("a small question behind %d cancelled ones, p50", c.Askers), Value: quantile(times, 0.5), Unit: "ms",
		Note: fmt.Sprintf("%q; each of the cancelled ones takes %s ms", small.MQL, formatNumber(millis(longest)))}}, nil
}

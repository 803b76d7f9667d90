package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// StoredConfig says which data a node is given whole, to be measured with it.
type StoredConfig struct {
	Binary   string // muster
	Dir      string // for files, data and logs; removed by the caller
	Size     Size
	Seed     uint64
	Repeat   int           // times each question is asked over HTTP; 7 by default
	Askers   int           // that ask at once; 20 by default
	Think    time.Duration // between an answer and the next question of an asker; 500 ms by default
	Duration time.Duration // of each phase with askers; 15 s by default
	Log      func(format string, args ...any)
}

// Validate reports all faults and sets the defaults.
func (c *StoredConfig) Validate() error {
	var faults []error
	if c.Binary == "" {
		faults = append(faults, errors.New("no binary"))
	}
	if c.Dir == "" {
		faults = append(faults, errors.New("no directory"))
	}
	if c.Size.Users < 1 {
		faults = append(faults, errors.New("no size"))
	}
	if c.Repeat == 0 {
		c.Repeat = 7
	}
	if c.Askers == 0 {
		c.Askers = 20
	}
	if c.Think == 0 {
		c.Think = 500 * time.Millisecond
	}
	if c.Duration == 0 {
		c.Duration = 15 * time.Second
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return errors.Join(faults...)
}

// MeasureStored imports a shop into a fresh node and measures the import, memory, questions over HTTP,
// askers beside full ingest, and restarts.
func MeasureStored(ctx context.Context, c StoredConfig) (figures []Figure, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	node, err := NewNode(c.Binary, c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	if _, err := node.Start(ctx); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, *Node) ([]Figure, error){c.imports, c.memory, c.asks, c.restarts, c.askers} {
		more, err := step(ctx, node)
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// memory divides what the node counts by what it holds.
func (c *StoredConfig) memory(ctx context.Context, node *Node) ([]Figure, error) {
	catalog, err := node.Client.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	resident, err := node.Resident()
	if err != nil {
		return nil, err
	}
	disk, err := node.DataBytes()
	if err != nil {
		return nil, err
	}
	figures := []Figure{{Name: "resident memory of the node", Value: float64(resident), Unit: "B"}, {Name: "data directory", Value: float64(disk), Unit: "B"}}
	var perProfile, perEvent int64
	for _, line := range catalog.Memory {
		figures = append(figures, Figure{Name: "memory, " + line.Name, Value: float64(line.Bytes), Unit: "B"})
		switch line.Name {
		case "ids", "seen", "attributes", "attribute dictionaries", "profiles":
			perProfile += line.Bytes
		case "leaves", "tails", "series", "property dictionaries":
			perEvent += line.Bytes
		}
	}
	return append(figures,
		Figure{Name: "memory a profile with 8 attributes", Value: float64(perProfile) / float64(c.Size.Users), Unit: "B", Goal: 85 + idBytes(c.Size), Note: "85 and the bytes of its id"},
		Figure{Name: "memory an event with 2 properties", Value: float64(perEvent) / float64(c.Size.Events), Unit: "B", Goal: 12, Note: "a third of the events have none"}), nil
}

// idBytes is the mean length of the ids user-0 to user-(n-1), near enough.
func idBytes(s Size) float64 { return float64(len(fmt.Sprint(s.Users-1)) + len("user-")) }

// asks times the questions over HTTP, one asker, nothing else.
func (c *StoredConfig) asks(ctx context.Context, node *Node) ([]Figure, error) {
	var figures []Figure
	for _, q := range Questions() {
		var own, outside []float64
		for run := -warmRuns; run < c.Repeat; run++ {
			started := time.Now()
			_, server, err := askHTTP(ctx, node.Client, q)
			if err != nil {
				return nil, err
			}
			if run >= 0 {
				own, outside = append(own, millis(server)), append(outside, millis(time.Since(started)))
			}
		}
		figures = append(figures, Figure{Name: "HTTP: " + q.Name, Value: median(outside), Unit: "ms", Note: fmt.Sprintf("%s ms in the node", formatNumber(median(own)))})
	}
	return figures, nil
}

// restarts kills the node and stops it in order.
func (c *StoredConfig) restarts(ctx context.Context, node *Node) ([]Figure, error) {
	var figures []Figure
	for _, how := range []struct {
		name string
		end  func() error
	}{{"kill -9", node.Kill}, {"an orderly stop", node.Stop}} {
		before, err := node.Client.Health(ctx)
		if err != nil {
			return nil, err
		}
		if err := how.end(); err != nil {
			return nil, err
		}
		took, err := node.Start(ctx)
		if err != nil {
			return nil, err
		}
		after, err := node.Client.Health(ctx)
		if err != nil {
			return nil, err
		}
		if before.Events != after.Events || before.Profiles != after.Profiles {
			return nil, fmt.Errorf("restart after %s: %d profiles and %d events became %d and %d", how.name, before.Profiles, before.Events, after.Profiles, after.Events)
		}
		figure := Figure{Name: "restart after " + how.name, Value: took.Seconds(), Unit: "s"}
		if strings.EqualFold(c.Size.Name, "M") {
			figure.Goal = 15
		}
		figures = append(figures, figure)
	}
	return figures, nil
}

// askers asks all questions in turn: one asker alone, then many beside ingest as fast as it goes.
func (c *StoredConfig) askers(ctx context.Context, node *Node) ([]Figure, error) {
	c.Log("askers: one alone, %s", c.Duration)
	alone, err := c.askAll(ctx, node, 1, 0)
	if err != nil {
		return nil, err
	}
	c.Log("askers: %d beside full ingest, %s", c.Askers, c.Duration)
	var crowd []float64
	var crowdErr error
	var asking sync.WaitGroup
	asking.Go(func() { crowd, crowdErr = c.askAll(ctx, node, c.Askers, c.Think) })
	sent, err := Send(ctx, node.Client, TrafficConfig{Duration: c.Duration, Users: c.Size.Users, Seed: c.Seed + 1})
	asking.Wait()
	if err := errors.Join(err, crowdErr); err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%d questions, each asker waits %s between two; ingest of %s events/s beside", len(crowd), c.Think, formatNumber(sent.Rate()))
	return []Figure{
		{Name: "questions of one asker, p99", Value: quantile(alone, 0.99), Unit: "ms", Note: fmt.Sprintf("%d questions", len(alone))},
		{Name: fmt.Sprintf("questions of %d askers under full ingest, p50", c.Askers), Value: quantile(crowd, 0.5), Unit: "ms"},
		{Name: fmt.Sprintf("questions of %d askers under full ingest, p99", c.Askers), Value: quantile(crowd, 0.99), Unit: "ms", Note: note},
		{Name: "p99 of many ÷ p99 of one", Value: quantile(crowd, 0.99) / max(quantile(alone, 0.99), 1e-3), Unit: "×", Goal: 3},
		{Name: "ingest beside askers", Value: sent.Rate(), Unit: "events/s", More: true},
		{Name: "ingest beside askers, p99 to acknowledgement", Value: quantile(sent.Latencies(nil), 0.99), Unit: "ms"},
	}, nil
}

// askAll returns the times of askers that go through all questions, each beginning with another.
func (c *StoredConfig) askAll(ctx context.Context, node *Node, askers int, think time.Duration) ([]float64, error) {
	client := newHTTP(node, askers)
	questions := Questions()
	until := time.Now().Add(c.Duration)
	times := make([][]float64, askers)
	faults := make([]error, askers)
	var all sync.WaitGroup
	for i := range askers {
		all.Go(func() {
			for n := i; time.Now().Before(until) && ctx.Err() == nil; n++ {
				started := time.Now()
				if _, _, err := askHTTP(ctx, client, questions[n%len(questions)]); err != nil {
					faults[i] = err
					return
				}
				times[i] = append(times[i], millis(time.Since(started)))
				select {
				case <-time.After(think):
				case <-ctx.Done():
				}
			}
		})
	}
	all.Wait()
	return sorted(times...), errors.Join(faults...)
}

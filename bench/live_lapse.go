package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// LapseConfig says how many profiles leave a segment because time has passed.
type LapseConfig struct {
	LiveConfig
	Profiles int           // that leave; 1,000,000 by default
	Spread   time.Duration // time over which profiles leave when they do not leave at the same time; a minute by default
	Before   time.Duration // how long ingest is measured before; 15 s by default
	Midnight bool          // wait for a real midnight somewhere on earth too, for up to an hour
}

// Validate reports all faults and sets the defaults.
func (c *LapseConfig) Validate() error {
	if c.Profiles == 0 {
		c.Profiles = 1_000_000
	}
	if c.Spread == 0 {
		c.Spread = time.Minute
	}
	if c.Before == 0 {
		c.Before = 15 * time.Second
	}
	if c.Rate == 0 {
		c.Rate = 5000
	}
	faults := c.prepare()
	if c.Profiles < 1 || c.Spread < time.Second || c.Before < time.Second {
		faults = append(faults, fmt.Errorf("%d profiles over %s, ingest watched for %s: want a profile and seconds", c.Profiles, c.Spread, c.Before))
	}
	return errors.Join(faults...)
}

// lapse is one way to leave: the events of all profiles are placed so that their window ends soon after they
// are loaded.
type lapse struct {
	name   string
	event  string
	spread time.Duration
	zone   string // of the midnight; "" for a rolling window
	first  int64  // time of the first event, Unix ms
	due    time.Time
}

// MeasureLapses lets profiles leave a segment by time alone, during ingest, and measures how late a WebSocket
// receives each exit, how late the shards have settled, and the effect on ingest.
func MeasureLapses(ctx context.Context, c LapseConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	ways := []*lapse{{name: "at one instant", event: "Lapsed Together"}, {name: "over " + c.Spread.String(), event: "Lapsed Apart", spread: c.Spread}}
	if c.Midnight {
		ways = append(ways, &lapse{name: "at midnight", event: "Lapsed At Midnight", zone: "UTC"})
	}
	steps := []step{c.fill}
	for _, w := range ways {
		steps = append(steps, func(ctx context.Context, node *Node) ([]Figure, error) { return c.lapse(ctx, node, w) })
	}
	return c.run(ctx, steps...)
}

// lapse measures one way.
func (c *LapseConfig) lapse(ctx context.Context, node *Node, w *lapse) ([]Figure, error) {
	if err := c.place(ctx, node, w); err != nil {
		return nil, err
	}
	l, err := listen(ctx, node, false, w.name)
	if err != nil {
		return nil, err
	}
	defer l.stop()
	if err := l.begun(ctx); err != nil {
		return nil, err
	}
	if pause := time.Until(w.due) - c.Before; pause > 0 {
		c.Log("%s: %d profiles leave from %s on, which is in %s", w.name, c.Profiles, w.due.UTC().Format(time.TimeOnly), time.Until(w.due).Round(time.Second))
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
	}
	shop, err := c.shop()
	if err != nil {
		return nil, err
	}
	sending, enough := context.WithCancel(ctx)
	defer enough()
	var sent *Sent
	var sendErr, settleErr error
	var settled time.Duration
	var work sync.WaitGroup
	work.Go(func() {
		traffic := TrafficConfig{Batch: 100, Rate: c.Rate, Users: c.Users, Duration: time.Hour, Seed: uint64(w.first)}
		sent, _, sendErr = sendLive(sending, node, traffic, shop, false)
	})
	work.Go(func() { settled, settleErr = settledAfter(sending, node, w.due.Add(w.spread)) })
	heard, hearErr := c.hear(l, w)
	over := time.Now()
	if hearErr == nil {
		hearErr = wait(ctx, 2*time.Second) // ingest finishes its backlog too
	}
	enough()
	work.Wait()
	if err := errors.Join(hearErr, sendErr, settleErr); err != nil {
		return nil, fmt.Errorf("%d of %d heard to leave %s: %w", len(heard), c.Profiles, w.name, err)
	}
	return c.figures(w, heard, sent, Span{w.due, over}, settled), nil
}

// place sends the events of the profiles that will leave, saves their segment, and computes when it ends.
func (c *LapseConfig) place(ctx context.Context, node *Node, w *lapse) error {
	start := time.Now()
	w.first = start.UnixMilli() - w.spread.Milliseconds() - 1000
	c.Log("%s: events of %d profiles", w.name, c.Profiles)
	err := stream(ctx, node, func(out io.Writer) {
		for i := range c.Profiles {
			at := w.first + int64(i)*w.spread.Milliseconds()/int64(c.Profiles)
			fmt.Fprintf(out, `{"type":"track","userId":"lapse-%d","event":"%s","timestamp":%d,"_line":%d}`+"\n", i, w.event, at, i+1)
		}
	})
	if err != nil {
		return err
	}
	if w.zone != "" {
		w.zone, w.due = nextMidnight(time.Now().Add(c.Before + 20*time.Second))
		return errors.Join(save(ctx, node, w.name, fmt.Sprintf("did %q today", w.event), w.zone), c.quiet(ctx, node))
	}
	// Building takes about as long as loading did; the margin is for everything else.
	window := time.Since(time.UnixMilli(w.first)) + time.Since(start)/2 + c.Before + 15*time.Second
	window = window.Round(time.Second)
	w.due = time.UnixMilli(w.first).Add(window)
	if err := save(ctx, node, w.name, fmt.Sprintf("did %q in last %d seconds", w.event, int(window.Seconds())), ""); err != nil {
		return err
	}
	if err := c.quiet(ctx, node); err != nil {
		return err
	}
	if time.Until(w.due) < c.Before/2 {
		return fmt.Errorf("the segment was built only %s before the window ends", time.Until(w.due))
	}
	return nil
}

// nextMidnight returns the zone whose day ends next after a time, and when it ends.
func nextMidnight(earliest time.Time) (zone string, due time.Time) {
	zones := []string{"Asia/Kolkata", "Asia/Kathmandu", "Asia/Kabul", "Asia/Tehran", "Asia/Yangon", "Australia/Eucla", "Australia/Darwin", "America/St_Johns", "Pacific/Chatham", "Pacific/Marquesas"}
	for h := -14; h <= 12; h++ {
		zones = append(zones, fmt.Sprintf("Etc/GMT%+d", h))
	}
	for _, name := range zones {
		loc, err := time.LoadLocation(name)
		if err != nil {
			continue // this machine does not have the zone
		}
		y, m, d := earliest.In(loc).Date()
		if next := time.Date(y, m, d+1, 0, 0, 0, 0, loc); due.IsZero() || next.Before(due) {
			zone, due = name, next
		}
	}
	return zone, due
}

// settledAfter returns how long after an instant all shards have settled to it.
func settledAfter(ctx context.Context, node *Node, due time.Time) (time.Duration, error) {
	if err := wait(ctx, time.Until(due)); err != nil {
		return 0, nil // ctx ended for another reason
	}
	for ctx.Err() == nil {
		health, err := node.Client.Health(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return 0, err
		}
		behind := false
		for _, s := range health.Shards {
			to, err := time.Parse(time.RFC3339, s.SettledTo)
			if err != nil {
				return 0, fmt.Errorf("read the settled time of the shards: %w", err)
			}
			behind = behind || to.Before(due)
		}
		if !behind {
			return time.Since(due), nil
		}
		_ = wait(ctx, 5*time.Millisecond)
	}
	return 0, nil
}

// lapseTimeout is how long the last change may take.
const lapseTimeout = 5 * time.Minute

// hear returns how late each exit was received, in ms, in order of arrival.
func (c *LapseConfig) hear(l *listener, w *lapse) (late []float64, err error) {
	if err := l.conn.SetReadDeadline(w.due.Add(w.spread + lapseTimeout)); err != nil {
		return nil, err
	}
	first, last := w.due, w.due.Add(w.spread)
	err = l.run(func(h heardChange) error {
		at, err := time.Parse(time.RFC3339, string(h.at))
		if err != nil {
			return err
		}
		if h.enter || at.Before(first) || at.After(last) {
			return fmt.Errorf("%s at %s (enter: %t): it should leave from %s on", h.profile, h.at, h.enter, first)
		}
		lateness := h.received.Sub(at)
		if lateness < 0 {
			return fmt.Errorf("the exit of %s at %s was received %s too early", h.profile, h.at, -lateness)
		}
		if late = append(late, millis(lateness)); len(late) == c.Profiles {
			return errHeard
		}
		return nil
	})
	if errors.Is(err, errHeard) {
		err = nil
	}
	return late, err
}

// lateGoal is the goal for the p99 of lateness in ms, busyGoal for the growth of the p99 of ingest meanwhile.
const (
	lateGoal = 500
	busyGoal = 2
)

func (c *LapseConfig) figures(w *lapse, late []float64, sent *Sent, during Span, settled time.Duration) []Figure {
	name := fmt.Sprintf("%d leave %s: ", c.Profiles, w.name)
	first := late[0]
	slices.Sort(late)
	before := sent.Latencies(func(r Request) bool { return r.Acked.Before(during.From) })
	meanwhile := sent.Latencies(func(r Request) bool { return during.has(r.Due, r.Acked) })
	p99 := quantile(meanwhile, 0.99)
	all := Figure{Name: name + "heard, p99", Value: quantile(late, 0.99), Unit: "ms", Note: "one WebSocket hears of all; the reader shares the machine"}
	if w.spread > 0 {
		all.Goal = lateGoal
	}
	return []Figure{
		{Name: name + "first heard", Value: first, Unit: "ms", Note: fmt.Sprintf("ticks are 250 ms apart; %d events/s come in", c.Rate)},
		{Name: name + "heard, p50", Value: quantile(late, 0.5), Unit: "ms"}, all,
		{Name: name + "heard, max", Value: quantile(late, 1), Unit: "ms"},
		{Name: name + "all shards settled", Value: millis(settled), Unit: "ms", Goal: lateGoal + 20, Note: "after the last instant: applied and readable, whoever listens"},
		{Name: name + "ingest p99 before", Value: quantile(before, 0.99), Unit: "ms", Note: fmt.Sprintf("%d requests", len(before))},
		{Name: name + "ingest p99 meanwhile", Value: p99, Unit: "ms", Note: fmt.Sprintf("%d requests in %.1f s", len(meanwhile), during.To.Sub(during.From).Seconds())},
		{Name: name + "ingest p99 meanwhile ÷ before", Value: p99 / max(quantile(before, 0.99), 0.1), Unit: "×", Goal: busyGoal},
	}
}

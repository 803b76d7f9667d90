package systest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/query/querytest"
)

// liveRun is the size of a run of TestLive.
type liveRun struct {
	profiles, segments int
	duration           time.Duration
	kills              int
	seed               uint64
}

// TestLive sends random histories to a node while random segments are live, saved, replaced and dropped.
// Readers come and go over every transport, and the node is killed and restarted. At the end, for each
// segment, the stream checker must find no fault, and the stream, a fresh list and the simple oracle must
// have the same members.
func TestLive(t *testing.T) {
	run := liveRun{profiles: 40, segments: 12, duration: 4 * time.Second, kills: 1, seed: uint64(time.Now().UnixNano())}
	rounds := 1
	if text := os.Getenv("MUSTER_LIVE_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("MUSTER_LIVE_ROUNDS: %v", err)
		}
		run.profiles, run.segments, run.duration, run.kills = 300, 50, 30*time.Second, 5
	}
	if text := os.Getenv("MUSTER_LIVE_SEED"); text != "" {
		var err error
		if run.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("MUSTER_LIVE_SEED: %v", err)
		}
	}
	for round := range rounds {
		r := run
		r.seed += uint64(round)
		t.Run(fmt.Sprint("seed=", r.seed), func(t *testing.T) { live(t, r) })
	}
}

func live(t *testing.T, run liveRun) {
	p := serveIn(t, t.TempDir()+"/data", append([]string{"--shards", "3"}, snapshotsOften...)...)
	client := &api.Client{BaseURL: p.url()}
	w := newWorld(t, run.seed, client, run.profiles, run.segments, run.duration)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.prepare(ctx)
	followers := map[string]*follower{}
	var following, sending sync.WaitGroup
	for i, name := range w.names {
		f := newFollower(client, name, run.seed, uint64(i))
		followers[name] = f
		following.Go(func() { f.run(ctx) })
	}
	sending.Go(func() { w.send(ctx, run.seed, run.duration) })
	w.meanwhile(ctx, p, run)
	sending.Wait()
	if t.Failed() {
		return
	}
	w.settle(ctx, followers)
	cancel()
	following.Wait()
}

// prepare sends the first profile, which has every name, and saves the first segments.
func (w *world) prepare(ctx context.Context) {
	w.t.Helper()
	var batch []map[string]any
	for _, m := range w.queues[0] {
		batch = append(batch, m.make(false))
	}
	if err := w.deliver(ctx, batch, ""); err != nil {
		w.t.Fatal(err)
	}
	for name := range w.gen.History.Lists {
		if _, err := w.client.EditList(ctx, name, []string{"nobody"}, nil); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range w.names[:len(w.kept)+(len(w.names)-len(w.kept))/2] {
		w.define(ctx, name)
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// meanwhile saves and drops segments, fills lists, and kills the node now and then.
func (w *world) meanwhile(ctx context.Context, p *process, run liveRun) {
	w.t.Helper()
	start := time.Now()
	lists := slices.Sorted(maps.Keys(w.gen.History.Lists))
	for kills := 0; time.Since(start) < run.duration; {
		if time.Since(start) > run.duration*time.Duration(kills+1)/time.Duration(run.kills+1) {
			kills++
			p.kill()
			if kills%3 == 0 {
				p.launch()
				pauseFor(ctx, time.Duration(w.rng.Int64N(int64(400*time.Millisecond))))
				p.kill()
			}
			w.t.Logf("ready again in %s", p.start().Round(time.Millisecond))
		}
		if len(lists) > 0 && time.Since(start) > run.duration/3 {
			name := lists[0]
			lists = lists[1:]
			if err := retry(ctx, func() error { _, err := w.client.EditList(ctx, name, w.gen.History.Lists[name], nil); return err }); err != nil {
				w.t.Errorf("fill list %s: %v", name, err)
			}
		}
		w.define(ctx, w.names[w.rng.IntN(len(w.names))])
		pauseFor(ctx, time.Duration(w.rng.Int64N(int64(run.duration/60))))
	}
	for _, name := range lists {
		if _, err := w.client.EditList(ctx, name, w.gen.History.Lists[name], nil); err != nil {
			w.t.Errorf("fill list %s: %v", name, err)
		}
	}
}

// settleTimeout is how long a stream may take to deliver everything.
const settleTimeout = 15 * time.Second

// settle compares each segment's fresh list with the oracle and with the stream.
func (w *world) settle(ctx context.Context, followers map[string]*follower) {
	w.t.Helper()
	names := map[string]int{}
	enters, exits, judged := 0, 0, 0
	for _, name := range w.names {
		f, d := followers[name], w.segments[name]
		var list []string
		for end := time.Now().Add(settleTimeout); ; pauseFor(ctx, 50*time.Millisecond) {
			if d.pred != nil {
				var now int64
				list, now = w.list(ctx, name)
				if !d.held {
					w.judge(name, d, list, now)
				}
			}
			if f.agrees(list) || time.Now().After(end) || w.t.Failed() {
				break
			}
		}
		if d.pred != nil && !d.held {
			judged++
		}
		for _, wrong := range f.end(list) {
			w.t.Errorf("%s (%s, zone %q): %s", name, d.text, d.zone, wrong)
		}
		enters, exits = enters+f.mu.checker.Enters, exits+f.mu.checker.Exits
		for link, n := range f.mu.links {
			names[link] += n
		}
	}
	w.t.Logf("%d profiles, %d segments at the end, %d of them compared with the oracle; %d enters, %d exits over %v connections",
		len(w.gen.History.Profiles), len(w.segments), judged, enters, exits, names)
	if enters == 0 || exits == 0 || judged == 0 {
		w.t.Errorf("nothing was tested")
	}
}

// list returns the members of a segment and the time they were computed for.
func (w *world) list(ctx context.Context, name string) ([]string, int64) {
	w.t.Helper()
	page, err := w.client.Members(ctx, name, "", 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	now, err := time.Parse(time.RFC3339, page.Stats.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Members, now.UnixMilli()
}

// judge compares a list with the oracle.
func (w *world) judge(name string, d definition, list []string, now int64) {
	w.t.Helper()
	oracle, err := querytest.NewOracle(w.gen.History, now, d.zone)
	if err != nil {
		w.t.Fatal(err)
	}
	want := map[string]bool{}
	for _, who := range oracle.Members(d.pred) {
		want[who.ID()] = true
	}
	for _, id := range list {
		if !want[id] {
			w.t.Errorf("%s (%s, zone %q) as of %d: %q is listed, but the oracle says it is not a member", name, d.text, d.zone, now, id)
		}
		delete(want, id)
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		w.t.Errorf("%s (%s, zone %q) as of %d: %q is a member according to the oracle, but not listed", name, d.text, d.zone, now, id)
	}
}

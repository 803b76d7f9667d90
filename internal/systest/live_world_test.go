package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// world is a random history that is sent to a node, and the segments that are live meanwhile.
type world struct {
	t        *testing.T
	rng      *rand.Rand
	gen      *querytest.Gen
	client   *api.Client
	kept     []string // segments that are never dropped, since others refer to them
	names    []string // of all segments that can exist
	segments map[string]definition
	queues   [][]message // by profile, in the order of sending
}

// definition is the last saved definition of a segment.
type definition struct {
	pred tree.Pred
	text string
	zone string
	held bool // its members only change on a refresh
}

// message is a message whose fields are made when it is sent. Only an import may contain future times.
type message struct {
	at   float64 // order of the messages of a profile
	make func(imported bool) map[string]any
}

// newWorld draws a history with windows that end during the test.
func newWorld(t *testing.T, seed uint64, client *api.Client, profiles, segments int, duration time.Duration) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	zone := []string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"}[rng.IntN(4)]
	w := &world{t: t, rng: rng, client: client, segments: map[string]definition{}}
	for w.gen == nil || len(w.gen.History.Profiles) < profiles/2 {
		w.gen = querytest.NewGenAt(rng, profiles, time.Now().UnixMilli(), zone)
	}
	h := w.gen.History
	for i := range h.Profiles {
		p := &h.Profiles[i]
		if p.UserID == "" {
			p.Anonymous = p.Anonymous[:1] // two anonymous ids are never joined without a user
		}
		for k := range p.Events {
			p.Events[k].Time += rng.Int64N(duration.Milliseconds())
		}
		w.queues = append(w.queues, w.messages(i))
	}
	for _, s := range h.Segments {
		w.kept = append(w.kept, s.Name)
	}
	w.names = slices.Clone(w.kept)
	for i := range segments - len(w.kept) {
		w.names = append(w.names, fmt.Sprintf("s%d", i))
	}
	return w
}

// messages returns the messages of a profile: late ones, attributes that change, events from before the
// person was identified.
func (w *world) messages(profile int) (all []message) {
	p := &w.gen.History.Profiles[profile]
	own, row := map[string]any{"userId": p.UserID}, "profile"
	if p.UserID == "" {
		own, row = map[string]any{"anonymousId": p.Anonymous[0]}, "identify"
	}
	add := func(at float64, kind, id map[string]any) {
		m := maps.Clone(kind)
		maps.Copy(m, id)
		m["messageId"] = fmt.Sprintf("m-%d-%d", profile, len(all))
		all = append(all, message{at, func(bool) map[string]any { return m }})
	}
	add(0, map[string]any{"type": row}, own)
	for _, name := range slices.Sorted(maps.Keys(p.Attrs)) {
		at := w.rng.Float64()
		add(at, map[string]any{"type": row, "traits": map[string]any{name: plain(p.Attrs[name])}}, own)
		other := w.gen.History.Profiles[w.rng.IntN(len(w.gen.History.Profiles))].Attrs[name]
		if profile > 0 && !other.Missing() && w.rng.IntN(2) == 0 {
			add(at*w.rng.Float64(), map[string]any{"type": row, "traits": map[string]any{name: plain(other)}}, own)
		}
	}
	for k := range p.Events {
		id, e := own, &p.Events[k]
		if p.UserID != "" && len(p.Anonymous) > 0 && profile > 0 && w.rng.IntN(3) == 0 {
			id = map[string]any{"anonymousId": p.Anonymous[w.rng.IntN(len(p.Anonymous))]}
		}
		props := map[string]any{}
		for name, value := range e.Props {
			props[name] = plain(value)
		}
		m := map[string]any{"type": "track", "event": e.Name, "properties": props, "messageId": fmt.Sprintf("m-%d-%d", profile, len(all))}
		maps.Copy(m, id)
		all = append(all, message{w.rng.Float64(), func(imported bool) map[string]any {
			if !imported {
				e.Time = min(e.Time, time.Now().UnixMilli()-1)
			}
			m["timestamp"] = e.Time
			return m
		}})
	}
	at := w.rng.Float64()
	for i, anonymous := range p.Anonymous {
		if p.UserID != "" {
			add(at+float64(i), map[string]any{"type": "identify", "anonymousId": anonymous}, own)
		}
	}
	if profile > 0 { // the first profile defines the types
		slices.SortStableFunc(all, func(a, b message) int {
			if a.at < b.at {
				return -1
			}
			return 1
		})
	}
	return all
}

// plain returns a value as JSON for ingest.
func plain(v tree.Value) any {
	switch v.Type {
	case tree.NumberType:
		return json.Number(v.Number().String())
	case tree.BoolType:
		return v.True()
	case tree.TimeType:
		return map[string]any{"$time": v.Int}
	case tree.ListType:
		items := make([]any, len(v.List))
		for i := range v.List {
			items[i] = v.List[i].Str
		}
		return items
	}
	return map[string]any{"$string": v.Str}
}

// send sends everything, each profile in its order, many at the same time, spread over the duration.
func (w *world) send(ctx context.Context, seed uint64, duration time.Duration) {
	const senders = 6
	var work sync.WaitGroup
	for k := range senders {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1000+uint64(k)))
			var mine [][]message
			left := 0
			for i := 1 + k; i < len(w.queues); i += senders {
				mine = append(mine, w.queues[i])
				left += len(w.queues[i])
			}
			line, end := 0, time.Now().Add(duration)
			for left > 0 && ctx.Err() == nil {
				imported := rng.IntN(2) == 0
				var batch []map[string]any
				for range min(left, 1+rng.IntN(30)) {
					q := rng.IntN(len(mine))
					for len(mine[q]) == 0 {
						q = (q + 1) % len(mine)
					}
					m := mine[q][0].make(imported)
					mine[q] = mine[q][1:]
					if line++; imported {
						m["_line"] = line
					}
					batch = append(batch, m)
				}
				source := ""
				if imported {
					source = fmt.Sprint("file-", k)
				}
				pace := time.Until(end) / time.Duration(1+left/15)
				left -= len(batch)
				if err := w.deliver(ctx, batch, source); err != nil && ctx.Err() == nil {
					w.t.Errorf("send: %v", err)
					return
				}
				pauseFor(ctx, max(0, time.Duration(rng.Int64N(int64(2*max(pace, 1))))))
			}
		})
	}
	work.Wait()
}

// deliver sends messages until they are acknowledged.
func (w *world) deliver(ctx context.Context, batch []map[string]any, source string) error {
	var body bytes.Buffer
	for _, m := range batch {
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		body.Write(append(text, '\n'))
	}
	return retry(ctx, func() error {
		result, err := w.client.Events(ctx, bytes.NewReader(body.Bytes()), source)
		if err == nil && result.Rejected > 0 {
			for _, p := range result.Problems {
				w.t.Errorf("rejected: %+v", p)
			}
		}
		return err
	})
}

// retry calls do until it succeeds: it fails while the node is down.
func retry(ctx context.Context, do func() error) error {
	for {
		err := do()
		var p *api.Problem
		if err == nil || errors.As(err, &p) && !p.Temporary() || ctx.Err() != nil {
			return err
		}
		pauseFor(ctx, 30*time.Millisecond)
	}
}

// define creates, replaces or drops one of the segments.
func (w *world) define(ctx context.Context, name string) {
	kept := slices.Contains(w.kept, name)
	if _, exists := w.segments[name]; exists && !kept && w.rng.IntN(5) == 0 {
		err := retry(ctx, func() error { return w.client.DropSegment(ctx, name) })
		var p *api.Problem
		if err != nil && !(errors.As(err, &p) && p.Code == codes.NoSegment) { // an earlier try dropped it, but its answer was lost
			w.t.Errorf("drop %s: %v", name, err)
		}
		delete(w.segments, name)
		return
	}
	d := definition{zone: []string{"", "Asia/Kathmandu", w.gen.Zone}[w.rng.IntN(3)]}
	for {
		if d.pred = w.gen.Pred(w.rng.IntN(3)); w.rng.IntN(2) == 0 {
			d.pred = w.rolling()
		}
		d.text = syntax.FormatPred(d.pred)
		d.held = strings.Contains(d.text, "in top ") || strings.Contains(d.text, "in bottom ")
		if !kept || !d.held && !strings.Contains(d.text, "in segment") {
			break
		}
	}
	request := api.SegmentRequest{Predicate: d.text, Zone: d.zone}
	if d.held || !kept && w.rng.IntN(10) == 0 {
		d.held, request.Refresh = true, "2s"
	}
	if err := retry(ctx, func() error { _, err := w.client.PutSegment(ctx, name, request, true); return err }); err != nil {
		w.t.Errorf("save %s as %s: %v", name, d.text, err)
		return
	}
	w.segments[name] = d
	for _, s := range w.gen.History.Segments {
		if s.Name == name {
			s.Pred, s.Zone = d.pred, d.zone
		}
	}
}

// rolling returns a random predicate with windows that end while the test runs.
func (w *world) rolling() tree.Pred {
	pick := func(items ...string) string { return items[w.rng.IntN(len(items))] }
	step := pick(`"Viewed"`, `"Order Completed"`, `"Søk"`, `"Viewed" where (category = "shoes")`, `"Order Completed" where (amount >= 1)`)
	window := pick("in last 1 second", "in last 3 seconds", "in last 90 seconds", "in last 15 minutes", "in last 1 hour", "in last 1 day",
		"more than 2 seconds ago", "more than 1 hour ago", "between 1 and 7 days ago", "today", "ever")
	text := pick("did "+step+" "+window, "did "+step+" at least 2 times "+window, "did not "+step+" "+window, "first did "+step+" "+window,
		"last did "+step+" "+window, "count of "+step+" "+window+" <= 1", "did "+step+` then not "Order Completed" within 2 seconds `+window,
		"sum(amount) of \"Order Completed\" "+window+" > 5")
	p, err := syntax.ParsePred(text, syntax.Limits{})
	if err != nil {
		w.t.Fatalf("parse %q: %v", text, err)
	}
	return p
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/musterdb/muster/bench/gen"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

// ProfileConfig says how answers about single profiles are measured.
type ProfileConfig struct {
	Size     Size
	Seed     uint64
	Segments []int // saved segments, ascending; 100 and 1,000 by default
	Asked    int   // number of answers of each kind; 20,000 by default
	Log      func(format string, args ...any)
}

// Validate reports all faults and sets the defaults.
func (c *ProfileConfig) Validate() error {
	if len(c.Segments) == 0 {
		c.Segments = []int{100, 1000}
	}
	if c.Asked == 0 {
		c.Asked = 20_000
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	var faults []error
	if c.Size.Users <= 0 || c.Size.Events <= 0 {
		faults = append(faults, fmt.Errorf("size %d profiles and %d events: want some of both", c.Size.Users, c.Size.Events))
	}
	if c.Asked < 0 {
		faults = append(faults, fmt.Errorf("answers %d: want 1 or more", c.Asked))
	}
	if !slices.IsSorted(c.Segments) || c.Segments[0] <= 0 {
		faults = append(faults, fmt.Errorf("segments %v: want ascending numbers above 0", c.Segments))
	}
	return errors.Join(faults...)
}

// profileGoal is the goal for an answer about a single profile, in ms.
const profileGoal = 1

// MeasureProfile queries shards in this process about single profiles, with realistic segments: which of them a
// profile is in (by live membership, and evaluated as if there were none), all data of a profile, and why a
// profile is in a segment or not. Memberships are compared with evaluation before anything is timed.
func MeasureProfile(ctx context.Context, c ProfileConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	muster, err := NewMuster(MusterConfig{})
	if err != nil {
		return nil, err
	}
	defer muster.Close()
	shop, err := c.Size.Shop(c.Seed)
	if err != nil {
		return nil, err
	}
	c.Log("%d profiles and %d events", c.Size.Users, c.Size.Events)
	if err := muster.Load(ctx, shop); err != nil {
		return nil, err
	}
	if err := muster.audit(ctx, shop); err != nil {
		return nil, err
	}
	p := &profileBench{ProfileConfig: c, muster: muster, rng: rand.New(rand.NewPCG(c.Seed, 11))}
	var figures []Figure
	for _, count := range c.Segments {
		if err := p.define(ctx, count); err != nil {
			return nil, err
		}
		more, err := p.measure(ctx)
		if err != nil {
			return nil, fmt.Errorf("beside %d segments: %w", count, err)
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// profileBench has the segments, and draws profiles to ask about.
type profileBench struct {
	ProfileConfig
	muster   *Muster
	rng      *rand.Rand
	names    []string
	matchers []*match.Matcher // one per segment
}

// define saves segments until there are count, and waits until all of them are live.
func (p *profileBench) define(ctx context.Context, count int) error {
	began := time.Now()
	for i, text := range gen.Segments(p.Seed, count) {
		if i < len(p.names) {
			continue
		}
		p.names = append(p.names, fmt.Sprintf("s%04d", i))
		if err := p.muster.define(catalog.Segment{Name: p.names[i], Text: text}); err != nil {
			return fmt.Errorf("save segment %q: %w", text, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := p.muster.build(ctx); err != nil {
		return err
	}
	p.Log("%d segments are live after another %s", count, time.Since(began).Round(time.Millisecond))
	p.matchers = p.matchers[:0]
	schema := p.muster.shards[0].Catalog().Schema()
	for _, name := range p.names {
		pred, _, err := check.Predicate(&tree.InSegment{Name: name}, schema)
		if err != nil {
			return fmt.Errorf("check segment %q: %w", name, err)
		}
		m, err := match.Compile(match.Env{Schema: schema}, pred)
		if err != nil {
			return fmt.Errorf("prepare segment %q: %w", name, err)
		}
		p.matchers = append(p.matchers, m)
	}
	return nil
}

// randomID draws a profile and returns its id.
func (p *profileBench) randomID() string { return gen.UserID(p.rng.IntN(p.Size.Users)) }

func (p *profileBench) measure(ctx context.Context) ([]Figure, error) {
	members := 0
	for range min(p.Asked, 1000) {
		id := p.randomID()
		in, evaluated := p.memberships(id), p.evaluated(id)
		if members += len(in); !slices.Equal(in, evaluated) {
			return nil, fmt.Errorf("%s is in %v by membership, but in %v by evaluation", id, in, evaluated)
		}
	}
	if members == 0 {
		return nil, errors.New("none of the drawn profiles is in any segment")
	}
	kinds := []struct {
		name  string
		asked int
		ask   func(id string) error
	}{
		{"which segments somebody is in", p.Asked, func(id string) error { p.memberships(id); return nil }},
		{"who somebody is, with segments", p.Asked, p.about},
		{"why somebody is in a segment or not", p.Asked, func(id string) error { return p.why(ctx, id) }},
		{"which segments, evaluated one by one", p.Asked / 10, func(id string) error { p.evaluated(id); return nil }},
	}
	var figures []Figure
	for i, kind := range kinds {
		var took []float64
		for range max(kind.asked, 1) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			id := p.randomID()
			began := time.Now()
			if err := kind.ask(id); err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
			took = append(took, millis(time.Since(began)))
		}
		took = sorted(took)
		f := Figure{Name: fmt.Sprintf("%d segments: %s, p99", len(p.names), kind.name), Value: quantile(took, 0.99), Unit: "ms",
			Note: fmt.Sprintf("p50 %.4f ms, max %.3f ms of %d", quantile(took, 0.5), took[len(took)-1], len(took))}
		if i < 3 { // the last shows the time without live membership
			f.Goal = profileGoal
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// memberships answers by live membership, as a node does.
func (p *profileBench) memberships(id string) []string {
	view, ordinal, ok := p.muster.viewOf(id)
	if !ok {
		return nil
	}
	defer view.Release()
	in, _ := view.SegmentsOf(ordinal)
	return in
}

func (p *profileBench) about(id string) error {
	view, _, ok := p.muster.viewOf(id)
	if !ok {
		return fmt.Errorf("no profile %q", id)
	}
	defer view.Release()
	if _, ok := view.About(id); !ok {
		return fmt.Errorf("nothing about %q", id)
	}
	return nil
}

func (p *profileBench) why(ctx context.Context, id string) error {
	name := p.names[p.rng.IntN(len(p.names))]
	answer, err := p.muster.Query(ctx, fmt.Sprintf("why profile %q where in segment %q", id, name))
	if err == nil && len(answer.Rows) == 0 {
		err = fmt.Errorf("no answer why %s is in %s", id, name)
	}
	return err
}

// evaluated answers by evaluating every segment.
func (p *profileBench) evaluated(id string) []string {
	view, ordinal, ok := p.muster.viewOf(id)
	if !ok {
		return nil
	}
	defer view.Release()
	profile := match.NewProfile(view, view.Catalog().Schema(), ordinal)
	var in []string
	for i, m := range p.matchers {
		if m.Match(profile, Now().UnixMilli()).True {
			in = append(in, p.names[i])
		}
	}
	return in
}

// viewOf returns a view of the shard that an id belongs to, and the profile of the id there.
func (m *Muster) viewOf(id string) (view *engine.View, ordinal uint32, ok bool) {
	view = m.shards[m.place(xxh3.HashString(id))].View()
	if ordinal, ok = view.Find(id); !ok {
		view.Release()
	}
	return view, ordinal, ok
}

// place returns the shard of an id, given its hash.
func (m *Muster) place(hash uint64) int {
	h := hash * 0x9e3779b97f4a7c15
	return int(h >> 32 * uint64(len(m.shards)) >> 32)
}

// define saves a segment in all shards.
func (m *Muster) define(s catalog.Segment) error {
	for i, shard := range m.shards {
		change := catalog.Change{Kind: catalog.PutSegment, Version: shard.Catalog().Version() + 1, Segment: s}
		result, err := shard.Apply(shard.Seq()+1, engine.EncodeCatalog(Now().UnixMilli(), change))
		if err != nil || result.Refused > 0 {
			return errors.Join(fmt.Errorf("shard %d refused it: %s", i, result.Reason), err)
		}
	}
	return nil
}

// build lets the shards work until all segments are live.
func (m *Muster) build(ctx context.Context) error {
	for i, shard := range m.shards {
		for {
			view := shard.View()
			segments := view.Segments()
			view.Release()
			if slices.ContainsFunc(segments, func(s engine.Segment) bool { return s.State == engine.SegmentFailed }) {
				return fmt.Errorf("shard %d has segments that cannot be live", i)
			}
			if !slices.ContainsFunc(segments, func(s engine.Segment) bool { return s.State != engine.SegmentLive }) {
				break
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := shard.Apply(shard.Seq()+1, engine.EncodeTick(Now().UnixMilli())); err != nil {
				return err
			}
		}
	}
	return nil
}

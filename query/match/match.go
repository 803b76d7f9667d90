package match

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// Env is the context in which a Matcher is compiled.
type Env struct {
	Schema query.Schema
	Zone   *time.Location // of the statement; nil is UTC
	Cuts   map[*tree.Rank]query.Cut
	Inputs *query.Inputs // the sets that sources were given; nil if there are none
}

// Matcher is a compiled predicate. It is immutable and may be used by several goroutines.
type Matcher struct {
	env    Env
	pred   tree.Pred
	texts  map[*tree.Text]values.Matcher
	zones  map[*tree.Segment]*time.Location
	share  map[*tree.InSample]values.Share
	past   map[*tree.WasIn]int    // by predicate: the number of its input
	linked map[*tree.SeqStep]bool // steps that mention `previous.`
}

// Verdict is the result for one profile at one instant. Until is the earliest instant (Unix ms, later
// than now) at which the passing of time alone, without a new message, can change it; calendar.Forever
// if nothing can. The verdict does not change before Until. It may still be the same at Until.
type Verdict struct {
	True  bool
	Until int64
}

// Compile compiles a checked predicate; nil means everyone. It fails if env lacks something the
// predicate needs, such as the cut of a rank, or if a time zone does not load.
func Compile(env Env, p tree.Pred) (*Matcher, error) {
	if env.Zone == nil {
		env.Zone = time.UTC
	}
	if p == nil {
		p = &tree.Everyone{}
	}
	m := &Matcher{
		env: env, pred: p,
		texts:  map[*tree.Text]values.Matcher{},
		zones:  map[*tree.Segment]*time.Location{},
		share:  map[*tree.InSample]values.Share{},
		past:   map[*tree.WasIn]int{},
		linked: map[*tree.SeqStep]bool{},
	}
	if err := m.prepare(p); err != nil {
		return nil, fmt.Errorf("compile predicate: %w", err)
	}
	return m, nil
}

// prepare compiles the parts of a predicate or expression that are the same for every profile.
func (m *Matcher) prepare(n tree.Node) (err error) {
	tree.Inspect(n, func(n tree.Node) bool {
		if err == nil {
			err = m.prepareNode(n)
		}
		return err == nil
	})
	return err
}

func (m *Matcher) prepareNode(n tree.Node) (err error) {
	switch n := n.(type) {
	case *tree.Text:
		m.texts[n], err = values.NewMatcher(n.Op, n.Pattern, n.Fold)
	case *tree.Sequence:
		for i := range n.Steps {
			m.linked[&n.Steps[i]] = tree.MentionsPrevious(&n.Steps[i].Step)
		}
	case *tree.InSegment:
		return m.prepareSegment(n)
	case *tree.InSample:
		m.share[n] = values.NewShare(n.Name, n.From, n.To)
	case *tree.WasIn: // never in a segment, so its zone is that of the statement
		at, _ := calendar.Span(n.At, m.env.Zone)
		m.past[n], err = m.env.Inputs.WasIn(n, at)
	case *tree.Rank:
		if _, ok := m.env.Cuts[n]; !ok {
			return fmt.Errorf("the cut of a rank is missing")
		}
	}
	return err
}

func (m *Matcher) prepareSegment(p *tree.InSegment) error {
	if p.Def == nil {
		return fmt.Errorf("segment %q is not expanded", p.Name)
	}
	if _, done := m.zones[p.Def]; done {
		return nil
	}
	if _, held := m.env.Inputs.Held(p.Name); held {
		if _, ok := m.env.Inputs.OfHeld(p.Name); !ok {
			return fmt.Errorf("segment %q is held but is not an input of the statement", p.Name)
		}
	}
	zone, err := time.LoadLocation(p.Def.Zone)
	if err != nil {
		return fmt.Errorf("load the zone of segment %q: %w", p.Name, err)
	}
	m.zones[p.Def] = zone
	return m.prepare(p.Def.Pred)
}

// Match evaluates the predicate for the profile at now (Unix ms).
//
// REQUIRES: the profile was created with Env.Schema.
func (m *Matcher) Match(p *Profile, now int64) Verdict {
	return m.scope(p, now).pred(m.pred)
}

func (m *Matcher) scope(p *Profile, now int64) *scope {
	return &scope{m: m, p: p, now: now, zone: m.env.Zone}
}

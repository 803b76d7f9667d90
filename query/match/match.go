package match

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// Env is what a Matcher is compiled against.
type Env struct {
	Schema query.Schema
	Zone   *time.Location // the statement's; nil is UTC
	Cuts   map[*tree.Rank]eval.Cut
	Sets   query.Sets // memberships not to be computed; nil: there are none
}

// Matcher is a predicate made ready. It is immutable and may be used from many goroutines.
type Matcher struct {
	env   Env
	pred  tree.Pred
	texts map[*tree.Text]values.Matcher
	zones map[*tree.Segment]*time.Location
	share map[*tree.InSample]values.Share
	past  map[*tree.WasIn]uint32 // lists
}

// Verdict is an answer for one profile at one instant. Until is the earliest instant (Unix ms, later
// than now) at which time alone, without a new message, can change it; calendar.Forever if none can.
// Nothing changes before it, and it may come before the change.
type Verdict struct {
	True  bool
	Until int64
}

// Compile prepares a checked predicate; nil is everyone. It fails where the predicate needs what env
// lacks: the cut of a rank, a zone that does not load.
func Compile(env Env, p tree.Pred) (*Matcher, error) {
	if env.Zone == nil {
		env.Zone = time.UTC
	}
	if p == nil {
		p = &tree.Everyone{}
	}
	m := &Matcher{
		env: env, pred: p,
		texts: map[*tree.Text]values.Matcher{},
		zones: map[*tree.Segment]*time.Location{},
		share: map[*tree.InSample]values.Share{},
		past:  map[*tree.WasIn]uint32{},
	}
	if err := m.prepare(p); err != nil {
		return nil, fmt.Errorf("compile predicate: %w", err)
	}
	return m, nil
}

// prepare compiles what is the same for every profile.
func (m *Matcher) prepare(p tree.Pred) error {
	switch p := p.(type) {
	case *tree.And:
		return m.prepareAll(p.Args)
	case *tree.Or:
		return m.prepareAll(p.Args)
	case *tree.Not:
		return m.prepare(p.Arg)
	case *tree.Text:
		matcher, err := values.NewMatcher(p.Op, p.Pattern, p.Fold)
		m.texts[p] = matcher
		return firstError(err, m.prepareExprs(p.X))
	case *tree.Compare:
		return m.prepareExprs(p.L, p.R)
	case *tree.Range:
		return m.prepareExprs(p.X, p.Lo, p.Hi)
	case *tree.In:
		return m.prepareExprs(p.X)
	case *tree.IsSet:
		return m.prepareExprs(p.X)
	case *tree.Has:
		return m.prepareExprs(p.X)
	case *tree.InWindow:
		return m.prepareExprs(p.X)
	case *tree.Anniversary:
		return m.prepareExprs(p.X)
	case *tree.Did:
		return m.prepareSteps(p.Step)
	case *tree.Edge:
		return m.prepareSteps(p.Step)
	case *tree.Sequence:
		err := m.prepareSteps(p.First)
		for _, s := range p.Steps {
			err = firstError(err, m.prepareSteps(s.Step))
		}
		return err
	case *tree.InSegment:
		return m.prepareSegment(p)
	case *tree.InSample:
		m.share[p] = values.NewShare(p.Name, p.From, p.To)
	case *tree.WasIn: // it stands in no segment, so its zone is the statement's
		list, err := eval.Past(m.env.Sets, p, m.env.Zone)
		m.past[p] = list
		return err
	case *tree.Rank:
		if _, ok := m.env.Cuts[p]; !ok {
			return fmt.Errorf("the cut of a rank is not known")
		}
		return m.prepareExprs(p.By)
	}
	return nil
}

func (m *Matcher) prepareSegment(p *tree.InSegment) error {
	if p.Def == nil {
		return fmt.Errorf("segment %q is not resolved", p.Name)
	}
	if _, done := m.zones[p.Def]; done {
		return nil
	}
	zone, err := time.LoadLocation(p.Def.Zone)
	if err != nil {
		return fmt.Errorf("segment %q: %w", p.Name, err)
	}
	m.zones[p.Def] = zone
	return m.prepare(p.Def.Pred)
}

// held returns the list of a segment whose membership is not computed.
func (m *Matcher) held(segment string) (list uint32, ok bool) {
	if m.env.Sets == nil {
		return 0, false
	}
	return m.env.Sets.Held(segment)
}

func (m *Matcher) prepareAll(preds []tree.Pred) (err error) {
	for _, p := range preds {
		err = firstError(err, m.prepare(p))
	}
	return err
}

func (m *Matcher) prepareSteps(s tree.Step) error {
	if s.Where == nil {
		return nil
	}
	return m.prepare(s.Where)
}

func (m *Matcher) prepareExprs(exprs ...tree.Expr) (err error) {
	for _, x := range exprs {
		switch x := x.(type) {
		case *tree.Arith:
			err = firstError(err, m.prepareExprs(x.L, x.R))
		case *tree.Measure:
			if x.Where != nil {
				err = firstError(err, m.prepare(x.Where))
			}
			if x.Arg != nil {
				err = firstError(err, m.prepareExprs(x.Arg))
			}
		}
	}
	return err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// Match tells whether the profile satisfies the predicate at now (Unix ms).
//
// REQUIRES: the profile was made with the same Schema's source.
func (m *Matcher) Match(p *Profile, now int64) Verdict {
	return m.scope(p, now).pred(m.pred)
}

// Flip returns the instant at which time alone does change the answer of Match, looking at no more
// than steps instants at which it could; calendar.Forever when it never does. exact is false when the
// steps were used up: then nothing changes before the instant returned.
func (m *Matcher) Flip(p *Profile, now int64, steps int) (at int64, exact bool) {
	first := m.Match(p, now)
	at = first.Until
	for range steps {
		if at == calendar.Forever {
			return at, true
		}
		next := m.Match(p, at)
		if next.True != first.True {
			return at, true
		}
		at = next.Until
	}
	return at, false
}

func (m *Matcher) scope(p *Profile, now int64) *scope {
	return &scope{m: m, p: p, now: now, zone: m.env.Zone}
}

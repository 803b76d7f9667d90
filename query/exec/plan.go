package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// ErrNotHere is returned for statements that need the catalog: create, drop, show and describe.
var ErrNotHere = errors.New("the statement needs the catalog")

// Options are settings of a statement that are not part of its text.
type Options struct {
	Now     int64 // Unix ms; `as of` overrides it
	MaxRows int64 // the most rows `list` returns; 0 means no limit
	Budget  int64 // bytes of memory a statement may use; 0 means 256 MiB
	// Memory is the limit shared by all statements of the process; nil means no shared limit.
	Memory *Memory
	// Held reports which segments are read as inputs instead of being computed; nil means none. With `as
	// of` every segment is computed.
	Held query.Held
}

const (
	defaultBudget = 256 << 20
	defaultBy     = 10_000  // rows a breakdown returns without `limit`
	maxBy         = 100_000 // the most rows `limit` allows
)

// Plan is one prepared statement. Partial may be called by several goroutines at the same time. Merge
// and Answer must be called by one goroutine while no Partial of the round is running.
type Plan struct {
	stmt   statement
	tree   tree.Stmt
	schema query.Schema
	env    eval.Env // without Cuts and Scanned
	inputs *query.Inputs
	opts   Options
	budget budget
	ranks  *ranks
	state  State

	profiles, scanned int64
	beyond            bool // a sum met a value beyond ±10^18
	warnings          []tree.Diagnostic
}

// State is what a plan has settled in its rounds so far. It is plain data: a node that joins in a later
// round prepares the same query and calls Resume.
type State struct {
	Round int
	Ends  []eval.RankEnd // by rank: the end whose ids the next round collects
	Cuts  []query.Cut    // by rank, in the order in which they occur in the statement
	Stmt  *Partial       // what the statement passes from one round to the next
}

// statement is one kind of statement, compiled from its tree.
type statement interface {
	// preds returns the predicates that may contain ranks.
	preds() []tree.Pred
	// partial computes the contribution of the worker's chunks to a round. Round 0 is the first one
	// after the rounds of the ranks.
	partial(ctx context.Context, w *worker, round int) error
	// merge adds the partials of a round; done is true after the last round.
	merge(round int, parts []*Partial) (done bool, err error)
	// answer returns the columns and rows.
	answer() (*query.Answer, error)
}

// perChunker is a statement that may return its rows in storage order; perChunk reports whether each
// chunk needs its own partial for that.
type perChunker interface{ perChunk() bool }

// sharer is a statement whose later rounds need results of earlier ones.
type sharer interface{ shared() *Partial }

// Prepare compiles a checked query. Errors that the user can fix are *tree.Diagnostic.
func Prepare(q *tree.Query, s query.Schema, opts Options) (*Plan, error) {
	p, err := newPlan(q.Zone, s, opts)
	if err != nil {
		return nil, err
	}
	p.tree = q.Stmt
	if q.AsOf != nil {
		p.env.Now, _ = calendar.Span(*q.AsOf, p.env.Zone)
		p.inputs = p.inputs.WithoutHeld()
		p.env.Inputs = p.inputs
	}
	if _, ok := q.Stmt.(*tree.WhyStmt); ok { // it looks into the conditions of held segments
		p.env.Inputs = p.inputs.WithoutHeld()
	}
	if p.stmt, err = p.compile(q.Stmt); err != nil {
		return nil, err
	}
	return p, p.declare()
}

// declare finds what the predicates of the statement need from all shards: inputs and ranks.
func (p *Plan) declare() (err error) {
	env := p.env
	env.Inputs = p.inputs
	preds := p.stmt.preds()
	for _, pred := range preds {
		if err := eval.Declare(&env, pred, explains(p.tree)); err != nil {
			return err
		}
	}
	p.ranks, err = newRanks(&p.env, preds)
	return err
}

// explains reports whether a statement shows the conditions inside a held segment.
func explains(s tree.Stmt) bool {
	if explain, ok := s.(*tree.ExplainStmt); ok {
		s = explain.Stmt
	}
	_, ok := s.(*tree.WhyStmt)
	return ok
}

// Inputs returns the sets that each source must provide, in the order of Source.Inputs.
func (p *Plan) Inputs() []query.Input { return p.inputs.All() }

// newPlan returns a plan without a statement, in the named time zone; "" is the zone of the schema.
func newPlan(name string, s query.Schema, opts Options) (*Plan, error) {
	if opts.Budget == 0 {
		opts.Budget = defaultBudget
	}
	if name == "" {
		name = s.Zone()
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, &tree.Diagnostic{Code: tree.CodeUnknownZone, Message: fmt.Sprintf("unknown time zone %q", name), Hint: `use an IANA name such as "Europe/Berlin"`}
	}
	inputs := query.NewInputs(opts.Held)
	p := &Plan{schema: s, opts: opts, inputs: inputs, env: eval.Env{Schema: s, Now: opts.Now, Zone: zone, Inputs: inputs}}
	p.budget.limit, p.budget.memory = opts.Budget, opts.Memory
	if opts.Memory != nil {
		p.budget.limit = min(p.budget.limit, opts.Memory.Limit())
	}
	return p, nil
}

func (p *Plan) compile(stmt tree.Stmt) (statement, error) {
	switch s := stmt.(type) {
	case *tree.CountStmt:
		return newCount(p, s)
	case *tree.ListStmt:
		return newList(p, s)
	case *tree.StatsStmt:
		return newStats(p, s)
	case *tree.TrendStmt:
		return newTrend(p, s)
	case *tree.OverlapStmt:
		return newOverlap(p, s)
	case *tree.FunnelStmt:
		return newFunnel(p, s)
	case *tree.RetentionStmt:
		return newRetention(p, s)
	case *tree.RFMStmt:
		return newRFM(p, s)
	case *tree.InsightsStmt:
		return newInsights(p, s)
	case *tree.LookalikeStmt:
		return newLookalike(p, s)
	case *tree.WhyStmt:
		return newWhy(p, s)
	case *tree.ExplainStmt:
		return newExplain(p, s)
	case *tree.CreateStmt, *tree.DropStmt, *tree.ShowStmt, *tree.DescribeStmt:
		return nil, ErrNotHere
	}
	return nil, fmt.Errorf("prepare %T: %w", stmt, errors.ErrUnsupported)
}

// State returns what other nodes need in order to take part in the next round.
func (p *Plan) State() State { return p.state }

// Resume sets the plan to a state that another node's plan of the same query has reached.
func (p *Plan) Resume(s State) { p.state = s }

// Partial computes the contribution of chunks [from, to) of a shard to the next round.
func (p *Plan) Partial(ctx context.Context, s Shard, from, to int) (*Partial, error) {
	return p.partial(ctx, p.newWorker(feedOf([]Shard{s}, from, min(to, s.Chunks())), newBuffers()))
}

// partial is Partial for the chunks that a worker takes from its feed.
func (p *Plan) partial(ctx context.Context, w *worker) (*Partial, error) {
	defer func() { p.budget.refund(w.charged) }()
	w.begin(ctx)
	var err error
	if rounds := p.ranks.rounds(); p.state.Round < rounds {
		err = p.ranks.partial(ctx, w, p.state.Round)
	} else {
		err = p.stmt.partial(ctx, w, p.state.Round-rounds)
	}
	if err == nil {
		err = w.settle()
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate statement: %w", err)
	}
	w.part.Scanned, w.part.Beyond = w.scanned.Load(), w.beyond.Load()
	return w.part, nil
}

// Merge ends a round. parts are the partials of all shards, in any order; done reports whether Answer
// may be called.
func (p *Plan) Merge(parts []*Partial) (done bool, err error) {
	for _, part := range parts {
		if part.Round != p.state.Round {
			return false, fmt.Errorf("merge round %d: partial of round %d", p.state.Round, part.Round)
		}
		p.scanned += part.Scanned
		p.beyond = p.beyond || part.hasBeyond()
	}
	if p.state.Round < p.ranks.rounds() {
		err = p.ranks.merge(&p.budget, &p.state, parts)
	} else {
		p.profiles = 0
		for _, part := range parts {
			p.profiles += part.Profiles
		}
		done, err = p.stmt.merge(p.state.Round-p.ranks.rounds(), parts)
	}
	if err == nil {
		err = p.budget.halt.err
	}
	if s, ok := p.stmt.(sharer); ok && !done && err == nil {
		p.state.Stmt = s.shared()
	}
	p.state.Round++
	if err != nil {
		return false, fmt.Errorf("merge statement: %w", err)
	}
	return done, nil
}

// Answer returns the rows. REQUIRES: Merge returned done.
func (p *Plan) Answer() (*query.Answer, error) {
	a, err := p.stmt.answer()
	if err == nil {
		err = p.budget.halt.err
	}
	if err != nil {
		return nil, fmt.Errorf("answer statement: %w", err)
	}
	a.Warnings = append(a.Warnings, p.warnings...)
	a.Stats.Profiles, a.Stats.EventsScanned, a.Stats.Now = p.profiles, p.scanned, p.env.Now
	return a, nil
}

// Release returns the memory of the plan. REQUIRES: it is no longer evaluated, and its answer is no
// longer needed.
func (p *Plan) Release() { p.budget.release() }

// Run answers a statement over sources of this process, one source after the other. It is for tests and
// tools; servers use a Pool.
func (p *Plan) Run(ctx context.Context, sources []query.Source) (*query.Answer, error) {
	a, err := p.run(ctx, sources)
	if err != nil {
		return nil, err
	}
	return p.Complete(a, func(further *Plan) (*query.Answer, error) { return further.run(ctx, sources) })
}

func (p *Plan) run(ctx context.Context, sources []query.Source) (*query.Answer, error) {
	for {
		parts := make([]*Partial, 0, len(sources))
		for _, s := range Shards(sources) {
			part, err := p.Partial(ctx, s, 0, s.Chunks())
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		done, err := p.Merge(parts)
		if err != nil {
			return nil, err
		}
		if done {
			return p.Answer()
		}
	}
}

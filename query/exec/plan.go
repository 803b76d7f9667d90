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

// Options are what a statement does not say itself.
type Options struct {
	Now     int64 // Unix ms; `as of` overrides it
	MaxRows int64 // bounds the rows of `list`; 0 means no bound
	Budget  int64 // bytes a statement may hold; 0 means 256 MiB
	// Memory is what the statement shares with all others of the process; nil: there is no bound for all.
	Memory *Memory
	// Held tells segments that are not computed but inputs; nil: there are none. With `as of` all are computed.
	Held query.Held
}

const (
	defaultBudget = 256 << 20
	defaultBy     = 10_000  // rows a breakdown gives without limit
	mostBy        = 100_000 // and with one
)

// Plan is one prepared statement. Partial may be called by several goroutines at once; Merge and
// Answer by one, when no Partial of the round is under way.
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
	beyond            bool // a sum came upon a value it leaves out
	warnings          []tree.Diagnostic
}

// State is what a plan has settled after some rounds. It is plain data: a node that joins in a later round
// prepares the same query and resumes with it.
type State struct {
	Round int
	Ends  []eval.RankEnd // whose ids the next round asks, in the order in which ranks stand in the statement
	Cuts  []query.Cut    // in the same order
	Stmt  *Partial       // what the statement itself shares between its rounds
}

// statement is one kind of statement, compiled from its tree.
type statement interface {
	// preds returns the predicates ranks may stand in.
	preds() []tree.Pred
	// partial computes what the worker's chunks contribute to a round, counted from 0 after the ranks.
	partial(ctx context.Context, w *worker, round int) error
	// merge takes the partials of a round; done is true after the last one.
	merge(round int, parts []*Partial) (done bool, err error)
	// answer returns columns and rows.
	answer() (*query.Answer, error)
}

// storer is a statement whose rows may come in the order of storage: each chunk needs its own partial.
type storer interface{ stores() bool }

// sharer is a statement whose later rounds need what the earlier ones found.
type sharer interface{ shared() *Partial }

// Prepare compiles a checked query. Errors the user can mend are *tree.Diagnostic.
func Prepare(q *tree.Query, s query.Schema, opts Options) (*Plan, error) {
	p, err := newPlan(q.Zone, s, opts)
	if err != nil {
		return nil, err
	}
	p.tree = q.Stmt
	if q.AsOf != nil {
		p.env.Now, _ = calendar.Span(*q.AsOf, p.env.Zone)
		p.inputs = p.inputs.Computed()
		p.env.Inputs = p.inputs
	}
	if _, ok := q.Stmt.(*tree.WhyStmt); ok { // it looks into the conditions of held segments
		p.env.Inputs = p.inputs.Computed()
	}
	if p.stmt, err = p.compile(q.Stmt); err != nil {
		return nil, err
	}
	return p, p.declare()
}

// declare finds what the predicates of the statement ask of all shards: its inputs and ranks.
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

// explains reports whether a statement tells of the conditions of a segment that is held.
func explains(s tree.Stmt) bool {
	if explain, ok := s.(*tree.ExplainStmt); ok {
		s = explain.Stmt
	}
	_, ok := s.(*tree.WhyStmt)
	return ok
}

// Inputs lists the sets that each source must have been given, in the order of Source.Inputs.
func (p *Plan) Inputs() []query.Input { return p.inputs.All() }

// newPlan returns a plan of no statement yet, in a zone, "" for that of the schema.
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

// State returns what other nodes need to take part in the next round.
func (p *Plan) State() State { return p.state }

// Resume sets the plan to a state another node's plan of the same query has reached.
func (p *Plan) Resume(s State) { p.state = s }

// Partial computes what chunks [from, to) of a shard contribute to the round that comes next.
func (p *Plan) Partial(ctx context.Context, s Shard, from, to int) (*Partial, error) {
	return p.partial(ctx, p.newWorker(feedOf([]Shard{s}, from, min(to, s.Chunks())), newKit()))
}

// partial is Partial of the chunks a worker is handed.
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

// Merge ends a round with the partials of all shards, in any order. done reports whether Answer is ready.
func (p *Plan) Merge(parts []*Partial) (done bool, err error) {
	for _, part := range parts {
		if part.Round != p.state.Round {
			return false, fmt.Errorf("merge round %d: partial of round %d", p.state.Round, part.Round)
		}
		p.scanned += part.Scanned
		p.beyond = p.beyond || part.cameUpon()
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

// Release gives back the memory of the plan. REQUIRES: it is not evaluated any more, and its answer is no
// longer needed.
func (p *Plan) Release() { p.budget.release() }

// Run answers a statement over sources of this process, one after the other: for tests and tools.
// Servers ask a Pool.
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

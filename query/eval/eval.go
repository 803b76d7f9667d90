package eval

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Env is what a statement fixes once for all its predicates.
type Env struct {
	Schema query.Schema
	Now    int64          // Unix ms; later events do not exist
	Zone   *time.Location // the statement's; a segment's own is used inside it. nil is UTC
	Cuts   map[*tree.Rank]query.Cut
	Inputs *query.Inputs // that sources were given; nil: there are none
	// Stock, if not nil, lends buffers to what is bound, all of it for one goroutine, and bounds it. What
	// was evaluated means nothing once the stock has an error.
	Stock *Stock
	// Scanned, if not nil, counts the rows of events that were read.
	Scanned *atomic.Int64
	// Beyond, if not nil, is set where a sum or average leaves out a value beyond ±10^18: of a profile that was
	// asked about, or another.
	Beyond *atomic.Bool
	// Blocks, if not nil, counts the leaves and tails those rows lay in.
	Blocks *atomic.Int64
}

func (e *Env) zone() *time.Location {
	if e.Zone == nil {
		return time.UTC
	}
	return e.Zone
}

// end is the first instant at which events do not exist yet.
func (e *Env) end() int64 { return e.Now + 1 }

// Pred is a compiled predicate. It is immutable and may be bound to many sources at once.
type Pred struct {
	env  *Env
	plan plan
}

// Compile prepares a checked predicate; nil is everyone. It fails where the predicate needs what env
// lacks: the cut of a rank, a zone that does not load.
func Compile(env *Env, p tree.Pred) (*Pred, error) {
	c := compiler{env: env, zone: env.zone()}
	if p == nil {
		p = &tree.Everyone{}
	}
	plan, err := c.pred(p)
	if err != nil {
		return nil, fmt.Errorf("compile predicate: %w", err)
	}
	return &Pred{env: env, plan: plan}, nil
}

// On binds p to a source. An Evaluator keeps buffers and decided dictionary codes: it is for one
// goroutine, and several of one Pred may run at once.
func (p *Pred) On(src query.Source) *Evaluator {
	run := newRun(src, p.env)
	return &Evaluator{run: run, root: p.plan.bind(run)}
}

// Evaluator answers one predicate over one source, chunk by chunk.
type Evaluator struct {
	run  *run
	root runner
	at   scope
}

// Chunk sets out to the positions of cand that satisfy the predicate and returns how many they are.
//
// REQUIRES: cand holds only existing profiles; out is not cand.
func (e *Evaluator) Chunk(chunk int, cand, out *query.Bits) int {
	return e.Among(chunk, cand, cand.Count(), out)
}

// Among is Chunk where it is known that cand has n positions.
func (e *Evaluator) Among(chunk int, cand *query.Bits, n int, out *query.Bits) int {
	e.at.chunk = chunk
	return e.root.eval(&e.at, cand[:], n, out[:])
}

// Expr is a compiled expression over profiles: an attribute, a literal, a measure of events, or
// arithmetic of them.
type Expr struct {
	env     *Env
	operand operand
}

// CompileExpr prepares a checked expression.
func CompileExpr(env *Env, x tree.Expr) (*Expr, error) {
	c := compiler{env: env, zone: env.zone()}
	o, err := c.expr(x)
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", err)
	}
	return &Expr{env: env, operand: o}, nil
}

// Type is the type of the values; NoType when the expression is always missing.
func (x *Expr) Type() tree.Type { return x.operand.typ() }

// On binds x to a source, for one goroutine.
func (x *Expr) On(src query.Source) *ExprEvaluator {
	run := newRun(src, x.env)
	return &ExprEvaluator{stock: run.stock, root: x.operand.bind(run)}
}

// ExprEvaluator computes one expression over one source, chunk by chunk.
type ExprEvaluator struct {
	stock *Stock
	root  loader
}

// Chunk sets out to the values of the positions in cand; other positions have none.
func (e *ExprEvaluator) Chunk(chunk int, cand *query.Bits, out *Vector) {
	if out.stock == nil {
		out.stock = e.stock
	}
	e.root.load(&scope{chunk: chunk}, cand[:], out)
}

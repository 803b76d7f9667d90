package eval

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Env is the part of a statement that is the same for all its predicates.
type Env struct {
	Schema query.Schema
	Now    int64          // Unix ms; later events are ignored
	Zone   *time.Location // of the statement; a segment is evaluated in its own. nil is UTC
	Cuts   map[*tree.Rank]query.Cut
	Inputs *query.Inputs // the sets that sources were given; nil if there are none
	// Scratch, if not nil, provides the buffers of everything that is bound with this Env, and limits
	// what they may take. It is for one goroutine. Once Scratch.Err is not nil, results are
	// meaningless.
	Scratch *Scratch
	// Scanned, if not nil, counts the rows of events that were read.
	Scanned *atomic.Int64
	// Beyond, if not nil, is set when a sum or average leaves out a value beyond ±10^18. The value may
	// belong to a profile that was not a candidate.
	Beyond *atomic.Bool
	// Blocks, if not nil, counts the blocks those rows were in.
	Blocks *atomic.Int64
}

func (e *Env) zone() *time.Location {
	if e.Zone == nil {
		return time.UTC
	}
	return e.Zone
}

// end is the first instant whose events are ignored.
func (e *Env) end() int64 { return e.Now + 1 }

// Pred is a compiled predicate. It is immutable and may be bound to several sources at the same time.
type Pred struct {
	env  *Env
	plan plan
}

// Compile compiles a checked predicate; nil means everyone. It fails if env lacks something the
// predicate needs, such as the cut of a rank, or if a time zone does not load.
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

// On binds p to a source. The Evaluator keeps buffers and the results for dictionary codes, so it is
// for one goroutine. Several Evaluators of one Pred may run at the same time.
func (p *Pred) On(src query.Source) *Evaluator {
	run := newRun(src, p.env)
	return &Evaluator{run: run, root: p.plan.bind(run)}
}

// Evaluator evaluates one predicate over one source, chunk by chunk.
type Evaluator struct {
	run  *run
	root runner
	at   scope
}

// Chunk sets out to the positions of cand that satisfy the predicate and returns their number.
//
// REQUIRES: cand contains only existing profiles; out is not cand.
func (e *Evaluator) Chunk(chunk int, cand, out *query.Bits) int {
	return e.Among(chunk, cand, cand.Count(), out)
}

// Among is Chunk for a caller that knows that cand has n positions.
func (e *Evaluator) Among(chunk int, cand *query.Bits, n int, out *query.Bits) int {
	e.at.chunk = chunk
	return e.root.eval(&e.at, cand[:], n, out[:])
}

// Expr is a compiled expression over profiles: an attribute, a literal, a measure of events, or
// arithmetic on them.
type Expr struct {
	env     *Env
	operand operand
}

// CompileExpr compiles a checked expression.
func CompileExpr(env *Env, x tree.Expr) (*Expr, error) {
	c := compiler{env: env, zone: env.zone()}
	o, err := c.expr(x)
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", err)
	}
	return &Expr{env: env, operand: o}, nil
}

// Type returns the type of the values; NoType if the expression is always missing.
func (x *Expr) Type() tree.Type { return x.operand.typ() }

// On binds x to a source, for one goroutine.
func (x *Expr) On(src query.Source) *ExprEvaluator {
	run := newRun(src, x.env)
	return &ExprEvaluator{scratch: run.scratch, root: x.operand.bind(run)}
}

// ExprEvaluator computes one expression over one source, chunk by chunk.
type ExprEvaluator struct {
	scratch *Scratch
	root    loader
}

// Chunk sets out to the values at the positions of cand. Other positions have no value.
func (e *ExprEvaluator) Chunk(chunk int, cand *query.Bits, out *Vector) {
	if out.scratch == nil {
		out.scratch = e.scratch
	}
	e.root.load(&scope{chunk: chunk}, cand[:], out)
}

package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// leftOut counts the values beyond ±10^18 that the sums and averages of a statement left out. Its answer
// is a warning for each sum that left some out. It runs after a statement in which a sum met such a
// value. That value need not belong to a member, so it only shows that counting is worthwhile.
type leftOut struct {
	places []*sumPlace
	counts []int64
}

// maxCountedSums is the most sums of a statement for which each is counted. The profiles that one sum
// matters for depend on the other sums of its condition, so the work grows faster than their number.
const maxCountedSums = 100

// beyond reports whether a sum leaves a value out.
func beyond(v tree.Value) bool {
	if v.Type != tree.NumberType {
		return false
	}
	_, ok := tree.Billionths(v.Number())
	return !ok
}

// hasBeyond reports whether a partial left values out.
func (part *Partial) hasBeyond() bool {
	if part.Beyond {
		return true
	}
	for i := range part.Groups {
		for k := range part.Groups[i].Cells {
			if part.Groups[i].Cells[k].beyond() {
				return true
			}
		}
	}
	return false
}

// Counting returns the plan that counts what the sums of a statement left out. The node that merges runs
// it through Complete; other nodes call Counting on their own plan of the statement, and Resume.
func (p *Plan) Counting() (*Plan, error) {
	return p.counting(&leftOut{places: findSums(p.tree, p.env.Inputs)})
}

func (p *Plan) counting(l *leftOut) (*Plan, error) {
	l.counts = make([]int64, len(l.places))
	counting := &Plan{stmt: l, schema: p.schema, opts: p.opts, env: p.env, inputs: p.inputs}
	counting.budget.limit, counting.budget.memory = p.budget.limit, p.budget.memory
	var err error
	if counting.ranks, err = newRanks(&counting.env, l.preds()); err != nil {
		return nil, fmt.Errorf("count what was left out: %w", err)
	}
	return counting, nil
}

// Complete adds warnings about what the sums of a plan left out to its answer. ask answers a further
// plan over the same shards.
func (p *Plan) Complete(a *query.Answer, ask func(*Plan) (*query.Answer, error)) (*query.Answer, error) {
	if !p.beyond {
		return a, nil
	}
	l := &leftOut{places: findSums(p.tree, p.env.Inputs)}
	switch n := len(l.places); {
	case n == 0:
		return a, nil
	case n > maxCountedSums:
		a.Warnings = append(a.Warnings, l.places[0].uncounted())
		return a, nil
	}
	counting, err := p.counting(l)
	if err != nil {
		return nil, err
	}
	defer counting.Release()
	if list, ok := p.stmt.(*list); ok && int64(len(list.rows)) < list.total {
		counting.state.Stmt = list.places()
	}
	counted, err := ask(counting)
	var large *tree.Diagnostic
	switch {
	case errors.As(err, &large): // the answer is still valid; warn without a count
		a.Warnings = append(a.Warnings, l.places[0].uncounted())
	case err != nil:
		return nil, fmt.Errorf("count what was left out: %w", err)
	default:
		a.Warnings = append(a.Warnings, counted.Warnings...)
	}
	return a, nil
}

func (l *leftOut) preds() []tree.Pred {
	var all []tree.Pred
	for _, p := range l.places {
		all = append(all, p.among)
	}
	return all
}

// sumReader reads the values of one sum from one source.
type sumReader struct {
	*sumPlace
	members *eval.Evaluator // nil: all profiles
	rows    *eval.EventScan // of events
	expr    *eval.ExprEvaluator
}

func (w *worker) newSumReader(p *sumPlace) (*sumReader, error) {
	r := &sumReader{sumPlace: p}
	var err error
	if p.among != nil {
		if r.members, err = w.bind(p.among); err != nil {
			return nil, err
		}
	}
	env := *w.env
	if p.zone != "" {
		if env.Zone, err = time.LoadLocation(p.zone); err != nil {
			return nil, fmt.Errorf("load the zone of segment %q: %w", p.segment, err)
		}
	}
	if p.of.Event == "" {
		compiled, err := eval.CompileExpr(&env, p.of.Arg)
		if err == nil {
			r.expr = compiled.On(w.src)
		}
		return r, err
	}
	compiled, err := eval.CompileEvents(&env, tree.Step{Event: p.of.Event, Where: p.of.Where}, p.of.Window, p.of.Arg)
	if err == nil {
		r.rows = compiled.On(w.src)
	}
	return r, err
}

func (l *leftOut) partial(ctx context.Context, w *worker, _ int) error {
	readers := make([]*sumReader, len(l.places))
	for i, p := range l.places {
		var err error
		if readers[i], err = w.newSumReader(p); err == nil {
			err = w.scratch.Err()
		}
		if err != nil {
			return err
		}
	}
	w.part.LeftOut = make([]int64, len(l.places))
	var found query.Bits
	rows := w.plan.state.Stmt // nil unless a list does not show all members
	return w.profiles(ctx, func(all *query.Bits) error {
		for i, r := range readers {
			members := all
			switch {
			case r.shown && rows != nil:
				found = query.Bits{}
				for _, row := range rowsWithin(rows.Rows, w.place(0)) {
					found.Set(uint16(row.Place))
				}
				members = &found
			case r.members != nil:
				r.members.Chunk(w.chunk, all, &found)
				members = &found
			}
			if err := w.scratch.Err(); err != nil {
				return err
			}
			w.part.LeftOut[i] += r.count(w, members)
		}
		return nil
	})
}

// count counts the values of the members of a chunk that are left out.
func (r *sumReader) count(w *worker, members *query.Bits) (n int64) {
	if r.rows != nil {
		r.rows.Each(w.chunk, members, func(_ *query.Block, row int) {
			if beyond(r.rows.Arg(0, row)) {
				n++
			}
		})
		return n
	}
	values := w.scratch.Vector()
	defer w.scratch.Return(values)
	r.expr.Chunk(w.chunk, members, values)
	for pos := range members.All {
		if beyond(values.Value(int(pos))) {
			n++
		}
	}
	return n
}

func (l *leftOut) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		for i, n := range part.LeftOut {
			l.counts[i] += n
		}
	}
	return true, nil
}

func (l *leftOut) answer() (*query.Answer, error) {
	a := &query.Answer{}
	for i, p := range l.places {
		if l.counts[i] > 0 {
			values := "values"
			if l.counts[i] == 1 {
				values = "value"
			}
			a.Warnings = append(a.Warnings, p.warning(fmt.Sprintf("left out %d %s", l.counts[i], values)))
		}
	}
	return a, nil
}

// uncounted returns the warning for values that were not counted.
func (p *sumPlace) uncounted() tree.Diagnostic {
	return p.warning("or another sum of the statement may have left out values")
}

// warning returns the warning about a sum; did says what the sum did.
func (p *sumPlace) warning(did string) tree.Diagnostic {
	where := ""
	if p.segment != "" {
		where = fmt.Sprintf(" of segment %q", p.segment)
	}
	smaller := &tree.Arith{Op: tree.DivOp, L: p.of.Arg, R: &tree.Literal{Value: tree.NumInt(1_000_000)}}
	return tree.Diagnostic{Code: tree.CodeValuesLeftOut, At: p.at,
		Message: fmt.Sprintf("%s%s %s beyond ±10^18; such values take no part in sums and averages", p.of.Fn, where, did),
		Hint:    "divide the values first, for example  " + syntax.FormatExpr(smaller) + "  to turn nanoseconds into milliseconds"}
}

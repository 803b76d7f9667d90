package exec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Clause is what `explain analyze` measured for one line.
type Clause struct {
	In, Kept int64 // profiles the clause was evaluated for, and those that satisfied it
	Rows     int64 // rows of events read
	Blocks   int64 // leaves and tails those rows were in
	Nanos    int64
}

// explain is `explain [analyze] <statement>`: a line for the statement and one for each clause of its
// predicates, indented by nesting depth. For analyze, the clauses of a conjunction are evaluated in the
// order in which they are written, each over the profiles that the earlier ones left.
type explain struct {
	analyze bool
	inner   statement
	lines   []line
	roots   []*node
	clauses []Clause
}

// line is the text of a clause and a description of what it reads.
type line struct{ text, reads string }

// node is one clause with the index of its line.
type node struct {
	pred tree.Pred
	line int
	args []*node
}

func newExplain(p *Plan, s *tree.ExplainStmt) (statement, error) {
	if _, nested := s.Stmt.(*tree.ExplainStmt); nested {
		return nil, &tree.Diagnostic{Code: tree.CodeSyntax, Message: "explain statements cannot be nested", Hint: "write explain once"}
	}
	inner, err := p.compile(s.Stmt)
	if errors.Is(err, ErrNotHere) {
		inner, err = newCatalogStmt(s.Stmt), nil
	}
	if err != nil {
		return nil, err
	}
	e := &explain{analyze: s.Analyze, inner: inner}
	text := syntax.Format(&tree.Query{Stmt: s.Stmt})
	e.lines = append(e.lines, line{text, statementReads(p, inner)})
	for _, pred := range inner.preds() {
		if pred != nil {
			e.roots = append(e.roots, e.node(p, pred, 1))
		}
	}
	e.clauses = make([]Clause, len(e.lines))
	return e, nil
}

func statementReads(p *Plan, s statement) string {
	if _, ok := s.(*catalogStmt); ok {
		return "the catalog"
	}
	ranks, err := newRanks(&p.env, s.preds())
	if err != nil || ranks.rounds() == 0 {
		return "every chunk of every shard"
	}
	return fmt.Sprintf("every chunk of every shard, after a round for the cuts of %d ranks", len(ranks.found))
}

func (e *explain) node(p *Plan, pred tree.Pred, depth int) *node {
	n := &node{pred: pred, line: len(e.lines)}
	indent := strings.Repeat("  ", depth)
	var args []tree.Pred
	switch pred := pred.(type) {
	case *tree.And:
		e.lines = append(e.lines, line{text: indent + "and"})
		args = pred.Args
	case *tree.Or:
		e.lines = append(e.lines, line{text: indent + "or"})
		args = pred.Args
	case *tree.Not:
		if isJoin(pred.Arg) {
			e.lines = append(e.lines, line{text: indent + "not"})
			args = []tree.Pred{pred.Arg}
			break
		}
		e.lines = append(e.lines, line{indent + syntax.FormatPred(pred), reads(p, pred.Arg)})
	default:
		e.lines = append(e.lines, line{indent + syntax.FormatPred(pred), reads(p, pred)})
	}
	for _, arg := range args {
		n.args = append(n.args, e.node(p, arg, depth+1))
	}
	return n
}

func isJoin(p tree.Pred) bool {
	switch p.(type) {
	case *tree.And, *tree.Or:
		return true
	}
	return false
}

// reads describes what a clause reads.
func reads(p *Plan, pred tree.Pred) string {
	switch x := pred.(type) {
	case *tree.Did:
		return eventReads(p, x.Step.Event, x.Window)
	case *tree.Edge:
		return eventReads(p, x.Step.Event, tree.Window{})
	case *tree.Sequence:
		return eventReads(p, x.First.Event, x.Window) + " and after"
	case *tree.InSegment:
		if _, held := p.env.Inputs.Held(x.Name); held {
			return "the segment's members as of its last refresh"
		}
		return "the segment's predicate"
	case *tree.WasIn:
		return "the stored changes of the segment"
	case *tree.InList:
		return "the list"
	case *tree.InSample:
		return "the profile's id"
	case *tree.Rank:
		return "the cut of the rank"
	case *tree.Everyone:
		return "nothing"
	}
	if events := syntax.FormatPred(pred); strings.Contains(events, " of ") {
		return "events"
	}
	return "an attribute"
}

func eventReads(p *Plan, event string, w tree.Window) string {
	from, to := calendar.Resolve(w, p.env.Now, p.env.Zone)
	text := fmt.Sprintf("events of %q", event)
	stamp := func(ms int64) string {
		return time.UnixMilli(ms).In(p.env.Zone).Format("2006-01-02T15:04:05.999Z07:00")
	}
	if from != calendar.Never {
		text += " from " + stamp(from)
	}
	return text + " to " + stamp(min(to-1, p.env.Now))
}

func (e *explain) preds() []tree.Pred {
	if !e.analyze {
		return nil
	}
	return e.inner.preds()
}

// probe is a node bound to a source.
type probe struct {
	*node
	leaf *eval.Evaluator
	args []*probe
}

func (w *worker) probe(n *node) (*probe, error) {
	p := &probe{node: n}
	if len(n.args) == 0 {
		var err error
		p.leaf, err = w.bind(n.pred)
		return p, err
	}
	for _, arg := range n.args {
		bound, err := w.probe(arg)
		if err != nil {
			return nil, err
		}
		p.args = append(p.args, bound)
	}
	return p, nil
}

// eval sets out to the candidates that satisfy the clause, and adds what it measured to clauses.
func (p *probe) eval(w *worker, clauses []Clause, cand, out *query.Bits) {
	started, rows, blocks := time.Now(), w.scanned.Load(), w.blocks.Load()
	switch p.pred.(type) {
	case *tree.And:
		*out = *cand
		for _, arg := range p.args {
			left := *out
			arg.eval(w, clauses, &left, out)
		}
	case *tree.Or:
		open := *cand
		*out = query.Bits{}
		var found query.Bits
		for _, arg := range p.args {
			arg.eval(w, clauses, &open, &found)
			out.Or(&found)
			open.AndNot(&found)
		}
	case *tree.Not:
		if len(p.args) == 0 {
			p.leaf.Chunk(w.chunk, cand, out)
			break
		}
		var found query.Bits
		p.args[0].eval(w, clauses, cand, &found)
		*out = *cand
		out.AndNot(&found)
	default:
		p.leaf.Chunk(w.chunk, cand, out)
	}
	c := &clauses[p.line]
	c.In += int64(cand.Count())
	c.Kept += int64(out.Count())
	c.Rows += w.scanned.Load() - rows
	c.Blocks += w.blocks.Load() - blocks
	c.Nanos += time.Since(started).Nanoseconds()
}

func (e *explain) partial(ctx context.Context, w *worker, _ int) error {
	w.part.Clauses = make([]Clause, len(e.lines))
	if !e.analyze {
		return nil
	}
	var probes []*probe
	for _, root := range e.roots {
		bound, err := w.probe(root)
		if err != nil {
			return err
		}
		probes = append(probes, bound)
	}
	var out query.Bits
	for w.nextChunk() {
		if err := e.measureWhole(ctx, w); err != nil {
			return err
		}
		err := w.chunkProfiles(ctx, func(all *query.Bits) error {
			for _, p := range probes {
				p.eval(w, w.part.Clauses, all, &out)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// measureWhole measures the statement over the current chunk.
func (e *explain) measureWhole(ctx context.Context, w *worker) error {
	whole := w.forChunk(newBuffers())
	whole.begin(ctx)
	defer func() { w.plan.budget.refund(whole.charged) }()
	started := time.Now()
	if err := e.inner.partial(ctx, whole, 0); err != nil {
		return err
	}
	if err := whole.settle(); err != nil {
		return err
	}
	w.part.Clauses[0].add(Clause{In: whole.part.Profiles, Kept: whole.part.Members, Rows: whole.scanned.Load(), Blocks: whole.blocks.Load(), Nanos: time.Since(started).Nanoseconds()})
	return nil
}

func (c *Clause) add(d Clause) {
	c.In, c.Kept = c.In+d.In, c.Kept+d.Kept
	c.Rows, c.Blocks, c.Nanos = c.Rows+d.Rows, c.Blocks+d.Blocks, c.Nanos+d.Nanos
}

func (e *explain) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		for i, c := range part.Clauses {
			e.clauses[i].add(c)
		}
	}
	return true, nil
}

func (e *explain) answer() (*query.Answer, error) {
	a := &query.Answer{Columns: []query.Column{{Name: "clause", Type: "string"}, {Name: "reads", Type: "string"}}}
	if e.analyze {
		for _, name := range []string{"in", "kept", "dropped", "events", "blocks", "ms"} {
			a.Columns = append(a.Columns, query.Column{Name: name, Type: "number"})
		}
	}
	for i, l := range e.lines {
		row := []tree.Value{tree.Str(l.text), tree.Str(l.reads)}
		if l.reads == "" {
			row[1] = tree.Value{}
		}
		if c := e.clauses[i]; e.analyze {
			row = append(row, tree.NumInt(c.In), tree.NumInt(c.Kept), tree.NumInt(c.In-c.Kept), tree.NumInt(c.Rows), tree.NumInt(c.Blocks),
				tree.Num(tree.Decimal(c.Nanos/1000, 3)))
		}
		a.Rows = append(a.Rows, row)
	}
	return a, nil
}

package match

import (
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Step is the compiled `where (…)` of one event, to be evaluated on single events. It is immutable.
type Step struct {
	m     *Matcher
	event uint32
	where tree.Pred
}

// CompileStep compiles a checked `where (…)`. A nil where is true for every event.
//
// REQUIRES: the passing of time alone does not change its result, and it does not mention `previous.`.
func CompileStep(schema query.Schema, zone *time.Location, event uint32, where tree.Pred) (*Step, error) {
	m, err := Compile(Env{Schema: schema, Zone: zone}, nil)
	if err == nil {
		err = m.prepare(where)
	}
	if err != nil {
		return nil, fmt.Errorf("compile step: %w", err)
	}
	return &Step{m: m, event: event, where: where}, nil
}

// Holds reports whether a row of a block of the event satisfies the step.
func (s *Step) Holds(b *query.Block, i int) bool {
	if s.where == nil {
		return true
	}
	at := row{at: b.Time(i), block: b, i: i, event: s.event}
	of := scope{m: s.m, p: &Profile{schema: s.m.env.Schema}, zone: s.m.env.Zone, row: &at}
	return of.pred(s.where).True
}

// StepValue is a compiled expression on one event. It is immutable.
type StepValue struct {
	m     *Matcher
	event uint32
	x     tree.Expr
}

// CompileValue compiles a checked expression on an event's properties.
//
// REQUIRES: the passing of time alone does not change its result, and it does not mention `previous.`.
func CompileValue(schema query.Schema, zone *time.Location, event uint32, x tree.Expr) (*StepValue, error) {
	m, err := Compile(Env{Schema: schema, Zone: zone}, nil)
	if err == nil {
		err = m.prepare(x)
	}
	if err != nil {
		return nil, fmt.Errorf("compile value: %w", err)
	}
	return &StepValue{m: m, event: event, x: x}, nil
}

// Of returns the value for a row of a block of the event.
func (v *StepValue) Of(b *query.Block, i int) tree.Value {
	at := row{at: b.Time(i), block: b, i: i, event: v.event}
	of := scope{m: v.m, p: &Profile{schema: v.m.env.Schema}, zone: v.m.env.Zone, row: &at}
	value, _ := of.expr(v.x)
	return value
}

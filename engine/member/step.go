package member

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

// step is an event with a `where (…)`, and what depends on the events that satisfy it. It is evaluated once
// for an arriving event, however many parts use it. Most steps are not evaluated at all, because the value
// of a property finds those that the event can satisfy.
type step struct {
	key        string
	event      uint32
	name       string
	where      tree.Pred
	test       *match.Step
	equal      *equality // nil if it requires no equality
	counters   []*counter
	follows    []*counter // counters of sequences whose second step it is
	conditions []*condition
}

func (s *step) idle() bool { return len(s.counters)+len(s.follows)+len(s.conditions) == 0 }

// equality is a requirement of a `where` that one property equals one of some strings.
type equality struct {
	property uint32
	values   []string
	whole    bool // the `where` requires nothing else
}

// equalityOf finds an equality that a `where` requires.
func equalityOf(schema query.Schema, event uint32, where tree.Pred) *equality {
	of := func(x tree.Expr, literals ...*tree.Literal) *equality {
		name, ok := x.(*tree.Name)
		if !ok || name.Previous || len(literals) == 0 {
			return nil
		}
		id, typ, ok := schema.Property(event, name.Name)
		if !ok || typ != tree.StringType {
			return nil
		}
		e := &equality{property: id, whole: true}
		for _, l := range literals {
			if l == nil || l.When != nil || l.Value.Type != tree.StringType {
				return nil
			}
			e.values = append(e.values, l.Value.Str)
		}
		return e
	}
	switch p := where.(type) {
	case *tree.Compare:
		l, _ := p.R.(*tree.Literal)
		if p.Op == tree.Eq && l != nil {
			return of(p.L, l)
		}
	case *tree.In:
		return of(p.X, p.Values...)
	case *tree.And:
		for _, arg := range p.Args {
			if e := equalityOf(schema, event, arg); e != nil {
				e.whole = e.whole && len(p.Args) == 1
				return e
			}
		}
	}
	return nil
}

// blockTest evaluates a step for rows of one block.
type blockTest struct {
	step   *step
	block  *query.Block
	col    *query.Vec
	codes  [4]int64 // dictionary codes of the equality's values
	n      int
	always bool
	whole  bool
}

// on prepares the step for the rows of a block.
func (s *step) on(b *query.Block) blockTest {
	x := blockTest{step: s, block: b, always: s.where == nil}
	if s.equal == nil || len(s.equal.values) > len(x.codes) {
		return x
	}
	x.whole = s.equal.whole
	if x.col = b.Col(s.equal.property); x.col == nil || x.col.Dict == nil {
		x.col = nil
		x.n = -1 // no row has the property
		return x
	}
	for _, v := range s.equal.values {
		if code, ok := x.col.Dict.Find(tree.Str(v)); ok {
			x.codes[x.n] = int64(code)
			x.n++
		}
	}
	if x.n == 0 {
		x.n = -1
	}
	return x
}

func (x *blockTest) holds(row int) bool {
	switch {
	case x.always:
		return true
	case x.n < 0:
		return false
	case x.n > 0:
		raw, ok := x.col.Raw(row)
		if !ok || raw != x.codes[0] && raw != x.codes[1] && raw != x.codes[2] && raw != x.codes[3] {
			return false
		}
		if raw == 0 && !x.has(0) {
			return false
		}
		if x.whole {
			return true
		}
	}
	return x.step.test.Holds(x.block, row)
}

// has reports whether a code is among those looked for. Unused entries of codes are 0 too.
func (x *blockTest) has(code int64) bool {
	for _, c := range x.codes[:x.n] {
		if c == code {
			return true
		}
	}
	return false
}

// listeners holds the steps and conditions of one event.
type listeners struct {
	steps        []*step // steps without an equality
	valued       []*valued
	conditions   []*condition
	queuesFuture bool // events with times in the future are queued, for the conditions
}

func (l *listeners) idle() bool { return len(l.steps)+len(l.valued)+len(l.conditions) == 0 }

// valued holds the steps that require one property to equal something, by its value.
type valued struct {
	property uint32
	byValue  map[string][]*step
	dict     query.Dict
	byCode   [][]*step // for the codes seen so far; byValue has the rest
}

// of returns the steps that a row can satisfy.
func (v *valued) of(b *query.Block, row int) []*step {
	col := b.Col(v.property)
	if col == nil || col.Dict == nil {
		return nil
	}
	code, ok := col.Raw(row)
	if !ok {
		return nil
	}
	if v.dict != col.Dict {
		v.dict, v.byCode = col.Dict, nil
	}
	if code >= int64(len(v.byCode)) {
		if code >= mostCodes {
			return v.byValue[v.dict.Value(uint32(code)).Str]
		}
		for next := len(v.byCode); next <= int(code); next++ {
			v.byCode = append(v.byCode, v.byValue[v.dict.Value(uint32(next)).Str])
		}
	}
	return v.byCode[code]
}

// mostCodes limits the number of codes in byCode.
const mostCodes = 4096

// add registers a step with its event.
func (l *listeners) add(s *step) {
	if s.equal == nil {
		l.steps = append(l.steps, s)
		return
	}
	var of *valued
	for _, v := range l.valued {
		if v.property == s.equal.property {
			of = v
		}
	}
	if of == nil {
		of = &valued{property: s.equal.property, byValue: map[string][]*step{}}
		l.valued = append(l.valued, of)
	}
	for _, value := range s.equal.values {
		of.byValue[value] = with(of.byValue[value], s)
	}
	of.byCode = nil
}

func (l *listeners) remove(s *step) {
	if s.equal == nil {
		l.steps = without(l.steps, s)
		return
	}
	for _, v := range l.valued {
		if v.property != s.equal.property {
			continue
		}
		for _, value := range s.equal.values {
			if v.byValue[value] = without(v.byValue[value], s); len(v.byValue[value]) == 0 {
				delete(v.byValue, value)
			}
		}
		v.byCode = nil
		if len(v.byValue) == 0 {
			l.valued = without(l.valued, v)
			return
		}
	}
}

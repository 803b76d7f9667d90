package eval

import (
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Tally is an event measure taken over the events of many profiles together: what a shard knows, to
// be merged with what the others know.
type Tally struct {
	Fn    tree.Fn
	Count int64            // rows that took part
	Sum   tree.Sum         // sum, avg
	Best  tree.Value       // min, max
	Seen  map[Key]struct{} // distinct; days, as whole numbers
}

// NewTally returns an empty tally of a function.
func NewTally(fn tree.Fn) *Tally { return &Tally{Fn: fn} }

// AddValue takes one value in; the missing one does not take part, except for count.
func (t *Tally) AddValue(v tree.Value) {
	if t.Fn == tree.CountFn {
		t.Count++
		return
	}
	if v.Missing() {
		return
	}
	switch t.Fn {
	case tree.SumFn, tree.AvgFn:
		if v.Type != tree.NumberType {
			return
		}
		s, ok := tree.Billionths(v.Number())
		if !ok {
			return
		}
		t.Sum = t.Sum.Add(s)
	case tree.MinFn, tree.MaxFn:
		t.best(v)
	default:
		t.see(KeyOf(v))
	}
	t.Count++
}

func (t *Tally) best(v tree.Value) {
	if t.Best.Missing() || (v.Compare(t.Best) < 0) == (t.Fn == tree.MinFn) {
		t.Best = v
	}
}

func (t *Tally) see(k Key) {
	if t.Seen == nil {
		t.Seen = map[Key]struct{}{}
	}
	t.Seen[k] = struct{}{}
}

// Merge takes in what o knows. It does not change o.
func (t *Tally) Merge(o *Tally) {
	t.Count += o.Count
	t.Sum = t.Sum.Add(o.Sum)
	if !o.Best.Missing() {
		t.best(o.Best)
	}
	for k := range o.Seen {
		t.see(k)
	}
}

// Result returns the value of the measure: of no rows, count, sum, distinct and days are 0, the
// others missing.
func (t *Tally) Result() tree.Value {
	switch t.Fn {
	case tree.CountFn:
		return tree.NumInt(t.Count)
	case tree.SumFn:
		return tree.Num(t.Sum.Number())
	case tree.AvgFn:
		if n, ok := t.Sum.Average(t.Count); ok {
			return tree.Num(n)
		}
		return tree.Value{}
	case tree.MinFn, tree.MaxFn:
		return t.Best
	}
	return tree.NumInt(int64(len(t.Seen)))
}

// EventMeasure is a compiled event measure for tallies: any of 1.3 but first, last and favorite.
type EventMeasure struct {
	env *Env
	m   measure
}

// CompileEventMeasure prepares a checked measure of events.
func CompileEventMeasure(env *Env, m *tree.Measure) (*EventMeasure, error) {
	c := compiler{env: env, zone: env.zone()}
	o, err := c.measure(m)
	if err != nil {
		return nil, fmt.Errorf("compile measure: %w", err)
	}
	return &EventMeasure{env: env, m: o.(measure)}, nil
}

// Tally returns an empty tally of the measure.
func (m *EventMeasure) Tally() *Tally { return NewTally(m.m.fn) }

// On binds m to a source, for one goroutine.
func (m *EventMeasure) On(src query.Source) *EventMeter {
	return &EventMeter{m.m.bind(newRun(src, m.env)).(*measureLoader)}
}

// EventMeter takes the rows of one source into tallies.
type EventMeter struct{ m *measureLoader }

// Add takes the rows of the candidates in one chunk into the tally that pick names for their
// profile; pick may return nil to leave a profile out.
func (e *EventMeter) Add(chunk int, cand *query.Bits, pick func(pos uint16) *Tally) {
	m := e.m
	plain := m.fn == tree.CountFn || m.fn == tree.DaysFn
	m.scan.each(chunk, cand[:], func(b *query.Block, rows []uint64) {
		if !plain && !m.arg.load(chunk, b, rows) {
			return
		}
		eachSelected(b, rows, func(i int) {
			if !cand.Has(b.Pos[i]) {
				return
			}
			t := pick(b.Pos[i])
			switch {
			case t == nil:
			case m.fn == tree.CountFn:
				t.Count++
			case m.fn == tree.DaysFn:
				t.Count++
				t.see(Key{Type: tree.NumberType, Int: m.days.Of(b.Time(i))})
			default:
				t.AddValue(m.arg.value(i))
			}
		})
	})
}

package eval

import (
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Events is a compiled step with its window and with expressions over its properties. Statements such
// as trend and funnel read events with it.
type Events struct {
	env  *Env
	step step
	args []argument
}

// CompileEvents compiles a checked step. args are expressions over the properties of the event.
func CompileEvents(env *Env, s tree.Step, w tree.Window, args ...tree.Expr) (*Events, error) {
	c := compiler{env: env, zone: env.zone()}
	st, err := c.step(s, w)
	if err != nil {
		return nil, fmt.Errorf("compile step: %w", err)
	}
	e := &Events{env: env, step: st}
	inner := compiler{env: env, zone: env.zone(), event: &eventScope{st.event, st.known}}
	for _, x := range args {
		o, err := inner.expr(x)
		if err != nil {
			return nil, fmt.Errorf("compile argument: %w", err)
		}
		e.args = append(e.args, newArgument(o))
	}
	return e, nil
}

// Window returns the window in Unix ms, [from, to). It ends at now at the latest.
func (e *Events) Window() (from, to int64) { return e.step.from, e.step.to }

// Type returns the type of argument k.
func (e *Events) Type(k int) tree.Type { return e.args[k].x.typ() }

// On binds e to a source, for one goroutine.
func (e *Events) On(src query.Source) *EventScan {
	run := newRun(src, e.env)
	s := &EventScan{scan: e.step.bind(run)}
	s.sorter.scratch = run.scratch
	for _, a := range e.args {
		s.args = append(s.args, a.bind(run))
	}
	s.live = make([]bool, len(s.args))
	return s
}

// EventScan reads the rows of one step over one source.
type EventScan struct {
	scan *scan
	args []*argLoader
	live []bool // per argument: whether the current block has values

	rows   []rowRef // of one chunk, for timelines
	sorter refSorter
	times  []int64
}

// Narrow limits the scan to rows in [from, to).
func (e *EventScan) Narrow(from, to int64) {
	e.scan.from, e.scan.to = max(e.scan.from, from), min(e.scan.to, to)
}

// Window returns the bounds of the rows that are read, [from, to).
func (e *EventScan) Window() (from, to int64) { return e.scan.from, e.scan.to }

// Blocks calls fn with every block of a chunk that has rows of the step, and with the set of those
// rows; nil means all of them. The set may include rows of profiles outside cand. fn may call Arg and
// Column. The set is valid until fn returns.
func (e *EventScan) Blocks(chunk int, cand *query.Bits, fn func(b *query.Block, rows []uint64)) {
	e.scan.each(chunk, cand[:], func(b *query.Block, rows []uint64) {
		for k, a := range e.args {
			e.live[k] = a.load(chunk, b, rows)
		}
		fn(b, rows)
	})
}

// Within reports whether every row of a chunk is known to belong to a profile of the set.
func (e *EventScan) Within(chunk int, set *query.Bits) bool {
	series := e.scan.series(chunk)
	ever := series.Ever.Count()
	if ever == 0 {
		return series.Rows == 0
	}
	var inside query.Bits
	return series.Ever.Among(set[:], set.Count(), inside[:]) == ever
}

// Each calls fn with every row of the candidates in a chunk that satisfies the step, in no particular
// order. fn may call Arg.
func (e *EventScan) Each(chunk int, cand *query.Bits, fn func(b *query.Block, row int)) {
	e.Blocks(chunk, cand, func(b *query.Block, rows []uint64) {
		eachSelected(b, rows, func(i int) {
			if cand.Has(b.Pos[i]) {
				fn(b, i)
			}
		})
	})
}

// Column returns the column of argument k in the current block of Blocks; nil if the argument is not a
// column there.
func (e *EventScan) Column(k int) *query.Vec {
	if !e.live[k] {
		return nil
	}
	return e.args[k].vec
}

// Arg returns the value of argument k in a row of the current block.
func (e *EventScan) Arg(k, row int) tree.Value {
	if !e.live[k] {
		return tree.Value{}
	}
	return e.args[k].value(row)
}

// timelines calls fn for each candidate, ordered by position, with the times of its rows in each of the
// scans, ascending. Candidates without a row in the first scan are left out. The slices are valid until
// fn returns.
func timelines(scans []*EventScan, chunk int, cand *query.Bits, fn func(pos uint16, times [][]int64)) {
	wanted := *cand
	for k, s := range scans {
		s.rows = s.rows[:0]
		var met query.Bits
		s.Each(chunk, &wanted, func(b *query.Block, i int) {
			s.rows = append(s.scan.run.scratch.refs.extend(s.rows, 1), rowRef{time: b.Time(i), pos: b.Pos[i]})
			met.Set(b.Pos[i])
		})
		if k == 0 {
			wanted = met
		}
		s.sorter.sort(&s.rows)
	}
	at := make([]int, len(scans))
	times := make([][]int64, len(scans))
	for pos := range wanted.All {
		if !scans[0].scan.run.scratch.Spend(len(scans)) {
			return
		}
		for k, s := range scans {
			s.times = s.times[:0]
			for ; at[k] < len(s.rows) && s.rows[at[k]].pos == pos; at[k]++ {
				s.times = append(s.scan.run.scratch.i64.extend(s.times, 1), s.rows[at[k]].time)
			}
			times[k] = s.times
		}
		fn(pos, times)
	}
}

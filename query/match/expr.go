package match

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/tree"
)

// expr returns a value, and the next instant at which time may change it.
func (s *scope) expr(x tree.Expr) (v tree.Value, until int64) {
	switch x := x.(type) {
	case *tree.Name:
		return s.name(x)
	case *tree.Literal:
		if x.When != nil {
			from, _ := calendar.Span(*x.When, s.zone)
			return tree.Time(from), calendar.Forever
		}
		return x.Value, calendar.Forever
	case *tree.Arith:
		l, untilL := s.expr(x.L)
		r, untilR := s.expr(x.R)
		return arith(x.Op, l, r), min(untilL, untilR)
	case *tree.Measure:
		return s.measure(x)
	}
	return tree.Value{}, calendar.Forever
}

func arith(op tree.Op, l, r tree.Value) tree.Value {
	if l.Type != tree.NumberType || r.Type != tree.NumberType {
		return tree.Value{}
	}
	n, ok := op.Of(l.Number(), r.Number())
	if !ok {
		return tree.Value{}
	}
	return tree.Num(n)
}

func (s *scope) name(x *tree.Name) (v tree.Value, until int64) {
	switch {
	case x.Previous && s.prev == nil:
		return tree.Value{}, calendar.Forever
	case x.Previous:
		return s.p.property(*s.prev, x.Name), calendar.Forever
	case s.row != nil:
		return s.p.property(*s.row, x.Name), calendar.Forever
	}
	id, _, ok := s.p.schema.Attribute(x.Name)
	if ok && (id == query.AttrFirstSeen || id == query.AttrLastSeen) {
		// The source has the value over all events. It is correct unless it is later than now.
		if v = s.p.attribute(x.Name); !v.Missing() && v.Int <= s.now {
			return v, calendar.Forever
		}
		return s.seen(id == query.AttrLastSeen)
	}
	return s.p.attribute(x.Name), calendar.Forever
}

// seen returns the time of the profile's earliest or latest event up to now.
func (s *scope) seen(last bool) (v tree.Value, until int64) {
	until = calendar.Forever
	for _, at := range s.p.allTimes() {
		switch {
		case at > s.now:
			until = min(until, at)
		case v.Missing() || at > v.Int == last:
			v = tree.Time(at)
		}
	}
	return v, until
}

// measure computes a value from the events in its window.
func (s *scope) measure(m *tree.Measure) (v tree.Value, until int64) {
	rows, until := s.chosen(tree.Step{Event: m.Event, Where: m.Where}, m.Window)
	if len(rows) == 0 && s.ranked {
		return tree.Value{}, until
	}
	switch m.Fn {
	case tree.CountFn:
		return tree.NumInt(int64(len(rows))), until
	case tree.DaysFn:
		days := map[int64]bool{}
		for _, r := range rows {
			days[calendar.DayOf(r.at, s.zone)] = true
		}
		return tree.NumInt(int64(len(days))), until
	}
	var taken []timed
	for i := range rows {
		value, valueUntil := s.inside(&rows[i], nil).expr(m.Arg)
		until = min(until, valueUntil)
		if counted(m.Fn, value) {
			taken = append(taken, timed{rows[i].at, value})
		}
	}
	if len(taken) == 0 && s.ranked {
		return tree.Value{}, until
	}
	return fold(m.Fn, taken), until
}

// timed is a value and the time of its event.
type timed struct {
	at    int64
	value tree.Value
}

// counted reports whether a measure takes a value into account.
func counted(fn tree.Fn, v tree.Value) bool {
	switch fn {
	case tree.SumFn, tree.AvgFn:
		if v.Type != tree.NumberType {
			return false
		}
		_, ok := tree.Billionths(v.Number())
		return ok
	case tree.MinFn, tree.MaxFn:
		return v.Type == tree.NumberType || v.Type == tree.TimeType
	}
	return !v.Missing() && v.Type != tree.ListType
}

func fold(fn tree.Fn, taken []timed) tree.Value {
	switch fn {
	case tree.SumFn, tree.AvgFn:
		return foldSum(fn, taken)
	case tree.DistinctFn:
		return tree.NumInt(int64(len(tally(taken))))
	case tree.FavoriteFn:
		return favorite(tally(taken))
	}
	var best *timed
	for i := range taken {
		if best == nil || better(fn, taken[i], *best) {
			best = &taken[i]
		}
	}
	if best == nil {
		return tree.Value{}
	}
	return best.value
}

// better reports whether a is chosen over b. Of two events in one millisecond, the one with the smaller
// value counts as earlier.
func better(fn tree.Fn, a, b timed) bool {
	c := a.value.Compare(b.value)
	switch fn {
	case tree.MinFn:
		return c < 0
	case tree.MaxFn:
		return c > 0
	case tree.FirstFn:
		return a.at < b.at || a.at == b.at && c < 0
	}
	return a.at > b.at || a.at == b.at && c > 0
}

func foldSum(fn tree.Fn, taken []timed) tree.Value {
	var sum tree.Sum
	for _, t := range taken {
		value, _ := tree.Billionths(t.value.Number())
		sum = sum.Add(value)
	}
	if fn == tree.SumFn {
		return tree.Num(sum.Number())
	}
	average, ok := sum.Average(int64(len(taken)))
	if !ok {
		return tree.Value{}
	}
	return tree.Num(average)
}

// tallied is a value, how often it was seen, and when last.
type tallied struct {
	value tree.Value
	count int
	last  int64
}

func tally(taken []timed) []tallied {
	var all []tallied
	index := map[string]int{}
	for _, t := range taken {
		key := string(rune('0'+t.value.Type)) + text(t.value)
		i, ok := index[key]
		if !ok {
			i = len(all)
			index[key] = i
			all = append(all, tallied{value: t.value, last: t.at})
		}
		all[i].count++
		all[i].last = max(all[i].last, t.at)
	}
	return all
}

// favorite returns the most frequent value; of equally frequent ones the one seen latest, then the
// larger.
func favorite(all []tallied) tree.Value {
	var best tallied
	for _, t := range all {
		switch {
		case t.count != best.count:
			if t.count < best.count {
				continue
			}
		case t.last != best.last:
			if t.last < best.last {
				continue
			}
		case t.value.Compare(best.value) < 0:
			continue
		}
		best = t
	}
	return best.value
}

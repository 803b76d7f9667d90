package querytest

import (
	"math/big"
	"sort"

	"github.com/musterdb/muster/query/tree"
)

// events returns the events of a step inside a window and not after now, in order of arrival.
func (o *Oracle) events(who *Profile, step tree.Step, w tree.Window) []*Event {
	var found []*Event
	in := o.window(w)
	for i := range who.Events {
		e := &who.Events[i]
		if e.Name == step.Event && e.Time <= o.Now && in.holds(e.Time) &&
			(step.Where == nil || o.holds(step.Where, scope{who: who, ev: e})) {
			found = append(found, e)
		}
	}
	return found
}

// point is the contribution of one event to a measure.
type point struct {
	at    int64
	value tree.Value // missing for count and days
}

// points returns the events that count for a measure, earliest first. Within a millisecond the smaller value
// comes first.
func (o *Oracle) points(m *tree.Measure, who *Profile) []point {
	var points []point
	for _, e := range o.events(who, tree.Step{Event: m.Event, Where: m.Where}, m.Window) {
		p := point{at: e.Time}
		if m.Arg != nil {
			p.value = o.value(m.Arg, scope{who: who, ev: e})
			if p.value.Missing() {
				continue
			}
			if m.Fn == tree.SumFn || m.Fn == tree.AvgFn {
				if p.value.Type != tree.NumberType || billionths(p.value.Number()) == nil {
					continue
				}
			}
		}
		points = append(points, p)
	}
	sort.SliceStable(points, func(i, j int) bool {
		if points[i].at != points[j].at {
			return points[i].at < points[j].at
		}
		return points[i].value.Compare(points[j].value) < 0
	})
	return points
}

// measure returns an event measure of one profile.
func (o *Oracle) measure(m *tree.Measure, who *Profile) tree.Value {
	return o.reduce(m, o.points(m, who))
}

// reduce computes a measure from points, of one profile or of many.
func (o *Oracle) reduce(m *tree.Measure, points []point) tree.Value {
	switch m.Fn {
	case tree.CountFn:
		return tree.NumInt(int64(len(points)))
	case tree.DaysFn:
		days := map[date]bool{}
		for _, p := range points {
			days[o.day(p.at)] = true
		}
		return tree.NumInt(int64(len(days)))
	case tree.DistinctFn:
		return tree.NumInt(int64(len(frequencies(points))))
	case tree.SumFn:
		sum, _ := total(points).Float64()
		return number(sum)
	}
	if len(points) == 0 {
		return tree.Value{}
	}
	switch m.Fn {
	case tree.AvgFn:
		average, _ := new(big.Rat).Quo(total(points), big.NewRat(int64(len(points)), 1)).Float64()
		return number(average)
	case tree.FirstFn:
		return points[0].value
	case tree.LastFn:
		return points[len(points)-1].value
	case tree.FavoriteFn:
		return favorite(points)
	case tree.MedianFn:
		return percentile(points, big.NewRat(1, 2))
	case tree.PercentileFn:
		return percentile(points, new(big.Rat).Quo(rat(m.Percent), big.NewRat(100, 1)))
	}
	best := points[0].value
	for _, p := range points {
		if c := p.value.Compare(best); m.Fn == tree.MinFn && c < 0 || m.Fn == tree.MaxFn && c > 0 {
			best = p.value
		}
	}
	return best
}

func number(f float64) tree.Value {
	n, ok := tree.FromFloat(f)
	if !ok {
		return tree.Value{}
	}
	return tree.Num(n)
}

// billionths returns n rounded to nine decimals, half away from zero, or nil beyond ±10^18.
func billionths(n tree.Number) *big.Rat {
	r := rat(n)
	limit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil))
	if new(big.Rat).Abs(r).Cmp(limit) > 0 {
		return nil
	}
	rounded, ok := new(big.Rat).SetString(r.FloatString(9))
	if !ok {
		return nil
	}
	return rounded
}

// total returns the exact sum.
func total(points []point) *big.Rat {
	sum := new(big.Rat)
	for _, p := range points {
		sum.Add(sum, billionths(p.value.Number()))
	}
	return sum
}

type frequency struct {
	value tree.Value
	n     int
	last  int64
}

func frequencies(points []point) []frequency {
	var all []frequency
next:
	for _, p := range points {
		for i := range all {
			if all[i].value.Equal(p.value) {
				all[i].n++
				all[i].last = max(all[i].last, p.at)
				continue next
			}
		}
		all = append(all, frequency{p.value, 1, p.at})
	}
	return all
}

// favorite returns the most frequent value. Of several, it is the one seen last, then the larger one.
func favorite(points []point) tree.Value {
	all := frequencies(points)
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if a.n != b.n {
			return a.n > b.n
		}
		if a.last != b.last {
			return a.last > b.last
		}
		return a.value.Compare(b.value) > 0
	})
	return all[0].value
}

// percentile interpolates linearly at rank share × (n − 1) of the sorted values.
func percentile(points []point, share *big.Rat) tree.Value {
	values := make([]tree.Value, len(points))
	for i, p := range points {
		values[i] = p.value
	}
	sort.Slice(values, func(i, j int) bool { return values[i].Compare(values[j]) < 0 })
	rank := new(big.Rat).Mul(share, big.NewRat(int64(len(values)-1), 1))
	below := int(new(big.Int).Quo(rank.Num(), rank.Denom()).Int64())
	rest := new(big.Rat).Sub(rank, big.NewRat(int64(below), 1))
	lo := values[below]
	if rest.Sign() == 0 {
		return lo
	}
	a, b := rat(lo.Number()), rat(values[below+1].Number())
	at := new(big.Rat).Add(a, rest.Mul(rest, new(big.Rat).Sub(b, a)))
	f, _ := at.Float64()
	return number(f)
}

// sequence tries every choice of events.
func (o *Oracle) sequence(q *tree.Sequence, who *Profile) bool {
	for _, e := range o.events(who, q.First, q.Window) {
		if o.continues(q.Steps, e, who) {
			return true
		}
	}
	return false
}

// continues reports whether the remaining steps are done after the chosen event.
func (o *Oracle) continues(steps []tree.SeqStep, chosen *Event, who *Profile) bool {
	if len(steps) == 0 {
		return true
	}
	step := steps[0]
	until := o.Now
	if step.Within != nil {
		gap, _ := step.Within.Millis()
		until = chosen.Time + gap
	}
	found := false
	for i := range who.Events {
		e := &who.Events[i]
		if e.Name != step.Step.Event || e.Time <= chosen.Time || e.Time > until || e.Time > o.Now {
			continue
		}
		if step.Step.Where != nil && !o.holds(step.Step.Where, scope{who: who, ev: e, previous: chosen}) {
			continue
		}
		found = true
		if !step.Absent && o.continues(steps[1:], e, who) {
			return true
		}
	}
	return step.Absent && !found && until <= o.Now && o.continues(steps[1:], chosen, who)
}

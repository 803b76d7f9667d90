package querytest

import (
	"fmt"
	"math/big"
	"sort"

	"github.com/musterdb/muster/query/tree"
)

// funnelRows tries every first event of every member.
func (o *Oracle) funnelRows(s *tree.FunnelStmt) [][]tree.Value {
	members := o.Members(s.Where)
	groups := []*group{{members: members}}
	if len(s.By) > 0 {
		groups = o.groups(s.By, members)
	}
	var rows [][]tree.Value
	for _, g := range groups {
		reached := make([]int64, len(s.Steps))
		for _, who := range g.members {
			best := 0
			for _, e := range o.events(who, s.Steps[0], s.Window) {
				until := o.Now
				if gap, ok := s.Within.Millis(); ok && s.Within.N > 0 {
					until = min(until, e.Time+gap)
				}
				best = max(best, 1+o.furthest(s.Steps[1:], e.Time, until, who))
			}
			for k := range best {
				reached[k]++
			}
		}
		for k, step := range s.Steps {
			conversion := missing
			if reached[0] > 0 {
				conversion = number(float64(reached[k]) / float64(reached[0]))
			}
			row := append(append([]tree.Value(nil), g.key...), tree.NumInt(int64(k+1)), tree.Str(step.Event))
			rows = append(rows, append(row, tree.NumInt(reached[k]), conversion))
		}
	}
	return rows
}

// furthest returns how many of the steps are done in order after an instant.
func (o *Oracle) furthest(steps []tree.Step, after, until int64, who *Profile) int {
	if len(steps) == 0 {
		return 0
	}
	best := 0
	for _, e := range o.events(who, steps[0], tree.Window{}) {
		if e.Time > after && e.Time <= until {
			best = max(best, 1+o.furthest(steps[1:], e.Time, until, who))
		}
	}
	return best
}

func (o *Oracle) retentionRows(s *tree.RetentionStmt) [][]tree.Value {
	type start struct {
		who *Profile
		at  int64
	}
	var all []start
	first := o.Now + 1
	for i := range o.History.Profiles {
		who := &o.History.Profiles[i]
		if s.Where != nil && !o.Holds(s.Where, who) {
			continue
		}
		at := o.Now + 1
		for _, e := range o.events(who, s.First, s.Window) {
			at = min(at, e.Time)
		}
		if at <= o.Now {
			all = append(all, start{who, at})
			first = min(first, at)
		}
	}
	periods := o.buckets(s.Window, s.Bucket, first)
	var rows [][]tree.Value
	for _, cohort := range periods {
		size := int64(0)
		counts := make([]int64, len(periods))
		for _, a := range all {
			if from, _ := o.bucket(a.at, s.Bucket); from != cohort {
				continue
			}
			size++
			for k, at := range o.following(cohort, s.Bucket, len(periods)) {
				_, end := o.bucket(at, s.Bucket)
				for _, e := range o.events(a.who, s.Then, tree.Window{}) {
					if e.Time >= max(at, a.at) && e.Time < end {
						counts[k]++
						break
					}
				}
			}
		}
		if size == 0 {
			continue
		}
		row := []tree.Value{o.bucketName(cohort, s.Bucket), tree.NumInt(size)}
		for k, at := range o.following(cohort, s.Bucket, len(periods)) {
			if at > o.Now {
				row = append(row, missing)
			} else {
				row = append(row, tree.NumInt(counts[k]))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// following returns the starts of n consecutive buckets, of which the first begins at start.
func (o *Oracle) following(start int64, unit tree.Unit, n int) []int64 {
	var starts []int64
	for range n {
		starts = append(starts, start)
		_, start = o.bucket(start, unit)
	}
	return starts
}

func (o *Oracle) rfmRows(s *tree.RFMStmt) [][]tree.Value {
	var scored [][3]tree.Value
	for _, who := range o.Members(s.Where) {
		found := o.events(who, s.Step, s.Window)
		if len(found) == 0 {
			continue
		}
		m := &tree.Measure{Fn: tree.SumFn, Event: s.Step.Event, Where: s.Step.Where, Arg: s.Amount, Window: s.Window}
		latest := found[0].Time
		for _, e := range found {
			latest = max(latest, e.Time)
		}
		scored = append(scored, [3]tree.Value{tree.Time(latest), tree.NumInt(int64(len(found))), o.measure(m, who)})
	}
	cells := map[string]int64{}
	keys := map[string][]tree.Value{}
	for _, one := range scored {
		var key []tree.Value
		for k := range 3 {
			less := 0
			for _, other := range scored {
				if other[k].Compare(one[k]) < 0 {
					less++
				}
			}
			key = append(key, tree.NumInt(int64(1+5*less/len(scored))))
		}
		cells[fmt.Sprint(key)]++
		keys[fmt.Sprint(key)] = key
	}
	var rows [][]tree.Value
	for _, text := range sortedKeys(cells) {
		rows = append(rows, append(keys[text], tree.NumInt(cells[text])))
	}
	sort.SliceStable(rows, func(i, j int) bool { return lessRow(rows[i], rows[j]) })
	return rows
}

// insightsRows counts every fact of profiles, inside and outside.
func (o *Oracle) insightsRows(s *tree.InsightsStmt) [][]tree.Value {
	type fact struct {
		row         []tree.Value
		in, outside float64
	}
	facts := map[string]*fact{}
	inside, outside := 0.0, 0.0
	for i := range o.History.Profiles {
		who := &o.History.Profiles[i]
		in := o.Holds(s.Where, who)
		out := !in
		if s.Against != nil {
			out = o.Holds(s.Against, who)
		}
		if in {
			inside++
		}
		if out {
			outside++
		}
		for _, row := range o.facts(who) {
			key := fmt.Sprint(row)
			if facts[key] == nil {
				facts[key] = &fact{row: row}
			}
			if in {
				facts[key].in++
			}
			if out {
				facts[key].outside++
			}
		}
	}
	var rows [][]tree.Value
	var gaps []*big.Rat
	for _, key := range sortedKeys(facts) {
		f := facts[key]
		if f.in+f.outside == 0 {
			continue
		}
		a, b := f.in/max(inside, 1), f.outside/max(outside, 1)
		lift := missing
		if b > 0 {
			lift = number(a / b)
		}
		gap := new(big.Rat).Sub(big.NewRat(int64(f.in), int64(max(inside, 1))), big.NewRat(int64(f.outside), int64(max(outside, 1))))
		gaps = append(gaps, gap.Abs(gap))
		rows = append(rows, append(f.row, number(a), number(b), lift))
	}
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := order[i], order[j]
		if c := gaps[a].Cmp(gaps[b]); c != 0 {
			return c > 0
		}
		return lessRow(rows[a][:3], rows[b][:3])
	})
	sorted := make([][]tree.Value, len(rows))
	for i, k := range order {
		sorted[i] = rows[k]
	}
	return cutRows(sorted, 100)
}

// facts returns the strings, booleans and list items of a profile, and the events that it ever did.
func (o *Oracle) facts(who *Profile) [][]tree.Value {
	var rows [][]tree.Value
	for _, name := range sortedKeys(who.Attrs) {
		v := who.Attrs[name]
		switch v.Type {
		case tree.StringType, tree.BoolType:
			rows = append(rows, []tree.Value{tree.Str("attribute"), tree.Str(name), v})
		case tree.ListType:
			for _, item := range o.dimension(tree.Dimension{Name: &tree.Name{Name: name}}, who) {
				rows = append(rows, []tree.Value{tree.Str("attribute"), tree.Str(name), item})
			}
		}
	}
	for _, name := range sortedKeys(o.types.Events) {
		if len(o.events(who, tree.Step{Event: name}, tree.Window{})) > 0 {
			rows = append(rows, []tree.Value{tree.Str("event"), tree.Str(name), missing})
		}
	}
	return rows
}

package querytest

import (
	"fmt"
	"math/big"
	"sort"
	"strings"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// missing is (not set) in an answer.
var missing = tree.Value{}

// Rows answers a statement in the zone and at the instant of the oracle. It returns the rows in order, without
// column names.
func (o *Oracle) Rows(stmt tree.Stmt) [][]tree.Value {
	switch s := stmt.(type) {
	case *tree.CountStmt:
		return o.countRows(s)
	case *tree.ListStmt:
		return o.listRows(s)
	case *tree.StatsStmt:
		return o.statsRows(s)
	case *tree.TrendStmt:
		return o.trendRows(s)
	case *tree.FunnelStmt:
		return o.funnelRows(s)
	case *tree.RetentionStmt:
		return o.retentionRows(s)
	case *tree.OverlapStmt:
		return o.overlapRows(s)
	case *tree.InsightsStmt:
		return o.insightsRows(s)
	case *tree.RFMStmt:
		return o.rfmRows(s)
	}
	panic(fmt.Sprintf("oracle: %T", stmt))
}

// group is the members with equal dimensions. With a list attribute, a profile can be in several groups.
type group struct {
	key     []tree.Value
	members []*Profile
}

// groups groups members by their dimensions, in ascending order, with (not set) after every value.
func (o *Oracle) groups(by []tree.Dimension, members []*Profile) []*group {
	found := map[string]*group{}
	for _, who := range members {
		keys := [][]tree.Value{nil}
		for _, d := range by {
			var longer [][]tree.Value
			for _, key := range keys {
				for _, v := range o.dimension(d, who) {
					longer = append(longer, append(append([]tree.Value(nil), key...), v))
				}
			}
			keys = longer
		}
		for _, key := range keys {
			text := fmt.Sprint(key)
			if found[text] == nil {
				found[text] = &group{key: key}
			}
			found[text].members = append(found[text].members, who)
		}
	}
	all := make([]*group, 0, len(found))
	for _, text := range sortedKeys(found) {
		all = append(all, found[text])
	}
	sort.SliceStable(all, func(i, j int) bool { return lessRow(all[i].key, all[j].key) })
	return all
}

func lessRow(a, b []tree.Value) bool {
	for i := range a {
		if c := a[i].Compare(b[i]); c != 0 {
			return c < 0
		}
	}
	return false
}

// dimension returns the values of one `by` for a profile: a single one, or each item of a list once.
func (o *Oracle) dimension(d tree.Dimension, who *Profile) []tree.Value {
	switch {
	case d.Segment != nil:
		return []tree.Value{tree.Bool(o.Holds(d.Segment, who))}
	case d.Measure != nil:
		return []tree.Value{o.Value(d.Measure, who)}
	}
	v := o.Value(d.Name, who)
	switch {
	case v.Missing():
		return []tree.Value{v}
	case d.Step != nil:
		return []tree.Value{lowerEnd(v.Number(), *d.Step)}
	case d.Unit != tree.NoUnit:
		return []tree.Value{tree.Str(floor(o.day(v.Int), d.Unit).text())}
	case v.Type != tree.ListType:
		return []tree.Value{v}
	}
	var items []tree.Value
	for _, item := range v.List {
		seen := false
		for _, other := range items {
			seen = seen || other.Equal(item)
		}
		if !seen {
			items = append(items, item)
		}
	}
	return items
}

// lowerEnd returns ⌊x ÷ step⌋ × step.
func lowerEnd(x, step tree.Number) tree.Value {
	q := new(big.Rat).Quo(rat(x), rat(step))
	whole := new(big.Int).Div(q.Num(), q.Denom()) // Euclidean division, which rounds down for positive denominators
	return num(new(big.Rat).Mul(new(big.Rat).SetInt(whole), rat(step)).FloatString(18))
}

func cutRows(rows [][]tree.Value, limit int64) [][]tree.Value {
	if limit >= 0 && int64(len(rows)) > limit {
		return rows[:limit]
	}
	return rows
}

func (o *Oracle) countRows(s *tree.CountStmt) [][]tree.Value {
	var rows [][]tree.Value
	members := o.Members(s.Where)
	if len(s.By) == 0 {
		return [][]tree.Value{{tree.NumInt(int64(len(members)))}}
	}
	for _, g := range o.groups(s.By, members) {
		rows = append(rows, append(g.key, tree.NumInt(int64(len(g.members)))))
	}
	if first := s.By[0]; first.Step == nil && first.Unit == tree.NoUnit {
		n := len(s.By)
		sort.SliceStable(rows, func(i, j int) bool { return rows[i][n].Compare(rows[j][n]) > 0 })
	}
	return cutRows(rows, s.Limit)
}

func (o *Oracle) listRows(s *tree.ListStmt) [][]tree.Value {
	members := o.Members(s.Where)
	sort.Slice(members, func(i, j int) bool {
		for _, by := range s.Order {
			a, b := o.Value(by.X, members[i]), o.Value(by.X, members[j])
			c := a.Compare(b)
			if by.Desc && !a.Missing() && !b.Missing() {
				c = -c
			}
			if c != 0 {
				return c < 0
			}
		}
		return members[i].ID() < members[j].ID()
	})
	var rows [][]tree.Value
	for _, who := range members {
		row := []tree.Value{tree.Str(who.ID())}
		for _, c := range s.Columns {
			if name, ok := c.X.(*tree.Name); ok && name.Name == "user_id" && c.As == "" {
				continue // the row begins with it
			}
			row = append(row, o.Value(c.X, who))
		}
		rows = append(rows, row)
	}
	return cutRows(rows, s.Limit)
}

func (o *Oracle) statsRows(s *tree.StatsStmt) [][]tree.Value {
	members := o.Members(s.Where)
	all := []*group{{members: members}}
	if len(s.By) > 0 {
		all = o.groups(s.By, members)
	}
	var rows [][]tree.Value
	for _, g := range all {
		row := g.key
		for _, c := range s.Columns {
			row = append(row, o.over(c.X, g.members))
		}
		rows = append(rows, row)
	}
	return cutRows(rows, s.Limit)
}

// over computes a measure over the attributes of the members, or over all their events.
func (o *Oracle) over(x tree.Expr, members []*Profile) tree.Value {
	switch x := x.(type) {
	case *tree.Arith:
		return arith(x.Op, o.over(x.L, members), o.over(x.R, members))
	case *tree.Literal:
		return x.Value
	}
	m := x.(*tree.Measure)
	var points []point
	for _, who := range members {
		switch {
		case m.Event != "":
			points = append(points, o.points(m, who)...)
		case m.Arg == nil:
			points = append(points, point{})
		default:
			v := o.Value(m.Arg, who)
			sums := m.Fn == tree.SumFn || m.Fn == tree.AvgFn
			if !v.Missing() && !(sums && billionths(v.Number()) == nil) {
				points = append(points, point{value: v})
			}
		}
	}
	return o.reduce(m, points)
}

// bucket returns the start of the bucket that contains ms, and the first instant after the bucket.
func (o *Oracle) bucket(ms int64, unit tree.Unit) (from, to int64) {
	if unit != tree.Hour {
		d := floor(o.day(ms), unit)
		return o.dayStart(d), o.dayStart(following(d, unit))
	}
	t := time.UnixMilli(ms).In(o.Zone)
	from = ms - int64(t.Minute()*60+t.Second())*1000 - int64(t.Nanosecond()/1e6)
	to = from + 3_600_000
	start, end := t.ZoneBounds() // an hour ends where the clocks change
	if !start.IsZero() {
		from = max(from, start.UnixMilli())
	}
	if !end.IsZero() {
		to = min(to, end.UnixMilli())
	}
	return from, to
}

func (o *Oracle) bucketName(from int64, unit tree.Unit) tree.Value {
	if unit == tree.Hour {
		return tree.Str(time.UnixMilli(from).In(o.Zone).Format(time.RFC3339))
	}
	return tree.Str(o.day(from).text())
}

// buckets returns the starts of the buckets of a window, from the one that contains its start to the one that
// contains its end or now, whichever is earlier. first stands in for the start of a window without one.
func (o *Oracle) buckets(w tree.Window, unit tree.Unit, first int64) []int64 {
	in := o.window(w)
	if in.first > -1<<62 {
		first = in.first
	}
	var starts []int64
	for at := first; at <= min(in.last, o.Now); {
		from, to := o.bucket(at, unit)
		starts = append(starts, from)
		at = to
	}
	return starts
}

func (o *Oracle) trendRows(s *tree.TrendStmt) [][]tree.Value {
	type happening struct {
		who *Profile
		ev  *Event
	}
	members := o.Members(s.Where)
	first := o.Now + 1
	var all []happening
	var active []*Profile
	for _, who := range members {
		found := o.events(who, s.Step, s.Window)
		for _, e := range found {
			first = min(first, e.Time)
			all = append(all, happening{who, e})
		}
		if len(found) > 0 {
			active = append(active, who)
		}
	}
	groups := []*group{{members: members}}
	if len(s.By) > 0 {
		groups = o.groups(s.By, active)
	}
	var rows [][]tree.Value
	for _, start := range o.buckets(s.Window, s.Bucket, first) {
		for _, g := range groups {
			var points []point
			users := map[*Profile]bool{}
			for _, h := range all {
				if from, _ := o.bucket(h.ev.Time, s.Bucket); from != start || !contains(g.members, h.who) {
					continue
				}
				users[h.who] = true
				p := point{at: h.ev.Time}
				if s.Of != nil && s.Of.Arg != nil {
					p.value = o.value(s.Of.Arg, scope{who: h.who, ev: h.ev})
					sums := s.Of.Fn == tree.SumFn || s.Of.Fn == tree.AvgFn
					if p.value.Missing() || sums && billionths(p.value.Number()) == nil {
						continue
					}
				}
				points = append(points, p)
			}
			v := tree.NumInt(int64(len(points)))
			if s.Users {
				v = tree.NumInt(int64(len(users)))
			} else if s.Of != nil {
				v = o.reduce(s.Of, points)
			}
			row := append([]tree.Value{o.bucketName(start, s.Bucket)}, g.key...)
			rows = append(rows, append(row, v))
		}
	}
	return rows
}

func contains(members []*Profile, who *Profile) bool {
	for _, m := range members {
		if m == who {
			return true
		}
	}
	return false
}

func (o *Oracle) overlapRows(s *tree.OverlapStmt) [][]tree.Value {
	counts := map[string]int64{}
	for i := range o.History.Profiles {
		var region strings.Builder
		for _, p := range s.Preds {
			fmt.Fprintf(&region, "%t ", o.Holds(p, &o.History.Profiles[i]))
		}
		counts[region.String()]++
	}
	var rows [][]tree.Value
	for i := range 1 << len(s.Preds) {
		var row []tree.Value
		var region strings.Builder
		for k := range s.Preds {
			in := i>>(len(s.Preds)-1-k)&1 == 0 // true before false
			row = append(row, tree.Bool(in))
			fmt.Fprintf(&region, "%t ", in)
		}
		rows = append(rows, append(row, tree.NumInt(counts[region.String()])))
	}
	return rows
}

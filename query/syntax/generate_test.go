package syntax

import (
	"math/rand/v2"

	"github.com/musterdb/muster/query/tree"
)

// generator makes random trees of every form of the language.
type generator struct{ *rand.Rand }

func pick[T any](g generator, items ...T) T { return items[g.IntN(len(items))] }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) nameText() string {
	return pick(g, "country", "age", "Country", "count", "last", "days", "top", "today", "previous", "address.city", "größe", "名前", "कीमत", "_x1",
		"where", "NOT", "Lifetime Value", "1st", "a`b", "`", "previous.p", "Previous.x.y", "a.", ".", "a-b", "--", "x\ny", "in", "everyone", "true", "users", "desc", "now")
}

func (g generator) text() string {
	return pick(g, "BR", "it's", `say "x"`, `\d+`, `\`, `\\`, `\"`, "\n", "a\tb", `\n`, "--", "`", "ü☃", "2026-01-31", "2026-01-31T10:00:00Z", "%", "(", " ", "\r", "\\\n", "\x00")
}

func (g generator) event() string {
	return pick(g, "Order Completed", "order", "not", "where", "A", `"`, `\`, "a`b", "2026-01-31", "did")
}

func (g generator) number() tree.Number {
	switch g.IntN(4) {
	case 0:
		n, _ := tree.FromFloat((g.Float64() - 0.5) * pick(g, 1, 1e3, 1e30, 1e-30))
		return n
	case 1:
		return tree.Decimal(g.Int64N(2e15)-1e15, int8(g.IntN(19)))
	case 2:
		return tree.Int(int64(g.Uint64() >> 1))
	}
	return tree.Int(g.Int64N(200) - 100)
}

func (g generator) when() tree.When {
	if g.chance(50) {
		return tree.When{Date: true, Y: g.IntN(10000), M: 1 + g.IntN(12), D: 1 + g.IntN(28)}
	}
	return tree.When{Millis: g.Int64N(4e12) - 2e12}
}

func (g generator) duration(units ...tree.Unit) tree.Duration {
	return tree.Duration{N: g.Int64N(100), Unit: pick(g, units...)}
}

func (g generator) anyDuration() tree.Duration {
	return g.duration(tree.Second, tree.Minute, tree.Hour, tree.Day, tree.Week, tree.Month, tree.Year)
}

func (g generator) fixedDuration() tree.Duration {
	return g.duration(tree.Second, tree.Minute, tree.Hour, tree.Day, tree.Week)
}

func (g generator) window(next bool) tree.Window {
	w := tree.Window{Kind: tree.WindowKind(g.IntN(int(tree.Before) + 1))}
	switch w.Kind {
	case tree.InNext:
		if !next {
			return tree.Window{}
		}
		w.Last = g.anyDuration()
	case tree.InLast, tree.MoreThanAgo:
		w.Last = g.anyDuration()
	case tree.BetweenAgo:
		w.Last, w.Other = g.anyDuration(), g.anyDuration()
	case tree.This, tree.LastUnit:
		w.Unit = pick(g, tree.Week, tree.Month, tree.Quarter, tree.Year)
	case tree.On:
		w.From = tree.When{Date: true, Y: 2026, M: 1, D: 1 + g.IntN(31)}
	case tree.Since:
		w.From = g.when()
	case tree.Before:
		w.From = g.when()
	case tree.Between:
		if w.From, w.To = g.when(), g.when(); before(w.To, w.From) {
			w.From, w.To = w.To, w.From
		}
	}
	return w
}

func (g generator) literal() *tree.Literal {
	switch g.IntN(4) {
	case 0:
		w := g.when()
		return &tree.Literal{When: &w}
	case 1:
		return &tree.Literal{Value: tree.Num(g.number())}
	case 2:
		return &tree.Literal{Value: tree.Bool(g.chance(50))}
	}
	return &tree.Literal{Value: tree.Str(g.text())}
}

func (g generator) literals() []*tree.Literal {
	out := []*tree.Literal{g.literal()}
	for g.chance(50) {
		out = append(out, g.literal())
	}
	return out
}

func (g generator) name(s scope) *tree.Name {
	return &tree.Name{Name: g.nameText(), Previous: s == ofLaterStep && g.chance(30)}
}

// expr makes an expression. In the columns of stats, names occur only inside measures.
func (g generator) expr(depth int, s scope) tree.Expr {
	switch n := g.IntN(10); {
	case depth > 0 && n < 2:
		return &tree.Arith{Op: tree.AddOp + tree.Op(g.IntN(4)), L: g.expr(depth-1, s), R: g.expr(depth-1, s)}
	case depth > 0 && n < 5 && (s == ofProfile || s == ofMembers), s == ofMembers:
		return g.measure(depth-1, s)
	case n < 7:
		return g.literal()
	}
	return g.name(s)
}

func (g generator) measure(depth int, s scope) *tree.Measure {
	m := &tree.Measure{Fn: tree.Fn(g.IntN(int(tree.FavoriteFn) + 1)), Event: g.event(), Window: g.window(false)}
	if s == ofMembers {
		m.Fn = tree.Fn(g.IntN(int(tree.DaysFn) + 1))
		if g.chance(50) {
			m.Fn = pick(g, tree.CountFn, tree.SumFn, tree.AvgFn, tree.DistinctFn, tree.MedianFn, tree.PercentileFn)
			m.Event, m.Window = "", tree.Window{}
		}
	}
	if m.Fn == tree.PercentileFn {
		m.Percent = tree.Decimal(g.Int64N(1001), 1)
	}
	if m.Fn != tree.CountFn && m.Fn != tree.DaysFn {
		m.Arg = g.expr(min(depth, 1), ofEvent)
	}
	if m.Event != "" && g.chance(30) {
		m.Where = g.pred(depth, ofEvent)
	}
	return m
}

func (g generator) step(depth int, s scope) tree.Step {
	out := tree.Step{Event: g.event()}
	if g.chance(30) {
		out.Where = g.pred(depth, s)
	}
	return out
}

func (g generator) pred(depth int, s scope) tree.Pred {
	if depth > 0 && g.chance(45) {
		switch g.IntN(3) {
		case 0:
			return &tree.Not{Arg: g.pred(depth-1, s)}
		default:
			args := []tree.Pred{g.pred(depth-1, s), g.pred(depth-1, s)}
			for g.chance(20) {
				args = append(args, g.pred(depth-1, s))
			}
			return join(args, g.chance(50))
		}
	}
	if s == ofProfile && g.chance(60) {
		return g.profilePred(depth)
	}
	x := g.expr(min(depth, 2), s)
	switch g.IntN(9) {
	case 0:
		return &tree.Truth{X: g.name(s)}
	case 1:
		return &tree.In{X: x, Values: g.literals()}
	case 2:
		return &tree.Range{X: x, Lo: g.name(s), Hi: g.expr(min(depth, 1), s)}
	case 3:
		return &tree.IsSet{X: x}
	case 4:
		return &tree.Text{X: x, Op: tree.TextOp(g.IntN(4)), Pattern: g.text(), Fold: g.chance(50)}
	case 5:
		if g.chance(50) {
			return &tree.Has{X: x, Values: g.literals()[:1]}
		}
		return &tree.Has{X: x, Which: pick(g, tree.HasAny, tree.HasAll), Values: g.literals()}
	case 6:
		return &tree.InWindow{X: x, Window: g.window(true)}
	case 7:
		w := pick(g, tree.Window{Kind: tree.Today}, tree.Window{Kind: tree.This, Unit: tree.Week}, tree.Window{Kind: tree.InNext, Last: g.duration(tree.Day)})
		return &tree.Anniversary{X: x, Window: w}
	}
	return &tree.Compare{Op: tree.Op(g.IntN(6)), L: x, R: g.expr(min(depth, 2), s)}
}

// profilePred makes one of the predicates that are not allowed inside an event.
func (g generator) profilePred(depth int) tree.Pred {
	switch g.IntN(9) {
	case 0:
		return &tree.Everyone{}
	case 1:
		d := &tree.Did{Step: g.step(depth, ofEvent), Window: g.window(false)}
		if g.chance(50) {
			d.Count = &tree.Count{Form: tree.CountForm(g.IntN(6)), Lo: g.Int64N(5)}
			if d.Count.Form == tree.BetweenTimes {
				d.Count.Hi = d.Count.Lo + g.Int64N(5)
			}
		}
		return d
	case 2:
		return &tree.Edge{Last: g.chance(50), Step: g.step(depth, ofEvent), Window: g.window(false)}
	case 3:
		s := &tree.Sequence{First: g.step(depth, ofEvent), Window: g.window(false)}
		bounded := g.chance(60)
		for len(s.Steps) == 0 || g.chance(40) {
			step := tree.SeqStep{Step: g.step(depth, ofLaterStep)}
			if bounded {
				d := g.fixedDuration()
				step.Within, step.Absent = &d, g.chance(40)
			}
			s.Steps = append(s.Steps, step)
		}
		return s
	case 4:
		return &tree.InSegment{Name: g.text()}
	case 5:
		return &tree.WasIn{Name: g.text(), At: g.when()}
	case 6:
		return &tree.InList{Name: g.text()}
	case 7:
		from := g.Int64N(101)
		return &tree.InSample{Name: g.text(), From: tree.Int(from), To: tree.Int(from + g.Int64N(101-from))}
	}
	r := &tree.Rank{Bottom: g.chance(50), N: tree.Int(g.Int64N(1000)), By: g.expr(min(depth, 2), ofProfile)}
	if g.chance(50) {
		r.Percent, r.N = true, tree.Decimal(g.Int64N(1001), 1)
	}
	return r
}

func (g generator) where(depth int) tree.Pred {
	if g.chance(30) {
		return nil
	}
	return g.pred(depth, ofProfile)
}

func (g generator) dimensions(most int) []tree.Dimension {
	var out []tree.Dimension
	for len(out) < most && g.chance(50) {
		d := tree.Dimension{Name: &tree.Name{Name: g.nameText()}}
		switch g.IntN(5) {
		case 0:
			n := tree.Decimal(1+g.Int64N(100), 1)
			d.Step = &n
		case 1:
			d.Unit = pick(g, tree.Day, tree.Week, tree.Month, tree.Quarter, tree.Year)
		case 2:
			d = tree.Dimension{Segment: &tree.InSegment{Name: g.text()}}
		case 3:
			m := g.measure(1, ofProfile)
			if m.Fn = tree.FirstFn + tree.Fn(g.IntN(3)); m.Arg == nil {
				m.Arg = g.name(ofEvent)
			}
			d = tree.Dimension{Measure: m}
		}
		out = append(out, d)
	}
	return out
}

func (g generator) order(s scope) []tree.Order {
	var out []tree.Order
	for len(out) < 2 && g.chance(40) {
		x := g.expr(1, s)
		if s == ofMembers && g.chance(50) {
			x = g.name(ofProfile)
		}
		out = append(out, tree.Order{X: x, Desc: g.chance(50)})
	}
	return out
}

func (g generator) limit() int64 { return pick(g, int64(-1), 0, 10, 100_000) }

func (g generator) columns(s scope, least int) []tree.Column {
	var out []tree.Column
	for len(out) < least || g.chance(50) {
		c := tree.Column{X: g.expr(2, s)}
		if g.chance(40) {
			c.As = g.nameText()
		}
		out = append(out, c)
	}
	return out
}

func (g generator) query(depth int) *tree.Query {
	q := &tree.Query{Stmt: g.stmt(depth, true)}
	stmt := q.Stmt
	if e, ok := stmt.(*tree.ExplainStmt); ok {
		stmt = e.Stmt
	}
	if _, creates := stmt.(*tree.CreateStmt); !creates && g.chance(30) {
		w := g.when()
		q.AsOf = &w
	}
	if g.chance(20) {
		q.Zone = "America/Sao_Paulo"
	}
	return q
}

func (g generator) stmt(depth int, explain bool) tree.Stmt {
	switch g.IntN(16) {
	case 0:
		return &tree.ListStmt{Columns: g.columns(ofProfile, 0), Where: g.where(depth), Order: g.order(ofProfile), Limit: g.limit()}
	case 1:
		return &tree.StatsStmt{Columns: g.columns(ofMembers, 1), Where: g.where(depth), By: g.dimensions(3), Order: g.order(ofMembers), Limit: g.limit()}
	case 2:
		t := &tree.TrendStmt{Step: g.step(depth, ofEvent), Window: g.window(false), Bucket: pick(g, tree.Hour, tree.Day, tree.Week, tree.Month), Where: g.where(depth), By: g.dimensions(1)}
		if t.Users = g.chance(30); !t.Users && g.chance(50) {
			t.Of = &tree.Measure{Fn: pick(g, tree.SumFn, tree.AvgFn, tree.MinFn, tree.MaxFn, tree.DistinctFn), Arg: g.expr(1, ofEvent)}
		}
		return t
	case 3:
		return &tree.FunnelStmt{Steps: []tree.Step{g.step(depth, ofEvent), g.step(depth, ofEvent)}, Within: g.fixedDuration(), Window: g.window(false), Where: g.where(depth), By: g.dimensions(1)}
	case 4:
		return &tree.RetentionStmt{First: g.step(depth, ofEvent), Then: g.step(depth, ofEvent), Window: g.window(false), Bucket: pick(g, tree.Day, tree.Week, tree.Month), Where: g.where(depth)}
	case 5:
		o := &tree.OverlapStmt{}
		for range 2 + g.IntN(2) {
			p := g.pred(depth, ofProfile)
			o.Preds, o.Texts = append(o.Preds, p), append(o.Texts, FormatPred(p))
		}
		return o
	case 6:
		return &tree.InsightsStmt{Where: g.pred(depth, ofProfile), Against: g.where(depth)}
	case 7:
		return &tree.LookalikeStmt{Of: g.pred(depth, ofProfile), Top: g.Int64N(1000), Among: g.where(depth)}
	case 8:
		return &tree.RFMStmt{Step: g.step(depth, ofEvent), Window: g.window(false), Amount: g.expr(2, ofEvent), Where: g.where(depth)}
	case 9:
		return &tree.WhyStmt{Profile: g.text(), Where: g.pred(depth, ofProfile)}
	case 10:
		c := &tree.CreateStmt{Replace: g.chance(50), AllowUnknown: g.chance(50), Segment: tree.Segment{Name: g.text(), Pred: g.pred(depth, ofProfile)}}
		if g.chance(50) {
			c.Segment.Described = g.text()
			c.Segment.Refresh = tree.Duration{N: 1 + g.Int64N(60), Unit: tree.Minute}
		}
		return c
	case 11:
		return &tree.DropStmt{Name: g.text()}
	case 12:
		return &tree.ShowStmt{What: pick(g, "segments", "events", "attributes")}
	case 13:
		return &tree.DescribeStmt{What: pick(g, "segment", "event", "attribute"), Name: g.nameText()}
	case 14:
		if explain {
			return &tree.ExplainStmt{Analyze: g.chance(50), Stmt: g.stmt(depth, false)}
		}
	}
	return &tree.CountStmt{Where: g.where(depth), By: g.dimensions(3), Order: g.order(ofProfile), Limit: g.limit()}
}

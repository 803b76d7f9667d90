package querytest

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

var leftOuts = flag.Int("leftouts", 600, "number of random statements with sums whose warnings to compare")

// TestLeftOut compares the warnings about values left out of sums with a count over each value of each member,
// for 1 and 8 shards.
func TestLeftOut(t *testing.T) {
	pool := exec.NewPool(2)
	defer pool.Close()
	const perHistory = 10
	withWarnings, without, failures := 0, 0, 0
	for i := 0; i < *leftOuts && failures < 4; i += perHistory {
		seed := *firstSeed + uint64(i/perHistory)
		rng := rand.New(rand.NewPCG(seed, 9))
		g := NewGen(rng, 3+int(seed%3)*20)
		schema := NewSchema(g.History)
		oracle, err := NewOracle(g.History, g.Now, g.Zone)
		if err != nil {
			t.Fatal(err)
		}
		sources := map[int][]*Source{1: NewSources(g.History, schema, 1, rng), 8: NewSources(g.History, schema, 8, rng)}
		for range perHistory {
			text := syntax.Format(&tree.Query{Stmt: g.summing(), Zone: g.Zone})
			q, err := syntax.Parse(text, syntax.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want := oracle.leftOut(q.Stmt)
			if len(want) > 0 {
				withWarnings++
			} else {
				without++
			}
			for _, shards := range []int{1, 8} {
				if got, err := warned(pool, text, q, schema, g.Now, sources[shards]); err != nil || !maps.Equal(got, want) {
					failures++
					t.Errorf("seed %d, %d shards: %v\n  %s\n%v, want %v", seed, shards, err, text, got, want)
					break
				}
			}
		}
	}
	if withWarnings < *leftOuts/5 || without < *leftOuts/5 {
		t.Errorf("%d statements had warnings, %d had none", withWarnings, without)
	}
}

// warned returns how many values each sum left out according to the warnings, by the text of the sum. It
// returns an error if a pool and Run differ.
func warned(pool *exec.Pool, text string, q *tree.Query, s query.Schema, now int64, sources []*Source) (map[string]int, error) {
	checked, _, err := check.Statement(q, s)
	if err != nil {
		return nil, err
	}
	a, err := answerPool(pool, checked, s, now, sources)
	if err != nil {
		return nil, err
	}
	plan, err := exec.Prepare(checked, s, exec.Options{Now: now})
	if err != nil {
		return nil, err
	}
	all := make([]query.Source, len(sources))
	for i, src := range sources {
		all[i] = src
	}
	b, err := plan.Run(context.Background(), all)
	if err != nil {
		return nil, err
	}
	got, again := leftOutWarnings(a, text), leftOutWarnings(b, text)
	if !maps.Equal(got, again) {
		return nil, fmt.Errorf("the pool warns of %v, Run of %v", got, again)
	}
	return got, nil
}

func leftOutWarnings(a *query.Answer, text string) map[string]int {
	got := map[string]int{}
	for _, w := range a.Warnings {
		if w.Code != "values_left_out" {
			continue
		}
		n := 0
		if _, rest, ok := strings.Cut(w.Message, " left out "); ok {
			_, _ = fmt.Sscanf(rest, "%d", &n)
		}
		got[text[w.At.Offset:w.At.Offset+w.At.Length]] += n
	}
	return got
}

// summing draws a statement with sums.
func (g *Gen) summing() tree.Stmt {
	where := g.sumless()
	switch g.rng.IntN(7) {
	case 0:
		return &tree.StatsStmt{Columns: []tree.Column{{X: g.sum()}, {X: g.sum()}}, Where: where, By: g.sumlessBy(), Limit: -1}
	case 1:
		of := &tree.Measure{Fn: pick(g, tree.SumFn, tree.AvgFn), Arg: pick[tree.Expr](g, &tree.Name{Name: "score"},
			&tree.Arith{Op: tree.MulOp, L: &tree.Name{Name: "score"}, R: &tree.Name{Name: "ltv"}})}
		return &tree.StatsStmt{Columns: []tree.Column{{X: of}}, Where: where, By: g.sumlessBy(), Limit: -1}
	case 2:
		return &tree.ListStmt{Columns: []tree.Column{{X: g.sum()}}, Where: where, Limit: pick(g, -1, int64(2))}
	case 3:
		return &tree.ListStmt{Where: where, Order: []tree.Order{{X: g.sum(), Desc: true}}, Limit: pick(g, -1, int64(2))}
	case 4:
		m := g.sum()
		return &tree.TrendStmt{Step: tree.Step{Event: m.Event, Where: m.Where}, Window: m.Window, Bucket: tree.Month,
			Of: &tree.Measure{Fn: m.Fn, Arg: m.Arg}, Where: where, By: g.sumlessBy()}
	case 5:
		m := g.sum()
		return &tree.RFMStmt{Step: tree.Step{Event: m.Event, Where: m.Where}, Window: m.Window, Amount: m.Arg, Where: where}
	}
	sums := make([]tree.Pred, 1+g.rng.IntN(2))
	for i := range sums {
		sums[i] = &tree.Compare{Op: pick(g, tree.Lt, tree.Ge, tree.Eq), L: g.sum(), R: g.literal(tree.NumberType)}
		if g.rng.IntN(3) == 0 {
			sums[i] = &tree.Not{Arg: sums[i]}
		}
	}
	if g.rng.IntN(5) == 0 {
		sums = append(sums, &tree.Rank{N: tree.Int(2), By: g.sum()})
	}
	if where != nil {
		sums = append(sums, where)
	}
	switch {
	case len(sums) == 1:
		where = sums[0]
	case g.rng.IntN(2) == 0:
		where = &tree.And{Args: sums}
	default:
		where = &tree.Or{Args: sums}
	}
	return &tree.CountStmt{Where: where, Limit: -1}
}

// sum draws a sum or average over an event, mostly with some values beyond ±10^18.
func (g *Gen) sum() *tree.Measure {
	event := pick(g, "Order Completed", "Søk")
	arg := tree.Expr(&tree.Name{Name: pick(g, "weight", "weight", "qty")})
	if g.rng.IntN(4) == 0 {
		arg = &tree.Arith{Op: pick(g, tree.AddOp, tree.MulOp, tree.DivOp), L: arg, R: &tree.Literal{Value: pick(g, num("1000"), num("0.001"), num("1e17"))}}
	}
	m := &tree.Measure{Fn: pick(g, tree.SumFn, tree.AvgFn), Arg: arg, Event: event, Window: tree.Window{Kind: tree.Ever}}
	if g.rng.IntN(2) == 0 {
		m.Window = g.window(false)
	}
	if g.rng.IntN(3) == 0 {
		m.Where = &tree.Compare{Op: tree.Gt, L: &tree.Name{Name: "qty"}, R: &tree.Literal{Value: num("2")}}
	}
	return m
}

// sumless draws a condition without sums, or nil for everyone.
func (g *Gen) sumless() tree.Pred {
	switch g.rng.IntN(4) {
	case 0:
		return nil
	case 1:
		return &tree.Did{Step: tree.Step{Event: "Viewed"}, Window: tree.Window{Kind: tree.Ever}}
	case 2:
		return &tree.IsSet{X: &tree.Name{Name: "plan"}}
	}
	return &tree.Compare{Op: tree.Ge, L: &tree.Name{Name: "ltv"}, R: &tree.Literal{Value: num("10")}}
}

func (g *Gen) sumlessBy() []tree.Dimension {
	if g.rng.IntN(2) == 0 {
		return nil
	}
	return []tree.Dimension{{Name: &tree.Name{Name: pick(g, "plan", "tags")}}}
}

// leftOut returns how many values each sum of a statement from summing leaves out, by the text that the
// warning points to.
func (o *Oracle) leftOut(stmt tree.Stmt) map[string]int {
	type place struct{ n int }
	byText, first := map[string]*place{}, map[string]string{}
	add := func(m *tree.Measure, who []*Profile) {
		same := *m
		same.Fn = tree.SumFn
		key := syntax.FormatExpr(&same)
		if byText[key] == nil {
			byText[key], first[key] = &place{}, syntax.FormatExpr(m)
		}
		for _, p := range who {
			byText[key].n += len(o.beyond(m, p))
		}
	}
	switch s := stmt.(type) {
	case *tree.StatsStmt:
		seen := map[string]bool{} // two columns can be about the same values
		for _, c := range s.Columns {
			m := c.X.(*tree.Measure)
			same := *m
			same.Fn = tree.SumFn
			if key := syntax.FormatExpr(&same); !seen[key] {
				seen[key] = true
				add(m, o.Members(s.Where))
			}
		}
	case *tree.ListStmt:
		members := o.Members(s.Where)
		for _, order := range s.Order {
			add(order.X.(*tree.Measure), members)
		}
		shown := map[string]bool{}
		for _, row := range o.listRows(s) {
			shown[row[0].Str] = true
		}
		for _, c := range s.Columns {
			for _, who := range members {
				if shown[who.ID()] {
					add(c.X.(*tree.Measure), []*Profile{who})
				}
			}
		}
	case *tree.TrendStmt:
		m := *s.Of
		m.Event, m.Where, m.Window = s.Step.Event, s.Step.Where, s.Window
		add(&m, o.Members(s.Where))
		for key := range first {
			first[key] = syntax.FormatExpr(s.Of)
		}
	case *tree.RFMStmt:
		m := &tree.Measure{Fn: tree.SumFn, Arg: s.Amount, Event: s.Step.Event, Where: s.Step.Where, Window: s.Window}
		add(m, o.Members(s.Where))
		for key := range first {
			first[key] = syntax.FormatExpr(s.Amount)
		}
	case *tree.CountStmt:
		o.leftOutOfWhere(s.Where, add)
	}
	found := map[string]int{}
	for key, p := range byText {
		if p.n > 0 {
			found[first[key]] += p.n
		}
	}
	return found
}

// leftOutOfWhere counts for a condition, or for conditions joined by one `and` or `or`. A sum matters for a
// profile if every other condition leaves the result open: because it does not decide it, or because it is
// a sum that left out a value, which might have changed it.
func (o *Oracle) leftOutOfWhere(where tree.Pred, add func(*tree.Measure, []*Profile)) {
	args, and := []tree.Pred{where}, true
	switch p := where.(type) {
	case *tree.And:
		args = p.Args
	case *tree.Or:
		args, and = p.Args, false
	}
	counted := map[string]map[*Profile]bool{}
	for i, arg := range args {
		m, rank := sumOf(arg)
		if m == nil {
			continue
		}
		same := *m
		same.Fn = tree.SumFn
		key := syntax.FormatExpr(&same)
		if counted[key] == nil {
			counted[key] = map[*Profile]bool{}
		}
		add(m, nil)
		for k := range o.History.Profiles {
			who := &o.History.Profiles[k]
			open := !counted[key][who]
			for j, other := range args {
				if j == i || rank {
					continue
				}
				theirs, ranked := sumOf(other)
				open = open && (o.Holds(other, who) == and || theirs != nil && !ranked && len(o.beyond(theirs, who)) > 0)
			}
			if open {
				counted[key][who] = true
				add(m, []*Profile{who})
			}
		}
	}
}

// sumOf returns the sum in a condition from summing, and whether the condition is a rank.
func sumOf(p tree.Pred) (m *tree.Measure, rank bool) {
	if not, ok := p.(*tree.Not); ok {
		p = not.Arg
	}
	switch p := p.(type) {
	case *tree.Compare:
		m, _ = p.L.(*tree.Measure)
	case *tree.Rank:
		m, rank = p.By.(*tree.Measure)
	}
	return m, rank
}

// beyond returns the values of a profile that a sum leaves out because they are beyond ±10^18.
func (o *Oracle) beyond(m *tree.Measure, who *Profile) (left []tree.Value) {
	scopes := []scope{{who: who}}
	if m.Event != "" {
		scopes = nil
		for _, e := range o.events(who, tree.Step{Event: m.Event, Where: m.Where}, m.Window) {
			scopes = append(scopes, scope{who: who, ev: e})
		}
	}
	for _, s := range scopes {
		if v := o.value(m.Arg, s); v.Type == tree.NumberType && billionths(v.Number()) == nil {
			left = append(left, v)
		}
	}
	return left
}

package querytest

import (
	"time"

	"github.com/musterdb/muster/query/tree"
)

// place says which names an expression can use: attributes of the profile, or properties of event, and of
// previous in a later step of a sequence.
type place struct {
	event, previous string
	attributesOnly  bool // without event measures
}

// Pred draws a predicate over profiles, nested up to depth levels.
func (g *Gen) Pred(depth int) tree.Pred { return g.pred(depth, place{}) }

func (g *Gen) pred(depth int, at place) tree.Pred {
	if depth > 0 {
		switch g.rng.IntN(5) {
		case 0:
			return g.joined(depth, at, true)
		case 1:
			return g.joined(depth, at, false)
		case 2:
			return &tree.Not{Arg: g.pred(depth-1, at)}
		}
	}
	if at.event == "" && g.rng.IntN(2) == 0 {
		return g.ofProfile()
	}
	return g.plain(at)
}

// joined draws an `and` or `or`. It flattens arguments of the same kind, as the parser does.
func (g *Gen) joined(depth int, at place, and bool) tree.Pred {
	var args []tree.Pred
	for range 2 + g.rng.IntN(2) {
		switch arg := g.pred(depth-1, at).(type) {
		case *tree.And:
			if and {
				args = append(args, arg.Args...)
				continue
			}
			args = append(args, arg)
		case *tree.Or:
			if !and {
				args = append(args, arg.Args...)
				continue
			}
			args = append(args, arg)
		default:
			args = append(args, arg)
		}
	}
	if and {
		return &tree.And{Args: args}
	}
	return &tree.Or{Args: args}
}

// plain draws a predicate that is possible for attributes and for properties.
func (g *Gen) plain(at place) tree.Pred {
	switch g.rng.IntN(11) {
	case 0:
		if name := g.name(at, tree.BoolType); name != nil {
			return &tree.Truth{X: name}
		}
	case 1:
		return &tree.IsSet{X: g.anything(at)}
	case 2:
		return g.textForm(at)
	case 3:
		if name := g.name(at, tree.ListType); name != nil {
			has := &tree.Has{X: name, Which: pick(g, tree.HasOne, tree.HasAny, tree.HasAll), Values: g.literals(name.Name)}
			if has.Which == tree.HasOne {
				has.Values = has.Values[:1]
			}
			return has
		}
	case 4:
		if x := g.timeExpr(at); x != nil {
			return &tree.InWindow{X: x, Window: g.window(true)}
		}
	case 5:
		if x := g.timeExpr(at); x != nil {
			return &tree.Anniversary{X: x, Window: g.anniversary()}
		}
	case 6:
		return g.in(at)
	case 7:
		return g.between(at)
	}
	return g.comparison(at)
}

// name draws an attribute or property of type t. It returns nil if there is none.
func (g *Gen) name(at place, t tree.Type) *tree.Name {
	types, previous := g.types.Attrs, false
	if at.event != "" {
		types = g.types.Events[at.event]
		if at.previous != "" && g.rng.IntN(2) == 0 {
			types, previous = g.types.Events[at.previous], true
		}
	}
	var names []string
	for _, name := range sortedKeys(types) {
		if t == tree.NoType || types[name] == t {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &tree.Name{Name: pick(g, names...), Previous: previous}
}

func (g *Gen) anything(at place) tree.Expr {
	if at.event == "" && g.rng.IntN(3) == 0 {
		return g.measure(tree.NoType)
	}
	return g.name(at, tree.NoType)
}

func (g *Gen) literals(like string) []*tree.Literal {
	values := make([]*tree.Literal, 1+g.rng.IntN(3))
	for i := range values {
		values[i] = &tree.Literal{Value: tree.Str(pick(g, texts...))}
		if v := g.draw(like); v.Type == tree.ListType {
			values[i] = &tree.Literal{Value: v.List[0]}
		}
	}
	return values
}

func (g *Gen) textForm(at place) tree.Pred {
	op := pick(g, tree.Contains, tree.StartsWith, tree.EndsWith, tree.Matches)
	pattern := pick(g, "", "a", "s", "S", "k", "ß", "@", ".com", "ſ", "user", "Σ")
	if op == tree.Matches {
		pattern = pick(g, "^a", "s$", "[0-9]+", "^$", "(x|y)@", "\\pL{3}", "k")
	}
	x := g.ofType(at, tree.StringType)
	if x == nil {
		return g.comparison(at)
	}
	return &tree.Text{X: x, Op: op, Pattern: pattern, Fold: g.rng.IntN(2) == 0}
}

// ofType draws an expression of type t, which is not a list. It returns nil if there is none.
func (g *Gen) ofType(at place, t tree.Type) tree.Expr {
	switch {
	case t == tree.NumberType && g.rng.IntN(4) == 0:
		return g.arith(at)
	case at.event == "" && !at.attributesOnly && t != tree.BoolType && g.rng.IntN(3) == 0:
		return g.measure(t)
	}
	if name := g.name(at, t); name != nil {
		return name
	}
	return nil
}

func (g *Gen) timeExpr(at place) tree.Expr { return g.ofType(at, tree.TimeType) }

func (g *Gen) arith(at place) tree.Expr {
	a := &tree.Arith{Op: pick(g, tree.AddOp, tree.SubOp, tree.MulOp, tree.DivOp)}
	a.L, a.R = g.number(at), g.number(at)
	if isLiteral(a.L) && isLiteral(a.R) {
		if name := g.name(at, tree.NumberType); name != nil {
			a.L = name
		}
	}
	return a
}

func isLiteral(x tree.Expr) bool { _, ok := x.(*tree.Literal); return ok }

func (g *Gen) number(at place) tree.Expr {
	if g.rng.IntN(3) > 0 {
		if x := g.ofType(at, tree.NumberType); x != nil {
			return x
		}
	}
	return &tree.Literal{Value: g.numberValue()}
}

func (g *Gen) numberValue() tree.Value {
	return num(pick(g, pick(g, smallNumbers...), pick(g, amounts...), pick(g, extremeNumbers...)))
}

// literal draws a literal of a type. For a time it is a date or an instant.
func (g *Gen) literal(t tree.Type) *tree.Literal {
	switch t {
	case tree.NumberType:
		return &tree.Literal{Value: g.numberValue()}
	case tree.BoolType:
		return &tree.Literal{Value: tree.Bool(g.rng.IntN(2) == 0)}
	case tree.TimeType:
		w := g.when()
		return &tree.Literal{When: &w}
	}
	return &tree.Literal{Value: tree.Str(pick(g, pick(g, texts...), "user-1", "anon-0-0"))}
}

func (g *Gen) when() tree.When {
	if g.rng.IntN(2) == 0 {
		return tree.When{Millis: g.instant()}
	}
	return g.day()
}

func (g *Gen) day() tree.When {
	t := time.UnixMilli(g.instant()).In(g.loc)
	return tree.When{Date: true, Y: t.Year(), M: int(t.Month()), D: t.Day()}
}

func (g *Gen) comparison(at place) tree.Pred {
	for {
		t := pick(g, tree.NumberType, tree.StringType, tree.NumberType, tree.StringType, tree.TimeType, tree.BoolType)
		l := g.ofType(at, t)
		if l == nil {
			continue
		}
		op := pick(g, tree.Eq, tree.Ne, tree.Lt, tree.Le, tree.Gt, tree.Ge)
		if t == tree.BoolType {
			op = pick(g, tree.Eq, tree.Ne)
		}
		var r tree.Expr = g.literal(t)
		if g.rng.IntN(4) == 0 {
			if other := g.ofType(at, t); other != nil {
				r = other
			}
		}
		if g.rng.IntN(8) == 0 {
			l, r = r, l
		}
		return &tree.Compare{Op: op, L: l, R: r}
	}
}

func (g *Gen) in(at place) tree.Pred {
	for {
		t := pick(g, tree.NumberType, tree.StringType, tree.StringType, tree.TimeType)
		x := g.ofType(at, t)
		if x == nil {
			continue
		}
		values := make([]*tree.Literal, 1+g.rng.IntN(4))
		for i := range values {
			values[i] = g.literal(t)
		}
		return &tree.In{X: x, Values: values}
	}
}

func (g *Gen) between(at place) tree.Pred {
	for {
		t := pick(g, tree.NumberType, tree.NumberType, tree.StringType)
		x := g.ofType(at, t)
		if x == nil {
			continue
		}
		lo, hi := g.literal(t), g.literal(t)
		if lo.Value.Compare(hi.Value) > 0 {
			lo, hi = hi, lo
		}
		return &tree.Range{X: x, Lo: lo, Hi: hi}
	}
}

// window draws a window. Only windows for attributes can be in the future.
func (g *Gen) window(attribute bool) tree.Window {
	w := tree.Window{Kind: pick(g, tree.Ever, tree.InLast, tree.InLast, tree.MoreThanAgo, tree.BetweenAgo, tree.Today,
		tree.Yesterday, tree.This, tree.LastUnit, tree.On, tree.Between, tree.Since, tree.Before)}
	if attribute && g.rng.IntN(6) == 0 {
		w.Kind = tree.InNext
	}
	switch w.Kind {
	case tree.InLast, tree.MoreThanAgo, tree.InNext:
		w.Last = pick(g, durations[:12]...)
	case tree.BetweenAgo:
		w.Last, w.Other = pick(g, durations[:12]...), pick(g, durations[:12]...)
	case tree.This, tree.LastUnit:
		w.Unit = pick(g, tree.Week, tree.Month, tree.Quarter, tree.Year)
	case tree.On:
		w.From = g.day()
	case tree.Since, tree.Before:
		w.From = g.when()
	case tree.Between:
		w.From, w.To = g.when(), g.when()
		o := &Oracle{Now: g.Now, Zone: g.loc}
		from, to := o.instant(w.From), o.instant(w.To)
		if from > to {
			w.From, w.To = w.To, w.From
		}
		if gap := max(from-to, to-from); w.From.Date != w.To.Date && gap < 2*86_400_000 {
			w.To = w.From // in the zone of a segment the start could be after the end
		}
	}
	return w
}

func (g *Gen) anniversary() tree.Window {
	w := tree.Window{Kind: pick(g, tree.Today, tree.Yesterday, tree.On, tree.This, tree.InNext, tree.InLast)}
	switch w.Kind {
	case tree.On:
		w.From = g.day()
	case tree.This:
		w.Unit = pick(g, tree.Week, tree.Month)
	case tree.InNext, tree.InLast:
		w.Last = tree.Duration{N: 1 + g.rng.Int64N(12), Unit: tree.Day}
	}
	return w
}

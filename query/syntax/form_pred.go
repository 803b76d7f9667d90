package syntax

import (
	"encoding/json"
	"fmt"

	"github.com/musterdb/muster/query/tree"
)

// pred describes the predicate at key.
func (f *form) pred(key string, p *tree.Pred) {
	f.nested(key, func(f *form) { f.predBody(p) })
}

// optionalPred describes the predicate at key, which is left out when it is nil.
func (f *form) optionalPred(key string, p *tree.Pred) {
	if !f.absent(key, *p == nil) {
		f.pred(key, p)
	}
}

// newPred returns an empty predicate of a kind, or nil if the kind is unknown.
func newPred(kind string) tree.Pred {
	switch kind {
	case "and":
		return &tree.And{}
	case "or":
		return &tree.Or{}
	case "not":
		return &tree.Not{}
	case "everyone":
		return &tree.Everyone{}
	case "truth":
		return &tree.Truth{X: &tree.Name{}}
	case "compare":
		return &tree.Compare{}
	case "in":
		return &tree.In{}
	case "between":
		return &tree.Range{}
	case "is_set":
		return &tree.IsSet{}
	case "text":
		return &tree.Text{}
	case "has":
		return &tree.Has{}
	case "in_window":
		return &tree.InWindow{}
	case "anniversary":
		return &tree.Anniversary{}
	case "did":
		return &tree.Did{}
	case "first_did":
		return &tree.Edge{}
	case "last_did":
		return &tree.Edge{Last: true}
	case "sequence":
		return &tree.Sequence{}
	case "in_segment":
		return &tree.InSegment{}
	case "was_in_segment":
		return &tree.WasIn{}
	case "in_list":
		return &tree.InList{}
	case "in_sample":
		return &tree.InSample{}
	case "rank":
		return &tree.Rank{}
	}
	return nil
}

// predKind returns the kind of a predicate.
func predKind(p tree.Pred) string {
	switch p := p.(type) {
	case *tree.And:
		return "and"
	case *tree.Or:
		return "or"
	case *tree.Not:
		return "not"
	case *tree.Everyone:
		return "everyone"
	case *tree.Truth:
		return "truth"
	case *tree.Compare:
		return "compare"
	case *tree.In:
		return "in"
	case *tree.Range:
		return "between"
	case *tree.IsSet:
		return "is_set"
	case *tree.Text:
		return "text"
	case *tree.Has:
		return "has"
	case *tree.InWindow:
		return "in_window"
	case *tree.Anniversary:
		return "anniversary"
	case *tree.Did:
		return "did"
	case *tree.Edge:
		return map[bool]string{false: "first_did", true: "last_did"}[p.Last]
	case *tree.Sequence:
		return "sequence"
	case *tree.InSegment:
		return "in_segment"
	case *tree.WasIn:
		return "was_in_segment"
	case *tree.InList:
		return "in_list"
	case *tree.InSample:
		return "in_sample"
	case *tree.Rank:
		return "rank"
	}
	return ""
}

// kind reads or writes the kind of a node and returns it. own is the kind to write.
func (f *form) kind(own string) string {
	if !f.reading && own == "" {
		f.wrong("kind", "the node is missing")
	}
	f.text("kind", &own)
	return own
}

func (f *form) predBody(p *tree.Pred) {
	kind := f.kind(predKind(*p))
	if f.reading {
		if *p = newPred(kind); *p == nil {
			f.wrong("kind", fmt.Sprintf("there is no condition of kind %q", kind))
			*p = &tree.Everyone{}
			return
		}
	}
	switch x := (*p).(type) {
	case *tree.And:
		f.args(&x.Args)
	case *tree.Or:
		f.args(&x.Args)
	case *tree.Not:
		f.pred("arg", &x.Arg)
	case *tree.Everyone:
	default:
		f.leafBody(x)
	}
	if f.reading {
		switch x := (*p).(type) {
		case *tree.And:
			*p = join(x.Args, true)
		case *tree.Or:
			*p = join(x.Args, false)
		}
	}
}

func (f *form) args(args *[]tree.Pred) {
	array(f, "args", args, func(f *form, p *tree.Pred) { f.predBody(p) })
	if len(*args) == 0 {
		f.wrong("args", "at least one condition is needed")
		*args = []tree.Pred{&tree.Everyone{}}
	}
}

// leafBody describes the predicates on a value.
func (f *form) leafBody(p tree.Pred) {
	switch p := p.(type) {
	case *tree.Truth:
		f.text("name", &p.X.Name)
		f.flag("previous", &p.X.Previous)
	case *tree.Compare:
		word(f, "op", &p.Op, "=", "!=", "<", "<=", ">", ">=")
		f.expr("left", &p.L)
		f.expr("right", &p.R)
	case *tree.In:
		f.expr("x", &p.X)
		f.values("values", &p.Values)
	case *tree.Range:
		f.expr("x", &p.X)
		f.expr("lo", &p.Lo)
		f.expr("hi", &p.Hi)
	case *tree.IsSet:
		f.expr("x", &p.X)
	case *tree.Text:
		f.expr("x", &p.X)
		word(f, "op", &p.Op, "contains", "starts_with", "ends_with", "matches")
		f.anyText("pattern", &p.Pattern)
		f.flag("ignoring_case", &p.Fold)
	case *tree.Has:
		f.expr("x", &p.X)
		word(f, "which", &p.Which, "one", "any", "all")
		f.values("values", &p.Values)
	case *tree.InWindow:
		f.expr("x", &p.X)
		f.window("window", &p.Window)
	case *tree.Anniversary:
		f.expr("x", &p.X)
		f.window("window", &p.Window)
	default:
		f.eventBody(p)
	}
}

// eventBody describes the predicates about events, segments and ranks.
func (f *form) eventBody(p tree.Pred) {
	switch p := p.(type) {
	case *tree.Did:
		f.step(&p.Step)
		f.count("count", &p.Count)
		f.window("window", &p.Window)
	case *tree.Edge:
		f.step(&p.Step)
		f.window("window", &p.Window)
	case *tree.Sequence:
		f.nested("first", func(f *form) { f.step(&p.First) })
		array(f, "steps", &p.Steps, func(f *form, s *tree.SeqStep) {
			f.flag("absent", &s.Absent)
			f.step(&s.Step)
			if !f.absent("within", s.Within == nil) {
				if s.Within == nil {
					s.Within = &tree.Duration{}
				}
				f.duration("within", s.Within)
			}
		})
		f.window("window", &p.Window)
		if len(p.Steps) == 0 {
			f.wrong("steps", "at least one step is needed")
		}
	case *tree.InSegment:
		f.text("name", &p.Name)
	case *tree.WasIn:
		f.text("name", &p.Name)
		f.when("at", &p.At)
	case *tree.InList:
		f.text("name", &p.Name)
	case *tree.InSample:
		f.text("name", &p.Name)
		f.number("from", &p.From)
		f.number("to", &p.To)
	case *tree.Rank:
		f.flag("bottom", &p.Bottom)
		f.number("n", &p.N)
		f.flag("percent", &p.Percent)
		f.expr("by", &p.By)
	}
}

// anyText describes a string that may be empty.
func (f *form) anyText(key string, s *string) {
	if !f.reading {
		f.put(key, *s)
		return
	}
	v, _ := f.take(key)
	got, ok := v.(string)
	if !ok {
		f.wrong(key, "a string is missing")
	}
	*s = got
}

func (f *form) step(s *tree.Step) {
	f.text("event", &s.Event)
	f.optionalPred("where", &s.Where)
}

func (f *form) count(key string, c **tree.Count) {
	if f.absent(key, *c == nil) {
		return
	}
	if *c == nil {
		*c = &tree.Count{}
	}
	f.nested(key, func(f *form) {
		word(f, "form", &(*c).Form, "exactly", "at_least", "at_most", "more_than", "fewer_than", "between")
		f.whole("n", &(*c).Lo)
		if (*c).Form == tree.BetweenTimes {
			f.whole("m", &(*c).Hi)
		}
	})
}

func (f *form) duration(key string, d *tree.Duration) {
	f.nested(key, func(f *form) {
		f.whole("n", &d.N)
		f.unit("unit", &d.Unit)
	})
}

func (f *form) unit(key string, u *tree.Unit) {
	word(f, key, u, "", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
}

// window describes a window. It is left out when it is ever.
func (f *form) window(key string, w *tree.Window) {
	if f.absent(key, w.Kind == tree.Ever) {
		return
	}
	f.nested(key, func(f *form) {
		word(f, "kind", &w.Kind, "ever", "in_last", "more_than_ago", "between_ago", "in_next", "today", "yesterday", "this", "last", "on", "between", "since", "before")
		switch w.Kind {
		case tree.InLast, tree.MoreThanAgo, tree.InNext:
			f.duration("last", &w.Last)
		case tree.BetweenAgo:
			f.duration("last", &w.Last)
			f.duration("other", &w.Other)
		case tree.This, tree.LastUnit:
			f.unit("unit", &w.Unit)
		case tree.On, tree.Since:
			f.when("from", &w.From)
		case tree.Between:
			f.when("from", &w.From)
			f.when("to", &w.To)
		case tree.Before:
			f.when("to", &w.From)
		}
	})
}

// values describes a list of values: scalars, or {"time": …} for dates and times.
func (f *form) values(key string, values *[]*tree.Literal) {
	if !f.reading {
		out := make([]any, 0, len(*values))
		for _, v := range *values {
			out = append(out, scalar(v))
		}
		f.put(key, out)
		return
	}
	v, _ := f.take(key)
	list, _ := v.([]any)
	if len(list) == 0 {
		f.wrong(key, "at least one value is needed")
		*values = []*tree.Literal{{}}
	}
	for _, v := range list {
		l, ok := literalOf(v)
		if !ok {
			f.wrong(key, "a value is a string, a number, true, false or {\"time\": …}")
			l = &tree.Literal{}
		}
		*values = append(*values, l)
	}
}

func scalar(l *tree.Literal) any {
	switch {
	case l.When != nil:
		return object{{"time", whenText(*l.When)}}
	case l.Value.Type == tree.TimeType:
		return object{{"time", whenText(tree.When{Millis: l.Value.Int})}}
	case l.Value.Type == tree.StringType:
		return l.Value.Str
	case l.Value.Type == tree.NumberType:
		return json.Number(l.Value.Number().String())
	case l.Value.Type == tree.BoolType:
		return l.Value.True()
	}
	return nil
}

func literalOf(v any) (*tree.Literal, bool) {
	switch v := v.(type) {
	case string:
		return &tree.Literal{Value: tree.Str(v)}, true
	case bool:
		return &tree.Literal{Value: tree.Bool(v)}, true
	case json.Number:
		n, ok := tree.ParseNumber(v.String())
		return &tree.Literal{Value: tree.Num(n)}, ok
	case map[string]any:
		text, _ := v["time"].(string)
		w, ok := tree.ParseWhen(text)
		return &tree.Literal{When: &w}, ok && len(v) == 1
	}
	return nil, false
}

// expr describes the expression at key.
func (f *form) expr(key string, x *tree.Expr) {
	f.nested(key, func(f *form) { f.exprBody(x) })
}

func exprKind(x tree.Expr) string {
	switch x.(type) {
	case *tree.Name:
		return "name"
	case *tree.Literal:
		return "value"
	case *tree.Arith:
		return "arith"
	case *tree.Measure:
		return "measure"
	}
	return ""
}

func (f *form) exprBody(x *tree.Expr) {
	kind := f.kind(exprKind(*x))
	if f.reading {
		switch kind {
		case "name":
			*x = &tree.Name{}
		case "value":
			*x = &tree.Literal{}
		case "arith":
			*x = &tree.Arith{}
		case "measure":
			*x = &tree.Measure{}
		default:
			f.wrong("kind", fmt.Sprintf("there is no value of kind %q", kind))
			*x = &tree.Name{}
		}
	}
	switch x := (*x).(type) {
	case *tree.Name:
		f.text("name", &x.Name)
		f.flag("previous", &x.Previous)
	case *tree.Literal:
		if !f.reading {
			f.put("value", scalar(x))
			return
		}
		v, _ := f.take("value")
		l, ok := literalOf(v)
		if !ok {
			f.wrong("value", "a value is a string, a number, true, false or {\"time\": …}")
			return
		}
		*x = *l
	case *tree.Arith:
		op := x.Op - tree.AddOp
		word(f, "op", &op, "+", "-", "*", "/")
		x.Op = op + tree.AddOp
		f.expr("left", &x.L)
		f.expr("right", &x.R)
	case *tree.Measure:
		f.measure(x)
	}
}

func (f *form) measure(x *tree.Measure) {
	word(f, "fn", &x.Fn, "count", "sum", "avg", "min", "max", "distinct", "days", "first", "last", "favorite", "median", "percentile")
	if !f.absent("arg", x.Arg == nil) {
		f.expr("arg", &x.Arg)
	}
	if x.Fn == tree.PercentileFn {
		f.number("percent", &x.Percent)
	}
	f.optionalText("event", &x.Event)
	f.optionalPred("where", &x.Where)
	f.window("window", &x.Window)
}

package tree

import "math"

// Span is the position of a node in the text: byte offset and length. It is zero in trees that were not
// parsed. Equality, formatting and JSON ignore it.
type Span struct{ Offset, Length int }

// Pred is a condition, true or false for every profile: one of the pointer types below. Inside `where (…)`
// of an event it is true or false for every event. There, names are the event's properties, and only And,
// Or, Not, Truth, Compare, In, Range, IsSet, Text, Has, InWindow and Anniversary are allowed.
type Pred interface {
	Node
	pred()
}

// Expr has a value, possibly the missing one, for every profile or event. It is a *Name, *Literal, *Arith or
// *Measure.
type Expr interface {
	Node
	expr()
}

// And, Or and Not combine predicates. Args has at least two items. An And never contains an And directly, nor
// an Or an Or: the parser flattens them. Not is the exact complement.
type (
	And struct{ Args []Pred }
	Or  struct{ Args []Pred }
	Not struct{ Arg Pred }
)

// Everyone is `everyone`.
type Everyone struct{ At Span }

// Truth is a bare boolean attribute or property: `is_subscriber`.
type Truth struct{ X *Name }

// Op is a comparison or arithmetic operator.
type Op uint8

// The operators. `x != y` is exactly `not x = y`.
const (
	Eq Op = iota
	Ne
	Lt
	Le
	Gt
	Ge
	AddOp
	SubOp
	MulOp
	DivOp
)

var opText = [...]string{"=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/"}

// String returns the operator as written.
func (o Op) String() string { return opText[o] }

// Holds reports whether o is true for two values a and b, given c = a.Compare(b).
//
// REQUIRES: o is one of Eq to Ge.
func (o Op) Holds(c int) bool {
	switch o {
	case Eq:
		return c == 0
	case Ne:
		return c != 0
	case Lt:
		return c < 0
	case Le:
		return c <= 0
	case Gt:
		return c > 0
	}
	return c >= 0
}

// Mirrored returns the operator for exchanged operands: it holds for b and a exactly if o holds for a and b.
func (o Op) Mirrored() Op {
	switch o {
	case Lt:
		return Gt
	case Le:
		return Ge
	case Gt:
		return Lt
	case Ge:
		return Le
	}
	return o
}

// Of computes l o r. ok is false if the result is not a number.
//
// REQUIRES: o is one of AddOp to DivOp.
func (o Op) Of(l, r Number) (n Number, ok bool) {
	switch o {
	case AddOp:
		return l.Add(r)
	case SubOp:
		return l.Sub(r)
	case MulOp:
		return l.Mul(r)
	}
	return l.Div(r)
}

// Compare is `L op R`. Either side may be any Expr. A date literal compared with a time means the whole day:
// see Literal.
type Compare struct {
	Op   Op
	L, R Expr
	At   Span
}

// In is `X in (…)`; `not in` is Not of it. Values are *Literal.
type In struct {
	X      Expr
	Values []*Literal
	At     Span
}

// Range is `X between Lo and Hi`, both ends included.
type Range struct {
	X      Expr
	Lo, Hi Expr
	At     Span
}

// IsSet is `X is set`; `is not set` is Not of it.
type IsSet struct {
	X  Expr
	At Span
}

// TextOp is an operator on strings.
type TextOp uint8

// The operators on strings.
const (
	Contains TextOp = iota
	StartsWith
	EndsWith
	Matches
)

// Text is `X contains "…"`, `starts with`, `ends with` or `matches`. Fold is `ignoring case`.
type Text struct {
	X       Expr
	Op      TextOp
	Pattern string
	Fold    bool
	At      Span
}

// Quantifier distinguishes `has`, `has any` and `has all`.
type Quantifier uint8

// The quantifiers of Has.
const (
	HasOne Quantifier = iota
	HasAny
	HasAll
)

// Has is `X has …`, `X has any (…)` or `X has all (…)`, for a list X.
type Has struct {
	X      Expr
	Which  Quantifier
	Values []*Literal
	At     Span
}

// InWindow is a time attribute (or time property, or time measure) followed by a window.
type InWindow struct {
	X      Expr
	Window Window
	At     Span
}

// Step is an event with an optional `where (…)`, nil if there is none.
type Step struct {
	Event string
	Where Pred
	At    Span
}

// Count is a condition on how often. Form, Lo and Hi are as written, for formatting; Bounds returns the
// meaning. `once` is Exactly 1.
type Count struct {
	Form   CountForm
	Lo, Hi int64
}

// CountForm is how a Count was written.
type CountForm uint8

// The forms of counts. The number is in Lo, the second one of BetweenTimes in Hi.
const (
	Exactly CountForm = iota
	AtLeast
	AtMost
	MoreThan
	FewerThan
	BetweenTimes
)

// Bounds returns the counts that satisfy c: lo <= n <= hi, with hi < 0 for no upper bound. lo > hi >= 0 if
// there are none, as for `fewer than 0`. Neither bound is math.MaxInt64, a count that does not occur, so
// callers may add one to them.
func (c Count) Bounds() (lo, hi int64) {
	lo, hi = c.Lo, c.Hi
	switch c.Form {
	case Exactly:
		hi = c.Lo
	case AtLeast:
		hi = -1
	case AtMost:
		lo, hi = 0, c.Lo
	case MoreThan:
		if lo < math.MaxInt64 {
			lo++
		}
		hi = -1
	case FewerThan:
		if c.Lo == 0 {
			return 1, 0
		}
		lo, hi = 0, c.Lo-1
	}
	if lo == math.MaxInt64 {
		return 1, 0
	}
	if hi == math.MaxInt64 {
		hi = -1
	}
	return lo, hi
}

// Did is `did Event [where (…)] [count] [window]`. A nil Count means at least once. `did not` is Not of it.
type Did struct {
	Step   Step
	Count  *Count
	Window Window
	At     Span
}

// Edge is `first did …` or `last did …`: the first event that satisfies Step, or the last one up to now, is
// in Window.
type Edge struct {
	Last   bool
	Step   Step
	Window Window
	At     Span
}

// SeqStep is a later step of a Sequence. A nil Within means no time limit. Absent is `then not`, which needs
// one.
type SeqStep struct {
	Step   Step
	Absent bool
	Within *Duration
}

// Sequence is `did First then …`; Window applies to the first step only.
type Sequence struct {
	First  Step
	Steps  []SeqStep
	Window Window
	At     Span
}

// InSegment is `in segment "X"`. The checker sets Def to the checked segment.
type InSegment struct {
	Name string
	Def  *Segment
	At   Span
}

// Segment is a saved predicate with the time zone it was created in ("" is UTC).
type Segment struct {
	Name      string
	Described string
	Refresh   Duration // zero without `refresh every`
	Zone      string
	Pred      Pred
}

// WasIn is `was in segment "X" at T`.
type WasIn struct {
	Name string
	At   When
	Pos  Span
}

// InList is `in list "X"`.
type InList struct {
	Name string
	At   Span
}

// InSample is `in sample "X" From% to To%`, in percent, From included and To excluded.
type InSample struct {
	Name     string
	From, To Number
	At       Span
}

// Rank is `in top N[%] by X`, or `in bottom …` if Bottom is set.
type Rank struct {
	Bottom  bool
	N       Number
	Percent bool
	By      Expr
	At      Span
}

func (*And) pred()         {}
func (*Or) pred()          {}
func (*Not) pred()         {}
func (*Everyone) pred()    {}
func (*Truth) pred()       {}
func (*Compare) pred()     {}
func (*In) pred()          {}
func (*Range) pred()       {}
func (*IsSet) pred()       {}
func (*Text) pred()        {}
func (*Has) pred()         {}
func (*InWindow) pred()    {}
func (*Did) pred()         {}
func (*Edge) pred()        {}
func (*Sequence) pred()    {}
func (*InSegment) pred()   {}
func (*WasIn) pred()       {}
func (*InList) pred()      {}
func (*InSample) pred()    {}
func (*Rank) pred()        {}
func (*Anniversary) pred() {}

// Name is an attribute, or a property inside `where (…)` and in the argument of an event measure. Previous is
// `previous.p`.
type Name struct {
	Name     string
	Previous bool
	At       Span
}

// Literal is a value as written. A date or time has When set and a missing Value, because its meaning depends
// on the time zone. Compared with a time, a date is the whole day: `=` means inside the day, `<` before its
// first instant, `<=` before the first instant of the next day, and so on. The checker turns a quoted date
// or time that is compared with a time into the same form.
type Literal struct {
	Value Value
	When  *When
	At    Span
}

// Arith is `L op R` with AddOp, SubOp, MulOp or DivOp, on numbers.
type Arith struct {
	Op   Op
	L, R Expr
	At   Span
}

// Fn is what a Measure computes.
type Fn uint8

// The measures. Median and Percentile are for `stats` only.
const (
	CountFn Fn = iota
	SumFn
	AvgFn
	MinFn
	MaxFn
	DistinctFn
	DaysFn
	FirstFn
	LastFn
	FavoriteFn
	MedianFn
	PercentileFn
)

var fnNames = [...]string{"count", "sum", "avg", "min", "max", "distinct", "days", "first", "last", "favorite", "median", "percentile"}

// String returns the function's keyword.
func (f Fn) String() string { return fnNames[f] }

// Measure is a value computed from events: `sum(Arg) of Event where (…) Window`. Arg is nil for count and
// days. With Event "" it is a measure of `stats` over attributes of the members. Percent is the second
// argument of percentile.
type Measure struct {
	Fn      Fn
	Arg     Expr
	Percent Number
	Event   string
	Where   Pred
	Window  Window
	At      Span
}

func (*Name) expr()    {}
func (*Literal) expr() {}
func (*Arith) expr()   {}
func (*Measure) expr() {}

// SpanOf returns the position of an expression in the text.
func SpanOf(x Expr) Span {
	switch x := x.(type) {
	case *Name:
		return x.At
	case *Literal:
		return x.At
	case *Measure:
		return x.At
	case *Arith:
		l, r := SpanOf(x.L), SpanOf(x.R)
		return Span{Offset: l.Offset, Length: max(r.Offset+r.Length-l.Offset, 0)}
	}
	return Span{}
}

// AllOf returns the conjunction of predicates: nil if there are none, the predicate itself if there is one.
func AllOf(args []Pred) Pred {
	switch len(args) {
	case 0:
		return nil
	case 1:
		return args[0]
	}
	return &And{Args: args}
}

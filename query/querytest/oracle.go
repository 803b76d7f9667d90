package querytest

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode"

	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// Oracle answers as docs/QUERY.md defines, by reading every profile and every event. It is written to be
// obviously right, not to be fast. It takes trees as the parser makes them, unchecked.
type Oracle struct {
	History *History
	Now     int64 // Unix ms
	Zone    *time.Location

	types *Types
	cuts  map[string]map[string]bool // ids in each rank, by rank and zone
}

// NewOracle returns an oracle for h at now. Zone "" means the zone of the history.
func NewOracle(h *History, now int64, zone string) (*Oracle, error) {
	if zone == "" {
		zone = h.Zone
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("load zone %q: %w", zone, err)
	}
	t := h.Types()
	return &Oracle{History: h, Now: now, Zone: loc, types: &t, cuts: map[string]map[string]bool{}}, nil
}

// At returns an oracle for another instant.
func (o *Oracle) At(now int64) *Oracle {
	other := *o
	other.Now, other.cuts = now, map[string]map[string]bool{}
	return &other
}

// scope says what a name refers to: an attribute of who, or a property of ev if that is set. previous is the
// event chosen for the last step of a sequence.
type scope struct {
	who      *Profile
	ev       *Event
	previous *Event
}

// Holds reports whether p is true for who.
func (o *Oracle) Holds(p tree.Pred, who *Profile) bool { return o.holds(p, scope{who: who}) }

// Value returns the value of x for who.
func (o *Oracle) Value(x tree.Expr, who *Profile) tree.Value { return o.value(x, scope{who: who}) }

// Members returns the profiles for which p is true, in the order of the history. A nil p means everyone.
func (o *Oracle) Members(p tree.Pred) []*Profile {
	var members []*Profile
	for i := range o.History.Profiles {
		if who := &o.History.Profiles[i]; p == nil || o.Holds(p, who) {
			members = append(members, who)
		}
	}
	return members
}

func (o *Oracle) holds(p tree.Pred, s scope) bool {
	switch p := p.(type) {
	case *tree.And:
		for _, arg := range p.Args {
			if !o.holds(arg, s) {
				return false
			}
		}
		return true
	case *tree.Or:
		for _, arg := range p.Args {
			if o.holds(arg, s) {
				return true
			}
		}
		return false
	case *tree.Not:
		return !o.holds(p.Arg, s)
	case *tree.Everyone:
		return true
	case *tree.Truth:
		return o.value(p.X, s).True()
	case *tree.Compare:
		return o.compare(p.Op, p.L, p.R, s)
	case *tree.In:
		for _, v := range p.Values {
			if o.compare(tree.Eq, p.X, v, s) {
				return true
			}
		}
		return false
	case *tree.Range:
		return o.compare(tree.Ge, p.X, p.Lo, s) && o.compare(tree.Le, p.X, p.Hi, s)
	case *tree.IsSet:
		return !o.value(p.X, s).Missing()
	case *tree.Text:
		v := o.value(p.X, s)
		return v.Type == tree.StringType && textHolds(p, v.Str)
	case *tree.Has:
		return has(p, o.value(p.X, s))
	case *tree.InWindow:
		v := o.value(p.X, s)
		return v.Type == tree.TimeType && o.window(p.Window).holds(v.Int)
	case *tree.Anniversary:
		v := o.value(p.X, s)
		return v.Type == tree.TimeType && o.anniversary(p.Window, v.Int)
	}
	return o.holdsOfProfile(p, s.who)
}

// often reports whether n satisfies a count.
func often(c *tree.Count, n int64) bool {
	if c == nil {
		return n >= 1
	}
	switch c.Form {
	case tree.Exactly:
		return n == c.Lo
	case tree.AtLeast:
		return n >= c.Lo
	case tree.AtMost:
		return n <= c.Lo
	case tree.MoreThan:
		return n > c.Lo
	case tree.FewerThan:
		return n < c.Lo
	}
	return c.Lo <= n && n <= c.Hi
}

// holdsOfProfile evaluates the predicates that are not allowed inside `where (…)` of an event.
func (o *Oracle) holdsOfProfile(p tree.Pred, who *Profile) bool {
	switch p := p.(type) {
	case *tree.Did:
		n := int64(len(o.events(who, p.Step, p.Window)))
		return often(p.Count, n)
	case *tree.Edge:
		all := o.events(who, p.Step, tree.Window{})
		if len(all) == 0 {
			return false
		}
		edge := all[0].Time
		for _, e := range all {
			if p.Last && e.Time > edge || !p.Last && e.Time < edge {
				edge = e.Time
			}
		}
		return o.window(p.Window).holds(edge)
	case *tree.Sequence:
		return o.sequence(p, who)
	case *tree.InSegment:
		seg := o.segment(p.Name)
		return o.in(seg.Zone).Holds(seg.Pred, who)
	case *tree.InList:
		for _, id := range o.History.Lists[p.Name] {
			if who.has(id) {
				return true
			}
		}
		return false
	case *tree.InSample:
		return inSample(p, who.ID())
	case *tree.Rank:
		return o.ranked(p)[who.ID()]
	}
	panic(fmt.Sprintf("oracle: %T", p))
}

func (o *Oracle) segment(name string) *tree.Segment {
	for _, s := range o.History.Segments {
		if s.Name == name {
			return s
		}
	}
	panic("oracle: no segment " + name)
}

// in returns an oracle for another time zone.
func (o *Oracle) in(zone string) *Oracle {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	other := *o
	other.Zone = loc
	return &other
}

// compare evaluates one comparison. It is false if a side is missing, except that != is the complement of =.
func (o *Oracle) compare(op tree.Op, l, r tree.Expr, s scope) bool {
	if op == tree.Ne {
		return !o.compare(tree.Eq, l, r, s)
	}
	if w, ok := o.literalDate(l, r); ok {
		return o.compareDate(mirror(op), w, o.value(r, s))
	}
	if w, ok := o.literalDate(r, l); ok {
		return o.compareDate(op, w, o.value(l, s))
	}
	a, b := o.value(l, s), o.value(r, s)
	if a.Missing() || b.Missing() || a.Type != b.Type {
		return false
	}
	c := a.Compare(b)
	switch op {
	case tree.Eq:
		return c == 0
	case tree.Lt:
		return c < 0
	case tree.Le:
		return c <= 0
	case tree.Gt:
		return c > 0
	}
	return c >= 0
}

func mirror(op tree.Op) tree.Op {
	switch op {
	case tree.Lt:
		return tree.Gt
	case tree.Le:
		return tree.Ge
	case tree.Gt:
		return tree.Lt
	case tree.Ge:
		return tree.Le
	}
	return op
}

// literalDate returns the date that x is, if it is a literal date.
func (o *Oracle) literalDate(x, _ tree.Expr) (date, bool) {
	lit, ok := x.(*tree.Literal)
	if !ok || lit.When == nil || !lit.When.Date {
		return date{}, false
	}
	return date{lit.When.Y, lit.When.M, lit.When.D}, true
}

// compareDate compares the time v with the whole day d.
func (o *Oracle) compareDate(op tree.Op, d date, v tree.Value) bool {
	if v.Type != tree.TimeType {
		return false
	}
	first, next := o.dayStart(d), o.dayStart(d.plus(1))
	switch op {
	case tree.Eq:
		return v.Int >= first && v.Int < next
	case tree.Lt:
		return v.Int < first
	case tree.Le:
		return v.Int < next
	case tree.Gt:
		return v.Int >= next
	}
	return v.Int >= first
}

func (o *Oracle) value(x tree.Expr, s scope) tree.Value {
	switch x := x.(type) {
	case *tree.Name:
		return o.name(x, s)
	case *tree.Literal:
		if x.When != nil {
			return tree.Time(o.instant(*x.When))
		}
		return x.Value
	case *tree.Arith:
		return arith(x.Op, o.value(x.L, s), o.value(x.R, s))
	case *tree.Measure:
		return o.measure(x, s.who)
	}
	panic(fmt.Sprintf("oracle: %T", x))
}

func (o *Oracle) name(x *tree.Name, s scope) tree.Value {
	ev := s.ev
	if x.Previous {
		ev = s.previous
	}
	if ev != nil {
		v := ev.Props[x.Name]
		if v.Type != o.types.Events[ev.Name][x.Name] {
			return tree.Value{}
		}
		return v
	}
	switch x.Name {
	case "user_id":
		if s.who.UserID == "" {
			return tree.Value{}
		}
		return tree.Str(s.who.UserID)
	case "anonymous_id":
		if len(s.who.Anonymous) == 0 {
			return tree.Value{}
		}
		return tree.Str(s.who.Anonymous[0])
	case "first_seen", "last_seen":
		return o.seen(s.who, x.Name == "last_seen")
	}
	return s.who.Attrs[x.Name]
}

func (o *Oracle) seen(who *Profile, last bool) tree.Value {
	var v tree.Value
	for _, e := range who.Events {
		if e.Time <= o.Now && (v.Missing() || last && e.Time > v.Int || !last && e.Time < v.Int) {
			v = tree.Time(e.Time)
		}
	}
	return v
}

func arith(op tree.Op, l, r tree.Value) tree.Value {
	if l.Type != tree.NumberType || r.Type != tree.NumberType {
		return tree.Value{}
	}
	a, b := rat(l.Number()), rat(r.Number())
	switch op {
	case tree.AddOp:
		return decimal(new(big.Rat).Add(a, b))
	case tree.SubOp:
		return decimal(new(big.Rat).Sub(a, b))
	case tree.MulOp:
		return decimal(new(big.Rat).Mul(a, b))
	}
	if b.Sign() == 0 {
		return tree.Value{}
	}
	quotient, _ := new(big.Rat).Quo(a, b).Float64()
	return number(quotient)
}

// decimal returns r exactly if it has a decimal form, else the float64 nearest to it.
func decimal(r *big.Rat) tree.Value {
	if n, ok := tree.ParseNumber(r.FloatString(tree.MaxScale)); ok && rat(n).Cmp(r) == 0 {
		return tree.Num(n)
	}
	f, _ := r.Float64()
	return number(f)
}

func textHolds(p *tree.Text, s string) bool {
	pattern := p.Pattern
	if p.Op == tree.Matches {
		if p.Fold {
			pattern = "(?i:" + pattern + ")"
		}
		return regexp.MustCompile(pattern).MatchString(s)
	}
	if p.Fold {
		s, pattern = fold(s), fold(pattern)
	}
	switch p.Op {
	case tree.Contains:
		return strings.Contains(s, pattern)
	case tree.StartsWith:
		return strings.HasPrefix(s, pattern)
	}
	return strings.HasSuffix(s, pattern)
}

// fold replaces every letter by the smallest one that is equal to it under simple case folding.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}

func has(p *tree.Has, list tree.Value) bool {
	found := 0
	for _, want := range p.Values {
		for _, item := range list.List {
			if item.Equal(want.Value) {
				found++
				break
			}
		}
	}
	if p.Which == tree.HasAll {
		return found == len(p.Values) && !list.Missing()
	}
	return found > 0
}

func inSample(p *tree.InSample, id string) bool {
	sum := new(big.Int).SetUint64(xxh3.HashString(p.Name + "\x00" + id))
	at := new(big.Rat).SetFrac(sum.Mul(sum, big.NewInt(100)), new(big.Int).Lsh(big.NewInt(1), 64))
	return at.Cmp(rat(p.From)) >= 0 && at.Cmp(rat(p.To)) < 0
}

// rat returns the exact value of n.
func rat(n tree.Number) *big.Rat {
	if n.IsFloat() {
		return new(big.Rat).SetFloat64(math.Float64frombits(uint64(n.Coef)))
	}
	return new(big.Rat).SetFrac(big.NewInt(n.Coef), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Scale)), nil))
}

// ranked returns the ids in a rank.
func (o *Oracle) ranked(p *tree.Rank) map[string]bool {
	key := fmt.Sprintf("%p %s", p, o.Zone)
	if ids, known := o.cuts[key]; known {
		return ids
	}
	type entry struct {
		value tree.Value
		id    string
	}
	var all []entry
	for i := range o.History.Profiles {
		who := &o.History.Profiles[i]
		v := o.Value(p.By, who)
		if v.Type != tree.NumberType && v.Type != tree.TimeType || !o.counted(p.By, who) {
			continue
		}
		all = append(all, entry{v, who.ID()})
	}
	sort.Slice(all, func(i, j int) bool {
		c := all[i].value.Compare(all[j].value)
		if !p.Bottom {
			c = -c
		}
		return c < 0 || c == 0 && all[i].id < all[j].id
	})
	n := rat(p.N)
	if p.Percent {
		n.Mul(n, big.NewRat(int64(len(all)), 100))
	}
	ids := map[string]bool{}
	for i, e := range all {
		if big.NewRat(int64(i), 1).Cmp(n) < 0 { // entry i is in the rank if i < n, so ⌈n⌉ entries are
			ids[e.id] = true
		}
	}
	o.cuts[key] = ids
	return ids
}

// counted reports whether every event measure in x has at least one event: ranks leave out profiles without.
func (o *Oracle) counted(x tree.Expr, who *Profile) bool {
	switch x := x.(type) {
	case *tree.Arith:
		return o.counted(x.L, who) && o.counted(x.R, who)
	case *tree.Measure:
		return len(o.points(x, who)) > 0
	}
	return true
}

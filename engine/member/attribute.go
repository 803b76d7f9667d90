package member

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// attribute holds the conditions that read one attribute. A plain condition compares nothing but this
// attribute with literals: it is given the old and the new value, and only where they differ.
type attribute struct {
	conditions []*condition            // those that must be evaluated
	byText     map[string][]*condition // plain ones that require one of these strings
	plain      []*condition            // the other plain ones
}

// plain returns the attribute of a predicate that a single value decides: a comparison of one attribute with
// literals. Such a predicate is false where the attribute is missing.
func plain(schema query.Schema, p tree.Pred) (id uint32, ok bool) {
	name := func(x tree.Expr, literals ...tree.Expr) (uint32, bool) {
		n, ok := x.(*tree.Name)
		if !ok || n.Previous {
			return 0, false
		}
		for _, x := range literals {
			if l, ok := x.(*tree.Literal); !ok || l.When != nil || l.Value.Missing() {
				return 0, false
			}
		}
		id, _, ok := schema.Attribute(n.Name)
		return id, ok && id >= query.FirstAttribute
	}
	switch p := p.(type) {
	case *tree.Compare:
		id, ok = name(p.L, p.R)
		return id, ok && p.Op != tree.Ne
	case *tree.Range:
		return name(p.X, p.Lo, p.Hi)
	case *tree.In:
		literals := make([]tree.Expr, len(p.Values))
		for i, l := range p.Values {
			literals[i] = l
		}
		return name(p.X, literals...)
	case *tree.IsSet:
		return name(p.X)
	case *tree.Truth:
		return name(p.X)
	}
	return 0, false
}

// plainHolds reports whether a value satisfies a plain predicate.
func plainHolds(p tree.Pred, v tree.Value) bool {
	switch p := p.(type) {
	case *tree.Compare:
		return plainCompare(p.Op, v, p.R)
	case *tree.Range:
		return plainCompare(tree.Ge, v, p.Lo) && plainCompare(tree.Le, v, p.Hi)
	case *tree.In:
		for _, l := range p.Values {
			if v.Equal(l.Value) && !v.Missing() {
				return true
			}
		}
	case *tree.IsSet:
		return !v.Missing()
	case *tree.Truth:
		return v.True()
	}
	return false
}

func plainCompare(o tree.Op, v tree.Value, x tree.Expr) bool {
	w := x.(*tree.Literal).Value
	if v.Missing() || v.Type != w.Type {
		return false
	}
	return o.Holds(v.Compare(w))
}

// texts returns the strings of which a plain predicate requires one, nil if it has another form.
func texts(p tree.Pred) (all []string) {
	literals := []*tree.Literal{}
	switch p := p.(type) {
	case *tree.Compare:
		if p.Op != tree.Eq {
			return nil
		}
		literals = append(literals, p.R.(*tree.Literal))
	case *tree.In:
		literals = p.Values
	}
	for _, l := range literals {
		if l.Value.Type != tree.StringType {
			return nil
		}
		all = append(all, l.Value.Str)
	}
	return all
}

// set passes an old and a new value to the plain conditions.
func (a *attribute) set(t *Tracker, ordinal uint32, was, is tree.Value) {
	for _, v := range [...]*tree.Value{&was, &is} {
		if v.Type == tree.StringType {
			for _, c := range a.byText[v.Str] {
				c.setPlain(ordinal, was, is)
			}
		}
	}
	for _, c := range a.plain {
		c.setPlain(ordinal, was, is)
	}
}

// setPlain updates a plain condition after a value has changed.
func (c *condition) setPlain(ordinal uint32, was, is tree.Value) {
	if before, now := plainHolds(c.pred, was), plainHolds(c.pred, is); before != now && c.ready(ordinal) {
		c.put(ordinal, now)
	}
}

// attributeOf returns the conditions of an attribute, creating the entry if needed.
func (t *Tracker) attributeOf(id uint32) *attribute {
	i := int(id - query.FirstAttribute)
	for len(t.byAttribute) <= i {
		t.byAttribute = append(t.byAttribute, nil)
	}
	if t.byAttribute[i] == nil {
		t.byAttribute[i] = &attribute{byText: map[string][]*condition{}}
	}
	return t.byAttribute[i]
}

func (a *attribute) add(c *condition) {
	if !c.plain {
		a.conditions = append(a.conditions, c)
		return
	}
	values := texts(c.pred)
	for _, v := range values {
		a.byText[v] = with(a.byText[v], c)
	}
	if values == nil {
		a.plain = append(a.plain, c)
	}
}

func (a *attribute) remove(c *condition) {
	a.conditions = without(a.conditions, c)
	a.plain = without(a.plain, c)
	if !c.plain {
		return
	}
	for _, v := range texts(c.pred) {
		if a.byText[v] = without(a.byText[v], c); len(a.byText[v]) == 0 {
			delete(a.byText, v)
		}
	}
}

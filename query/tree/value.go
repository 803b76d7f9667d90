package tree

import "strings"

// Type is the type of an attribute, a property or a value.
type Type uint8

// The types. NoType is the type of the missing value.
const (
	NoType Type = iota
	BoolType
	NumberType
	StringType
	TimeType
	ListType
)

var typeNames = [...]string{"none", "boolean", "number", "string", "time", "list"}

// String returns the name that users see.
func (t Type) String() string { return typeNames[t] }

// Value is one value of an attribute, property or measure. The zero Value is the missing one. Int holds a
// boolean as 0 or 1, a time in Unix milliseconds, or the Coef of a number. Scale holds the Scale of a number,
// Str a string, List the items of a list: at least one, and all scalars.
type Value struct {
	Type  Type
	Scale int8
	Int   int64
	Str   string
	List  []Value
}

// Bool returns the value of a boolean.
func Bool(b bool) Value {
	v := Value{Type: BoolType}
	if b {
		v.Int = 1
	}
	return v
}

// Num returns the value of a number.
func Num(n Number) Value { return Value{Type: NumberType, Int: n.Coef, Scale: n.Scale} }

// NumInt returns the value of a whole number.
func NumInt(i int64) Value { return Value{Type: NumberType, Int: i} }

// Str returns the value of a string.
func Str(s string) Value { return Value{Type: StringType, Str: s} }

// Time returns the value of an instant in Unix milliseconds.
func Time(ms int64) Value { return Value{Type: TimeType, Int: ms} }

// ListOf returns a list, or the missing value if there are no items.
func ListOf(items ...Value) Value {
	if len(items) == 0 {
		return Value{}
	}
	return Value{Type: ListType, List: items}
}

// Missing reports whether v is the missing value.
func (v Value) Missing() bool { return v.Type == NoType }

// Number returns the number v holds. REQUIRES: v is a number.
func (v Value) Number() Number { return Number{v.Int, v.Scale} }

// True reports whether v is the boolean true.
func (v Value) True() bool { return v.Type == BoolType && v.Int == 1 }

// Equal reports whether v and w are the same value of the same type.
func (v Value) Equal(w Value) bool { return v.Type == w.Type && v.Compare(w) == 0 }

// Compare orders values: the missing one last, the others by type. Within a type, numbers and times are
// ordered by value, strings by their UTF-8 bytes, false before true, lists item by item.
func (v Value) Compare(w Value) int {
	if v.Type != w.Type {
		if v.Type == NoType {
			return 1
		}
		if w.Type == NoType {
			return -1
		}
		return cmp(int64(v.Type), int64(w.Type))
	}
	switch v.Type {
	case NumberType:
		return v.Number().Compare(w.Number())
	case StringType:
		return strings.Compare(v.Str, w.Str)
	case ListType:
		for i := range min(len(v.List), len(w.List)) {
			if c := v.List[i].Compare(w.List[i]); c != 0 {
				return c
			}
		}
		return cmp(int64(len(v.List)), int64(len(w.List)))
	}
	return cmp(v.Int, w.Int)
}

package query

import "github.com/musterdb/muster/query/tree"

// Source is the state of one shard at one seq, immutable while it is read. Ordinals are dense uint32:
// chunk<<ChunkBits | position. Several goroutines may read one Source, each a different chunk.
type Source interface {
	// Chunks returns the number of chunks. All ordinals are less than Chunks() << ChunkBits.
	Chunks() int
	// Profiles sets out to the positions that have a profile, known or anonymous, and returns their
	// number.
	Profiles(chunk int, out *Bits) int
	// Hides reports whether the chunk has facts of profiles that Profiles leaves out. If so, values,
	// value sets, rows, Ever and Totals include those facts, and a reader must check the profile of
	// each.
	Hides(chunk int) bool
	// Attribute returns the pages of one attribute over one chunk. Page i covers positions [i*PageRows,
	// (i+1)*PageRows). A page may be shorter than PageRows, and pages may be missing at the end:
	// positions that no page covers have no value. The built-ins AttrFirstSeen and AttrLastSeen are
	// available (over all events, including future ones). AttrUserID and AttrAnonymousID are not (use
	// ID, UserID, Find).
	Attribute(id uint32, chunk int) []Vec
	// ValueSets returns, for an attribute of strings or booleans, the profiles of a chunk by value. It
	// returns nil if the source keeps no such sets (or no profile has a value). The sets agree with the
	// pages.
	ValueSets(attribute uint32, chunk int) ValueSets
	// Series returns the events of one name in one chunk; a zero Series if there are none.
	Series(event uint32, chunk int) Series
	// Events returns the ids of events that have a series in the chunk, ascending.
	Events(chunk int) []uint32
	// ID returns the canonical id: the user id, or the (first) anonymous id of a profile without one.
	ID(ordinal uint32) string
	// UserID and AnonymousID return the ids; ok is false if the profile has none.
	UserID(ordinal uint32) (id string, ok bool)
	AnonymousID(ordinal uint32) (id string, ok bool)
	// Find returns the profile with the given id: a user id if there is one, otherwise an anonymous id.
	Find(id string) (ordinal uint32, ok bool)
	// InList sets out to the members of a static list.
	InList(list uint32, chunk int, out *Bits)
	// Inputs returns the sets the source was given for the inputs of a statement, by number; nil if it
	// was given none.
	Inputs() []Set
}

// ValueSets is one attribute over one chunk, by value. It is immutable while the source is read.
type ValueSets interface {
	// Dict returns the dictionary of the codes, the same one for all chunks; nil for booleans, whose
	// codes are 0 and 1.
	Dict() Dict
	// Codes returns the codes of the values that occur, ascending.
	Codes() []uint32
	// Holders returns the profiles that have the value of a code; none if the code is not in Codes.
	Holders(code uint32) Holders
}

// PageRows is the number of positions one page of an attribute covers.
const PageRows = 512

// Series is the events of one name in one chunk. Blocks are in no particular order and may overlap in
// time.
type Series struct {
	Blocks []*Block
	// Spans has the bounds of each block's times, so that a reader need not touch blocks outside a
	// window; nil if the source keeps none.
	Spans []Span
	// Ever is the set of profiles with an event of the name, at any time (including the future). If it
	// is empty, the set is unknown.
	Ever Holders
	// Totals has the totals of the rows in the first Settled blocks; nil if the source keeps none.
	Totals  *Totals
	Settled int
	// Min and Max bound the times of all rows, Unix ms. Rows is the number of rows.
	Min, Max int64
	Rows     int
}

// Span is a range of time, Unix ms, including both ends.
type Span struct{ Min, Max int64 }

// Block is a leaf or part of a tail: Rows events, column by column, immutable.
type Block struct {
	Rows int
	// Pos is the position of each row's profile in the chunk.
	Pos []uint16
	// The time of row i is Base + Off[i], or Times[i] if Off is nil. Unix ms.
	Base  int64
	Off   []uint32
	Times []int64
	// Min and Max are the exact bounds of the times.
	Min, Max int64
	// Sorted means that rows are ordered by (Pos, time).
	Sorted bool
	// Cols has the properties by property id. If an entry is nil, or the id is beyond the end, no row
	// has the property.
	Cols []*Vec
}

// Time returns the time of row i.
func (b *Block) Time(i int) int64 {
	if b.Off != nil {
		return b.Base + int64(b.Off[i])
	}
	return b.Times[i]
}

// Col returns the column of a property, nil if no row has it.
func (b *Block) Col(property uint32) *Vec {
	if int(property) < len(b.Cols) {
		return b.Cols[property]
	}
	return nil
}

// VecMissing is the value in I64 that represents a missing value.
const VecMissing = -1 << 63

// Vec is a column of values of one type: a page of an attribute or a property of a block. Row i has an integer:
// 0 or 1 for a boolean, Unix ms for a time, a dictionary code for a string or list, and for a number the
// coefficient with Scale decimals. It is encoded in one of these ways:
//
//	Const: every row has the value Base
//	U8, U16, U32: 0 is missing, any other entry is the value Base + entry
//	I64: VecMissing is missing, any other entry is the value
//
// Scales, if not nil (only with I64), has the scale of each row, tree.FloatScale for the bits of a float64.
// Otherwise all rows have Scale and no row is a float. Coefficients at a common scale are not canonical (1.50 and
// 2.25 are 150 and 225): use tree.Decimal.
type Vec struct {
	Rows  int
	Base  int64
	Type  tree.Type
	Scale int8
	Const bool
	// Bounded means that Lo and Hi bound the raw integers of all rows with a value (only without
	// Scales). The bounds need not be tight.
	Bounded bool
	Lo, Hi  int64
	U8      []uint8
	U16     []uint16
	U32     []uint32
	I64     []int64
	Scales  []int8
	Dict    Dict // strings and lists
}

// Dict is the dictionary of a column of strings or lists: codes from 0 to Len()-1 in order of first
// appearance. All values are distinct.
type Dict interface {
	Len() int
	// Value returns the string or list of a code.
	Value(code uint32) tree.Value
	// Find returns the code of a value.
	Find(v tree.Value) (code uint32, ok bool)
}

// Raw returns the integer of row i; ok is false if it is missing.
func (v *Vec) Raw(i int) (raw int64, ok bool) {
	switch {
	case v.Const:
		return v.Base, true
	case v.U8 != nil:
		return v.Base + int64(v.U8[i]), v.U8[i] != 0
	case v.U16 != nil:
		return v.Base + int64(v.U16[i]), v.U16[i] != 0
	case v.U32 != nil:
		return v.Base + int64(v.U32[i]), v.U32[i] != 0
	case v.I64 != nil:
		return v.I64[i], v.I64[i] != VecMissing || v.Scales != nil && v.Scales[i] == tree.FloatScale
	}
	return 0, false
}

// Bounds returns bounds of the raw integers of all rows with a value. They need not be tight. ok is
// false if they are not known, or if rows have their own scales.
func (v *Vec) Bounds() (lo, hi int64, ok bool) {
	switch {
	case v.Scales != nil:
		return 0, 0, false
	case v.Const:
		return v.Base, v.Base, true
	case v.Bounded:
		return v.Lo, v.Hi, true
	}
	return 0, 0, v.U8 == nil && v.U16 == nil && v.U32 == nil && v.I64 == nil
}

// Value returns the value of row i, the missing value if there is none.
func (v *Vec) Value(i int) tree.Value {
	raw, ok := v.Raw(i)
	if !ok {
		return tree.Value{}
	}
	switch v.Type {
	case tree.NumberType:
		scale := v.Scale
		if v.Scales != nil {
			scale = v.Scales[i]
		}
		if scale == tree.FloatScale {
			return tree.Num(tree.Number{Coef: raw, Scale: scale})
		}
		return tree.Num(tree.Decimal(raw, scale))
	case tree.StringType, tree.ListType:
		return v.Dict.Value(uint32(raw))
	}
	return tree.Value{Type: v.Type, Int: raw}
}

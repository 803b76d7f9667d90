package query

import "github.com/musterdb/muster/query/tree"

// Source is one shard's state at one seq, immutable while it is read. Ordinals are dense uint32:
// chunk<<ChunkBits | position. Several goroutines may read one Source, each another chunk.
type Source interface {
	// Chunks returns the number of chunks; ordinals run below Chunks() << ChunkBits.
	Chunks() int
	// Profiles fills out with the positions that hold a profile, known or anonymous, and returns how many
	// they are.
	Profiles(chunk int, out *Bits) int
	// Hides tells whether the chunk has facts of profiles that Profiles leaves out: then values, value sets,
	// rows, Ever and Totals tell of them too, and what asks about nobody in particular must look at each.
	Hides(chunk int) bool
	// Attribute returns the pages of one attribute over one chunk: page i covers positions
	// [i*PageRows, (i+1)*PageRows); a page may be shorter than PageRows or missing at the end: what
	// it does not cover has no value. The built-ins AttrFirstSeen and AttrLastSeen are served (over
	// all events, also future ones); AttrUserID and AttrAnonymousID are not (use ID, UserID, Find).
	Attribute(id uint32, chunk int) []Vec
	// ValueSets returns who has which value of an attribute of strings or booleans in a chunk, nil where
	// the source keeps no such sets (or nobody has a value). They tell the same as the pages.
	ValueSets(attribute uint32, chunk int) ValueSets
	// Series returns the events of one name in one chunk; a zero Series when there are none.
	Series(event uint32, chunk int) Series
	// Events returns, ascending, the event ids that have a series in the chunk.
	Events(chunk int) []uint32
	// ID returns the canonical id: the user id, or the (first) anonymous id of a profile without one.
	ID(ordinal uint32) string
	// UserID and AnonymousID return the ids; ok is false where the profile has none.
	UserID(ordinal uint32) (id string, ok bool)
	AnonymousID(ordinal uint32) (id string, ok bool)
	// Find returns the profile that answers to the literal id: a user id first, else an anonymous one.
	Find(id string) (ordinal uint32, ok bool)
	// InList fills out with the members of a static list.
	InList(list uint32, chunk int, out *Bits)
	// Inputs returns the sets the source was given for the inputs of a statement, by number; nil where it was
	// given none.
	Inputs() []Set
}

// ValueSets is one attribute over one chunk, value by value. It is immutable while the source is read.
type ValueSets interface {
	// Dict is the dictionary of the codes, the same one for all chunks; nil for booleans, whose codes
	// are 0 and 1.
	Dict() Dict
	// Codes returns the codes of the values somebody has, ascending.
	Codes() []uint32
	// Holders returns who has the value of a code, nobody where it is not in Codes.
	Holders(code uint32) Holders
}

// PageRows is the number of positions one page of an attribute covers.
const PageRows = 512

// Series is the events of one name in one chunk. Blocks are in no promised order and may overlap
// in time.
type Series struct {
	Blocks []*Block
	// Spans has the bounds of each block's times, so that those outside a window need not be touched; nil
	// where the source keeps none.
	Spans []Span
	// Ever has the profiles with an event of the name, at any time (also a future one). Nobody: unknown.
	Ever Holders
	// Totals has what the rows of the first Settled blocks add up to; nil where the source keeps none.
	Totals  *Totals
	Settled int
	// Min and Max bound the times of all rows, Unix ms. Rows is their number.
	Min, Max int64
	Rows     int
}

// Span is a stretch of time, Unix ms, with both ends.
type Span struct{ Min, Max int64 }

// Block is a leaf or a stretch of a tail: Rows events, column by column, immutable.
type Block struct {
	Rows int
	// Pos is the position of each row's profile in the chunk.
	Pos []uint16
	// Times: row i happened at Base + Off[i], or at Times[i] where Off is nil. Unix ms.
	Base  int64
	Off   []uint32
	Times []int64
	// Min and Max are the exact bounds of the times.
	Min, Max int64
	// Sorted tells that rows are ordered by (Pos, time).
	Sorted bool
	// Cols holds the properties by property id; a nil entry, or an id beyond the end: no row has it.
	Cols []*Vec
}

// Time returns the time of row i.
func (b *Block) Time(i int) int64 {
	if b.Off != nil {
		return b.Base + int64(b.Off[i])
	}
	return b.Times[i]
}

// Col returns the column of a property, nil when no row has it.
func (b *Block) Col(property uint32) *Vec {
	if int(property) < len(b.Cols) {
		return b.Cols[property]
	}
	return nil
}

// VecMissing is the value of I64 that stands for a missing one.
const VecMissing = -1 << 63

// Vec is a column of values of one type: of a page of an attribute or of a block's property. Row i
// holds an integer: a boolean 0 or 1, a time in Unix ms, a dictionary code for strings and lists,
// and for numbers the coefficient of Scale decimals. It is encoded in one of these ways:
//
//	Const: every row holds Base
//	U8, U16, U32: 0 is missing, else the row holds Base + value
//	I64: VecMissing is missing, else the row holds the value itself
//
// Scales, if not nil (only with I64), gives each row its own scale, tree.FloatScale for the bits of a
// float64. Otherwise all rows have Scale, and no row is a float; coefficients are then those of one
// common scale and not canonical (1.50 and 2.25 are 150 and 225): use tree.Decimal.
type Vec struct {
	Rows  int
	Base  int64
	Type  tree.Type
	Scale int8
	Const bool
	// Bounded tells that Lo and Hi are bounds of the raw integers of all rows that have a value
	// (only without Scales); they need not be reached.
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
// appearance, the same value never twice.
type Dict interface {
	Len() int
	// Value returns the string or list of a code.
	Value(code uint32) tree.Value
	// Find returns the code of a value.
	Find(v tree.Value) (code uint32, ok bool)
}

// Raw returns the integer of row i; ok is false where it is missing.
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

// Bounds returns bounds of the raw integers of all rows that have a value, which need not be reached; ok is
// false where they are not known, or rows have scales of their own.
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

// Value returns the value of row i, the missing one where there is none.
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

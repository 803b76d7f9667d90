package member

import "github.com/musterdb/muster/query"

// Host is the shard as its live segments see it. Only the goroutine that applies entries uses it.
type Host interface {
	// Source returns the current state, for reading whole chunks.
	Source() query.Source
	// Profile returns the current state for reading one profile cheaply. It is valid until the next call.
	Profile(ordinal uint32) query.Source
	// Rows appends to into the events of a name and a profile with times between from and to, both
	// included, in no order. They are valid until the next call or the next event.
	Rows(ordinal, event uint32, from, to int64, into []Row) []Row
	// Exists reports whether a profile exists.
	Exists(ordinal uint32) bool
	// Members returns the membership of the segment in a slot.
	Members(slot int) Members
}

// Row is one event: a row of a block.
type Row struct {
	At    int64
	Block *query.Block
	Row   int
}

// Members is one membership as the Host stores it.
type Members interface {
	Has(ordinal uint32) bool
	Fill(chunk int, out *query.Bits)
	// Put adds profiles, ascending, to the members or removes them. REQUIRES: each of them changes.
	Put(ordinals []uint32, member bool)
}

// Cause is why a profile entered or left.
type Cause uint8

// The causes. Their numbers are stored and sent with changes.
const (
	ByEvent Cause = iota + 1
	ByAttribute
	ByTime
	ByDefinition
	ByMerge
	ByErase
	ByImport
)

var causeNames = [...]string{"", "event", "attribute", "time", "definition", "merge", "erase", "import"}

// String returns the name of the cause in the stream of changes.
func (c Cause) String() string { return causeNames[c] }

// Flip holds the profiles that entered or left one segment at one instant for one cause, in ascending order
// of ordinal.
type Flip struct {
	Slot   int
	At     int64 // Unix ms
	Cause  Cause
	Exits  []uint32
	Enters []uint32
}

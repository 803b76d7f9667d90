package member

import "github.com/musterdb/muster/query"

// Host is the shard as its live segments see it. It is read and written by one goroutine, the one
// that applies entries.
type Host interface {
	// Source is the state as it is now, for whole chunks.
	Source() query.Source
	// Profile is the state as it is now, to be asked about one profile only, cheaply. It is good
	// until the next call.
	Profile(ordinal uint32) query.Source
	// Rows appends to into the events of a name and a profile with times from from to to, both
	// included, in no order. They are good until the next call or the next event.
	Rows(ordinal, event uint32, from, to int64, into []Row) []Row
	// Exists tells whether a profile is there.
	Exists(ordinal uint32) bool
	// Members is the membership of the segment in a slot.
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
	// Put makes profiles, ascending, members or no members. REQUIRES: none is that already.
	Put(ordinals []uint32, member bool)
}

// Cause is why a profile entered or left.
type Cause uint8

// The causes. Changes are kept and sent with their numbers.
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

// Flip is the profiles that entered or left one segment at one instant for one cause; ordinals
// ascend.
type Flip struct {
	Slot   int
	At     int64 // Unix ms
	Cause  Cause
	Exits  []uint32
	Enters []uint32
}

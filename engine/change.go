package engine

import "github.com/musterdb/muster/engine/member"

// Cause is why a membership changed.
type Cause = member.Cause

// The causes.
const (
	ByEvent      = member.ByEvent
	ByAttribute  = member.ByAttribute
	ByTime       = member.ByTime
	ByDefinition = member.ByDefinition
	ByMerge      = member.ByMerge
	ByErase      = member.ByErase
	ByImport     = member.ByImport
)

// Change is one or more profiles that entered or left a live segment at one seq for one cause. A
// cursor counts profiles: the first of a Change is number N of its seq, exits before enters, each in
// ascending order of ordinals.
type Change struct {
	Seq     uint64
	N       int
	Segment string
	Version uint64 // of the catalog that made the segment's definition
	At      int64  // when the membership changed, Unix ms: the time of the entry, or the exact instant a window lapsed
	Cause   Cause
	Exits   []uint32 // ordinals, ascending
	Enters  []uint32
}

// Len returns the number of profiles, which is how many numbers of its seq a Change uses.
func (c *Change) Len() int { return len(c.Exits) + len(c.Enters) }

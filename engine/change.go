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

// Change is one or many profiles that entered or left a live segment at one seq for one cause. A
// cursor counts profiles: the first of a Change is number N of its seq, exits before enters, each
// side in ascending order of ordinals.
type Change struct {
	Seq     uint64
	N       int
	Segment string
	Version uint64 // of the catalog that made the segment's definition
	At      int64  // the instant the membership changed, Unix ms: an event's entry, or the exact lapse
	Cause   Cause
	Exits   []uint32 // ordinals, ascending
	Enters  []uint32
}

// Len is the number of profiles, the numbers a Change takes up in its seq.
func (c *Change) Len() int { return len(c.Exits) + len(c.Enters) }

package engine

// Cause is why a membership changed.
type Cause uint8

// The causes, as the stream names them.
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

// String returns the cause's name on the wire.
func (c Cause) String() string { return causeNames[c] }

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

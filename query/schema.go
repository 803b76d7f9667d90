package query

import "github.com/musterdb/muster/query/tree"

// Ids of the built-in attributes. Real attributes have ids from FirstAttribute on.
const (
	AttrNone        uint32 = iota
	AttrUserID             // string; missing for anonymous profiles
	AttrAnonymousID        // string; the first anonymous id, missing if there is none
	AttrFirstSeen          // time of the earliest event up to now; the Source's column includes later events
	AttrLastSeen           // time of the latest event up to now; the Source's column includes later events
	FirstAttribute  uint32 = 16
)

// NameKind is a kind of name in the catalog.
type NameKind uint8

// The kinds.
const (
	AttributeName NameKind = iota
	EventName
	PropertyName // of one event, or of any when the event is ""
	SegmentName
	ListName
)

// Schema looks up the names a statement may use. It is immutable: one version of the catalog. The four
// built-in attributes (user_id, anonymous_id, first_seen, last_seen) are among its attributes.
type Schema interface {
	// Attribute returns the id and type of an attribute.
	Attribute(name string) (id uint32, t tree.Type, ok bool)
	// Event returns the id of an event name.
	Event(name string) (id uint32, ok bool)
	// Property returns a property of one event; ids are dense from 0 within an event.
	Property(event uint32, name string) (id uint32, t tree.Type, ok bool)
	// Segment returns a saved segment. Its predicate is as written, not checked.
	Segment(name string) (*tree.Segment, bool)
	// List returns the id of a static list.
	List(name string) (id uint32, ok bool)
	// Names yields the names of a kind in ascending order. event is used only for PropertyName.
	Names(kind NameKind, event string, yield func(name string, t tree.Type) bool)
	// Zone is the workspace's time zone, an IANA name; "" is UTC.
	Zone() string
}

package engine

import "github.com/musterdb/muster/query/tree"

// Kind is the kind of a message.
type Kind uint8

// The kinds, with the names that the Segment API uses. Profile is a row of a profile import; it sets
// attributes like Identify, but is not an API call.
const (
	Identify Kind = iota + 1
	Track
	Page
	Screen
	Group
	Alias
	Profile
)

var kindNames = [...]string{"", "identify", "track", "page", "screen", "group", "alias", "profile"}

// String returns the kind's name on the wire.
func (k Kind) String() string { return kindNames[k] }

// Incoming is one message as it was received: names, not ids. Duplicates have the same MessageID, or
// the same Source and Line. Event is set for Track, Page ("Page Viewed") and Screen ("Screen
// Viewed"). Fields are properties for these three, attributes for Identify, Group and Profile; nested
// objects have become dotted names, and missing values never appear. Times are Unix milliseconds.
type Incoming struct {
	Kind        Kind
	MessageID   string
	Source      string
	Line        uint64
	UserID      string
	AnonymousID string
	PreviousID  string // Alias
	GroupID     string // Group
	Time        int64
	ReceivedAt  int64
	Event       string
	Fields      []NamedField
	Context     []byte // the rest of the message as received, a JSON object or empty; stored in the history only
}

// NamedField is one attribute or property by name. Exact means that a string is a string even if it
// looks like a date, because its sender knows the column's type.
type NamedField struct {
	Name  string
	Value tree.Value
	Exact bool
}

// Message is an Incoming whose names the catalog has resolved: it has ids, and values of the
// catalog's types. What the catalog cannot take is not in Fields but in Context. Mismatched is the
// number of values whose type is not that of their column.
type Message struct {
	Kind        Kind
	MessageID   string
	Source      string
	Line        uint64
	UserID      string
	AnonymousID string
	PreviousID  string
	Time        int64
	ReceivedAt  int64
	Event       uint32 // NoEvent if the catalog lacks the name
	EventName   string // if Event is NoEvent; such a message is in the history only
	Fields      []Field
	Mismatched  uint16
	// To is the MoveTo of the Moved outcome that a router follows: the message is applied to this
	// user's profile, whatever ids it names. It is "" at first.
	To      string
	Context []byte
}

// Field is one attribute or property by id.
type Field struct {
	ID    uint32
	Value tree.Value
}

// Outcome is what became of one message.
type Outcome struct {
	Status Status
	Reason string // of Refused
	MoveTo string // of Moved: the user id whose shard has the profile now
	// Dropped is what the message lost when its names were resolved. A router sets it, for messages
	// that are Accepted or Duplicate.
	Dropped []Dropped
}

// Status is the class of an Outcome.
type Status uint8

// The statuses. Only Accepted and Duplicate are final successes. Moved is for routers and never
// returned to clients. Busy means that the profile is moving: send the message again.
const (
	Accepted Status = iota + 1
	Duplicate
	Refused
	Moved
	Busy
)

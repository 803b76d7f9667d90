package engine

// About is what is known of one profile at one seq: the answer to "who is this".
type About struct {
	ID           string // canonical
	UserID       string // "" for an anonymous profile
	AnonymousIDs []string
	Attributes   []NamedField // in ascending order of name
	Events       []EventCount // in ascending order of name
	FirstSeen    int64        // Unix ms over all events; 0 without events
	LastSeen     int64
	Segments     []string // it is a member of, in ascending order
	Building     []string // segments of which that is not known yet
	Shard        int
	Seq          uint64
}

// EventCount tells how often a profile did an event, and when first and last (Unix ms).
type EventCount struct {
	Name        string
	Count       int64
	First, Last int64
}

// Received is one message of a profile's timeline, as history keeps it.
type Received struct {
	Incoming
	Shard int
	Seq   uint64 // with N the position in the shard's log
	N     int
}

// MemoryLine is the memory of one structure.
type MemoryLine struct {
	Name  string
	Bytes int64
}

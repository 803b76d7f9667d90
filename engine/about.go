package engine

// About has everything known about one profile at one seq.
type About struct {
	ID           string // canonical
	UserID       string // "" for an anonymous profile
	AnonymousIDs []string
	Attributes   []NamedField // in ascending order of name
	Events       []EventCount // in ascending order of name
	FirstSeen    int64        // Unix ms over all events; 0 without events
	LastSeen     int64
	Segments     []string // it is a member of, in ascending order
	Building     []string // segments being built, whose members are not known yet
	Shard        int
	Seq          uint64
}

// EventCount is how often a profile did an event, and the times of its first and last one (Unix ms).
type EventCount struct {
	Name        string
	Count       int64
	First, Last int64
}

// Received is one message of a profile's timeline, as the history stores it.
type Received struct {
	Incoming
	Shard int
	Seq   uint64 // Seq and N together are the position in the shard's log
	N     int
}

// MemoryLine is the memory of one structure.
type MemoryLine struct {
	Name  string
	Bytes int64
}

package api

import "encoding/json"

// Profile is what is known of one profile.
type Profile struct {
	ID           string         `json:"id" doc:"The canonical id: the user id, else the first anonymous id"`
	UserID       string         `json:"user_id,omitempty"`
	AnonymousIDs []string       `json:"anonymous_ids"`
	Attributes   map[string]any `json:"attributes"`
	Events       []EventCount   `json:"events"`
	FirstSeen    string         `json:"first_seen,omitempty"`
	LastSeen     string         `json:"last_seen,omitempty"`
	Segments     []string       `json:"segments" doc:"The saved segments the profile is in; empty if segments=false was requested"`
	Shard        int            `json:"shard"`
	Seq          uint64         `json:"seq"`
}

// EventCount says how often a profile did an event, and when first and last.
type EventCount struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	First string `json:"first"`
	Last  string `json:"last"`
}

// Timeline is a page of the messages received for a profile, newest first. Next is the next ?before=; it
// is empty at the end.
type Timeline struct {
	Events []Message `json:"events"`
	Next   string    `json:"next,omitempty"`
}

// Message is one message in the history. Properties and traits have dotted names; Rest has the other fields
// that were sent (context, integrations, values that are not columns).
type Message struct {
	Type        string          `json:"type"`
	MessageID   string          `json:"messageId,omitempty"`
	Source      string          `json:"source,omitempty" doc:"The imported file it comes from"`
	Line        uint64          `json:"line,omitempty"`
	UserID      string          `json:"userId,omitempty"`
	AnonymousID string          `json:"anonymousId,omitempty"`
	PreviousID  string          `json:"previousId,omitempty"`
	GroupID     string          `json:"groupId,omitempty"`
	Event       string          `json:"event,omitempty"`
	Timestamp   string          `json:"timestamp"`
	ReceivedAt  string          `json:"receivedAt"`
	Properties  map[string]any  `json:"properties,omitempty"`
	Traits      map[string]any  `json:"traits,omitempty"`
	Rest        json.RawMessage `json:"rest,omitempty"`
}

// Segment is a saved segment. Refresh is a Go duration such as "10m0s"; empty without one.
type Segment struct {
	Name      string       `json:"name"`
	Predicate string       `json:"predicate" doc:"Canonical MQL"`
	Described string       `json:"described,omitempty"`
	Zone      string       `json:"zone,omitempty" doc:"IANA time zone"`
	Refresh   string       `json:"refresh,omitempty"`
	Version   uint64       `json:"version" doc:"The catalog version that last changed it"`
	State     string       `json:"state,omitempty" enum:"building,live,waiting,failed" doc:"The state of its live computation"`
	Reason    string       `json:"reason,omitempty" doc:"Why it failed"`
	Price     Price        `json:"price" doc:"Estimated cost on the current data; the cost of shared parts is divided among the segments"`
	Warnings  []Diagnostic `json:"warnings,omitempty" doc:"Only when it has just been saved"`
}

// Price is the estimated cost of a live segment for a node.
type Price struct {
	Memory int64   `json:"memory_bytes" doc:"Memory of its live state"`
	Event  float64 `json:"event_us" doc:"Processor time for one event of its most expensive name, µs"`
	Second float64 `json:"second_us" doc:"Processor time per second without any messages, µs"`
	Stop   float64 `json:"stop_ms" doc:"Longest pause of a shard while a part of it is computed, ms"`
	Build  float64 `json:"build_ms" doc:"Processor time to compute it when it is saved and when the node starts, ms"`
}

// SegmentRequest is the body of PUT /v1/segments/{name}.
type SegmentRequest struct {
	Predicate    string `json:"predicate" doc:"An MQL condition, as after where"`
	Described    string `json:"described,omitempty"`
	Zone         string `json:"zone,omitempty"`
	Refresh      string `json:"refresh,omitempty" doc:"A duration such as 10m"`
	AllowUnknown bool   `json:"allow_unknown,omitempty" doc:"Accept names that are not in the catalog"`
}

// Segments is the answer of GET /v1/segments, in ascending order of name.
type Segments struct {
	Segments []Segment `json:"segments"`
}

// Members is a page of the members of a segment in storage order; Next is the next ?after=.
type Members struct {
	Members []string `json:"members"`
	Next    string   `json:"next,omitempty"`
	Stats   Stats    `json:"stats"`
}

// Membership reports whether one profile is in a segment.
type Membership struct {
	Segment string `json:"segment"`
	ID      string `json:"id"`
	Member  bool   `json:"member"`
}

// ListRequest is the body of PUT /v1/lists/{name}: ids to add and to remove. Ids is another name for
// Add. The list is created if it does not exist.
type ListRequest struct {
	IDs    []string `json:"ids,omitempty"`
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// ListEdited is the answer of PUT /v1/lists/{name}.
type ListEdited struct {
	List    string `json:"list"`
	Added   int    `json:"added" doc:"Number of ids in the request to add, including those already in the list"`
	Removed int    `json:"removed"`
}

// Lists is the answer of GET /v1/lists.
type Lists struct {
	Lists []string `json:"lists"`
}

// Catalog is all attributes, events and segments, and the memory of the node.
type Catalog struct {
	Attributes []Name       `json:"attributes"`
	Events     []Name       `json:"events"`
	Segments   []Name       `json:"segments"`
	Memory     []MemoryLine `json:"memory"`
}

// Name describes an attribute, an event with its properties, or a segment. Cardinality is -1 if unknown.
type Name struct {
	Name        string `json:"name"`
	Type        string `json:"type,omitempty"`
	Count       int64  `json:"count"`
	Cardinality int64  `json:"cardinality"`
	Examples    []any  `json:"examples,omitempty"`
	FirstSeen   string `json:"first_seen,omitempty"`
	LastSeen    string `json:"last_seen,omitempty"`
	MemoryBytes int64  `json:"memory_bytes"`
	Overflowed  bool   `json:"overflowed,omitempty" doc:"Not all values are held in memory"`
	Mismatched  int64  `json:"mismatched,omitempty" doc:"Values left out because they had another type"`
	Properties  []Name `json:"properties,omitempty"`
}

// MemoryLine is the memory of one structure.
type MemoryLine struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// Health is the answer of GET /healthz and GET /readyz.
type Health struct {
	Ready    bool          `json:"ready"`
	Degraded bool          `json:"degraded,omitempty" doc:"Serving, but refusing writes"`
	Reason   string        `json:"reason,omitempty"`
	Profiles int64         `json:"profiles"`
	Events   int64         `json:"events"`
	DiskFree int64         `json:"disk_free"`
	Shards   []ShardHealth `json:"shards,omitempty"`
	// Skipped has the log entries that muster repair was told to skip.
	Skipped []SkippedEntry `json:"skipped_entries,omitempty" doc:"Log entries that muster repair was told never to apply"`
}

// SkippedEntry is an entry of a log that is never applied.
type SkippedEntry struct {
	Group string `json:"group"`
	Index uint64 `json:"index"`
	What  string `json:"what" doc:"The entry in words"`
	At    string `json:"at" doc:"When muster repair skipped it"`
}

// ShardHealth is the state of one replica.
type ShardHealth struct {
	ShardStat
	Leader   bool   `json:"leader"`
	Profiles int64  `json:"profiles"`
	Events   int64  `json:"events"`
	LogBytes int64  `json:"log_bytes"`
	Hash     string `json:"hash,omitempty" doc:"The state hash in hexadecimal"`
}

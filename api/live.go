package api

import (
	"bytes"
	"encoding/json"
)

// StreamMessage is what the server says on GET /v1/stream. Op tells which of the others are there:
// hello (Version, HeartbeatMS), members (Profiles, More), enter and exit (Profile, At, Cause, Fields),
// checkpoint, resync (Reason), error (Code, Message, Temporary), and payload or batch for formats other
// than native. ID is the client's name of the subscription.
type StreamMessage struct {
	Op          string         `json:"op"`
	ID          string         `json:"id,omitempty"`
	Segment     string         `json:"segment,omitempty"`
	Profile     string         `json:"profile,omitempty"`
	At          string         `json:"at,omitempty"`
	Cause       string         `json:"cause,omitempty" doc:"event, attribute, time, definition, merge, erase or import"`
	Fields      map[string]any `json:"fields,omitempty" doc:"As of the delivery; none for a profile that is gone"`
	Cursor      string         `json:"cursor,omitempty" doc:"Opaque: where to go on"`
	Profiles    []StreamMember `json:"profiles,omitempty"`
	More        bool           `json:"more,omitempty" doc:"Further pages of the snapshot follow"`
	Reason      string         `json:"reason,omitempty"`
	Code        string         `json:"code,omitempty"`
	Message     string         `json:"message,omitempty"`
	Temporary   bool           `json:"temporary,omitempty"`
	HeartbeatMS int64          `json:"heartbeat_ms,omitempty"`
	Version     string         `json:"version,omitempty"`
	Payload     any            `json:"payload,omitempty" doc:"The change in another format"`
}

// StreamMember is a profile of a snapshot. It stands as its id alone where no fields were asked for.
type StreamMember struct {
	Profile string
	Fields  map[string]any
}

// MarshalJSON writes the short form where it will do.
func (m StreamMember) MarshalJSON() ([]byte, error) {
	if len(m.Fields) == 0 {
		return json.Marshal(m.Profile)
	}
	return json.Marshal(map[string]any{"profile": m.Profile, "fields": m.Fields})
}

// UnmarshalJSON reads both forms.
func (m *StreamMember) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &m.Profile)
	}
	var long struct {
		Profile string         `json:"profile"`
		Fields  map[string]any `json:"fields"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&long)
	m.Profile, m.Fields = long.Profile, long.Fields
	return err
}

// StreamCommand is what a client says on GET /v1/stream.
type StreamCommand struct {
	Op      string   `json:"op" doc:"subscribe, credit, ack or unsubscribe"`
	ID      string   `json:"id"`
	Segment string   `json:"segment,omitempty"`
	From    string   `json:"from,omitempty" doc:"snapshot, now, acked or a cursor; now by default"`
	Fields  []string `json:"fields,omitempty"`
	As      string   `json:"as,omitempty" doc:"Name of a durable subscriber"`
	Format  string   `json:"format,omitempty"`
	Credit  int64    `json:"credit,omitempty" doc:"Credit to begin with; none by default"`
	N       int64    `json:"n,omitempty" doc:"Of credit: how many profiles more may be sent"`
	Cursor  string   `json:"cursor,omitempty"`
}

// Changes is an answer of GET /v1/segments/{name}/changes. Cursor goes into ?after=; More says that
// there is more already.
type Changes struct {
	Changes []map[string]any `json:"changes"`
	Cursor  string           `json:"cursor"`
	More    bool             `json:"more"`
}

// SegmentStats is the course of a segment. Since is later than asked for where the change log does not
// reach back that far.
type SegmentStats struct {
	Segment string        `json:"segment"`
	Size    int64         `json:"size"`
	Since   string        `json:"since"`
	Steps   []SegmentStep `json:"steps"`
}

// SegmentStep counts from From until the next step; Size is that at its end.
type SegmentStep struct {
	From   string `json:"from"`
	Enters int64  `json:"enters"`
	Exits  int64  `json:"exits"`
	Size   int64  `json:"size"`
}

// Consumers lists the durable subscribers.
type Consumers struct {
	Consumers []Consumer `json:"consumers"`
}

// Consumer is one durable subscriber.
type Consumer struct {
	Name    string `json:"name"`
	Segment string `json:"segment"`
	Cursor  string `json:"cursor"`
	AckedAt string `json:"acked_at"`
}

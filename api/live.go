package api

import (
	"bytes"
	"encoding/json"
)

// StreamMessage is a message of the server on GET /v1/stream. Op determines which of the other fields are
// set: hello (Version, HeartbeatMS), members (Profiles, More), enter and exit (Profile, At, Cause, Fields),
// checkpoint, resync (Reason), error (Code, Message, Temporary), and payload or batch for formats other
// than native. ID is the client's name of the subscription.
type StreamMessage struct {
	Op          string         `json:"op"`
	ID          string         `json:"id,omitempty"`
	Segment     string         `json:"segment,omitempty"`
	Profile     string         `json:"profile,omitempty"`
	At          string         `json:"at,omitempty"`
	Cause       string         `json:"cause,omitempty" doc:"event, attribute, time, definition, merge, erase or import"`
	Fields      map[string]any `json:"fields,omitempty" doc:"Values at delivery; absent for a profile that no longer exists"`
	Cursor      string         `json:"cursor,omitempty" doc:"Opaque position to continue from"`
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

// StreamMember is a profile of a snapshot. In JSON it is only its id if no fields were requested.
type StreamMember struct {
	Profile string
	Fields  map[string]any
}

// MarshalJSON writes the short form if there are no fields.
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

// StreamCommand is a message of the client on GET /v1/stream.
type StreamCommand struct {
	Op      string   `json:"op" doc:"subscribe, credit, ack or unsubscribe"`
	ID      string   `json:"id"`
	Segment string   `json:"segment,omitempty"`
	From    string   `json:"from,omitempty" doc:"snapshot, now, acked or a cursor; now by default"`
	Fields  []string `json:"fields,omitempty"`
	As      string   `json:"as,omitempty" doc:"Name of a durable subscriber"`
	Format  string   `json:"format,omitempty"`
	Credit  int64    `json:"credit,omitempty" doc:"Initial credit; none by default"`
	N       int64    `json:"n,omitempty" doc:"For credit: how many more profiles may be sent"`
	Cursor  string   `json:"cursor,omitempty"`
}

// Changes is an answer of GET /v1/segments/{name}/changes. Cursor is the next ?after=; More is true if
// there are more changes already.
type Changes struct {
	Changes []map[string]any `json:"changes"`
	Cursor  string           `json:"cursor"`
	More    bool             `json:"more"`
}

// SegmentStats is the size of a segment over time. Since is later than requested if the change log does not
// reach back that far.
type SegmentStats struct {
	Segment string        `json:"segment"`
	Size    int64         `json:"size"`
	Since   string        `json:"since"`
	Steps   []SegmentStep `json:"steps"`
}

// SegmentStep counts from From until the next step; Size is the size at its end.
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

// WebhookRequest is the body of PUT /v1/webhooks/{name}.
type WebhookRequest struct {
	Segment string   `json:"segment"`
	URL     string   `json:"url"`
	Fields  []string `json:"fields,omitempty"`
	Format  string   `json:"format,omitempty" doc:"native, segment-track, segment-identify, cohort-batch or cloudevent"`
	Secret  string   `json:"secret,omitempty" doc:"whsec_ and the base64 of 24 to 64 bytes; generated, or left unchanged, when empty. After a change the old one stays valid for a day"`
}

// Webhook is a webhook and its state. Secret is set only in the answer of PUT.
type Webhook struct {
	Name      string   `json:"name"`
	Segment   string   `json:"segment"`
	URL       string   `json:"url"`
	Fields    []string `json:"fields,omitempty"`
	Format    string   `json:"format"`
	Secret    string   `json:"secret,omitempty"`
	Disabled  string   `json:"disabled,omitempty" doc:"Why nothing is sent; saving it again enables it"`
	Cursor    string   `json:"cursor,omitempty" doc:"Everything before it is delivered, pending or dead"`
	Pending   int      `json:"pending"`
	Dead      int      `json:"dead"`
	Delivered int64    `json:"delivered" doc:"Since the server started"`
	Failed    int64    `json:"failed" doc:"Failed attempts since the server started"`
	LastError string   `json:"last_error,omitempty"`
}

// Webhooks lists all webhooks.
type Webhooks struct {
	Webhooks []Webhook `json:"webhooks"`
}

// Deliveries are the latest attempts of a webhook, newest first, and the messages that were given up.
type Deliveries struct {
	Tries []Delivery    `json:"tries"`
	Dead  []DeadMessage `json:"dead"`
}

// Delivery is one attempt.
type Delivery struct {
	ID      string  `json:"id"`
	At      string  `json:"at"`
	TookMS  float64 `json:"took_ms"`
	Attempt int     `json:"attempt" doc:"From 1"`
	Status  int     `json:"status,omitempty" doc:"Absent if there was no answer"`
	Error   string  `json:"error,omitempty"`
}

// DeadMessage is a message that was given up.
type DeadMessage struct {
	ID    string          `json:"id"`
	At    string          `json:"at"`
	Error string          `json:"error"`
	Body  json.RawMessage `json:"body"`
}

// ReplayRequest is the body of POST /v1/webhooks/{name}/replay: from a cursor, or the dead messages.
type ReplayRequest struct {
	From string `json:"from,omitempty" doc:"A cursor; without one the dead messages are sent again"`
}

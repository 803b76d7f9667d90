package api

// IngestResult is the answer of POST /v1/events: what happened to the messages. Problems lists the rejected
// ones, only the first of them if there are many.
type IngestResult struct {
	Accepted  uint64           `json:"accepted"`
	Duplicate uint64           `json:"duplicate"`
	Rejected  uint64           `json:"rejected"`
	Dropped   uint64           `json:"dropped,omitempty" doc:"Parts of accepted messages that are only in the history, or were changed: see GET /v1/rejects"`
	Problems  []MessageProblem `json:"problems"`
}

// MessageProblem is the reason why a message was rejected. Line is its line in the body or its position in an
// array, from 1; for an import it is the message's _line.
type MessageProblem struct {
	Line   uint64 `json:"line"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Success is the answer of the Segment-compatible paths.
type Success struct {
	Success  bool   `json:"success"`
	Rejected uint64 `json:"rejected,omitempty" doc:"Messages that went to GET /v1/rejects"`
	Dropped  uint64 `json:"dropped,omitempty" doc:"Parts of accepted messages that are only in the history, or were changed: see GET /v1/rejects"`
}

// Reject is one entry of GET /v1/rejects: a message that was refused, or (Dropped) one that was accepted
// without a value that cannot be stored as a column.
type Reject struct {
	Seq        uint64 `json:"seq" doc:"Counts all rejects since the server started"`
	ReceivedAt string `json:"received_at"`
	Path       string `json:"path"`
	Source     string `json:"source,omitempty"`
	Line       uint64 `json:"line" doc:"Position in the request, from 1"`
	Dropped    bool   `json:"dropped,omitempty" doc:"The message itself was accepted"`
	Code       string `json:"code"`
	Reason     string `json:"reason"`
	Content    string `json:"content" doc:"The message as received, truncated to 2 KiB"`
}

// Rejects is a page of rejects, newest first; Next goes into ?before= and is 0 at the end.
type Rejects struct {
	Rejects []Reject `json:"rejects"`
	Total   uint64   `json:"total" doc:"Rejects since the server started; only the latest are kept"`
	Next    uint64   `json:"next,omitempty"`
}

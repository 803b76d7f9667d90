package api

import (
	"fmt"
	"net/http"
	"time"
)

// ProblemType is the media type of errors (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is an error as the server tells it. For a mistake in a statement Line, Column and Length
// (from 1, in characters) say where, Hint what to do, and Suggestions offer at most three names.
type Problem struct {
	Title       string    `json:"title" doc:"What kind of problem it is, in words"`
	Status      int       `json:"status" doc:"The HTTP status"`
	Code        string    `json:"code" doc:"Stable name of the kind of problem"`
	Detail      string    `json:"detail,omitempty" doc:"What happened this time"`
	Line        int       `json:"line,omitempty"`
	Column      int       `json:"column,omitempty"`
	Length      int       `json:"length,omitempty"`
	Hint        string    `json:"hint,omitempty"`
	Suggestions []string  `json:"suggestions,omitempty"`
	Progress    *Progress `json:"progress,omitempty" doc:"What is certain of a stream of messages that broke off"`

	// RetryAfter is the Retry-After header of the answer, 0 without one.
	RetryAfter time.Duration `json:"-"`
}

// Progress says how far a broken-off stream of messages came: the first Lines lines are certain,
// nothing is known of later ones.
type Progress struct {
	Lines uint64 `json:"lines"`
	IngestResult
}

// Error returns the detail with position and hint.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if p.Line > 0 {
		text = fmt.Sprintf("%d:%d: %s", p.Line, p.Column, text)
	}
	if p.Hint != "" {
		text += " (hint: " + p.Hint + ")"
	}
	return text
}

// Temporary tells whether the same request may succeed later.
func (p *Problem) Temporary() bool {
	return p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable
}

// The codes. Mistakes in statements have codes of the language's own (syntax, unknown_attribute,
// type_mismatch, …), all with status 400.
const (
	CodeBadRequest       = "bad_request"
	CodeBadJSON          = "bad_json"
	CodeForbidden        = "forbidden_origin"
	CodeNotFound         = "not_found"
	CodeNoProfile        = "no_profile"
	CodeNoSegment        = "no_segment"
	CodeNoList           = "no_list"
	CodeMethod           = "method_not_allowed"
	CodeNotAcceptable    = "not_acceptable"
	CodeBodyTimeout      = "body_timeout"
	CodeSegmentExists    = "segment_exists"
	CodeInUse            = "in_use"
	CodeTooLarge         = "too_large"
	CodeEncoding         = "unsupported_encoding"
	CodeRefused          = "refused"
	CodeLimit            = "limit"
	CodeOverloaded       = "overloaded"
	CodeMemoryFull       = "memory_full"
	CodeDiskFull         = "disk_full"
	CodeCanceled         = "canceled"
	CodeInternal         = "internal"
	CodeNotReady         = "not_ready"
	CodeUnavailable      = "unavailable"
	CodeTimeout          = "timeout"
	CodeHistoryMissing   = "history_incomplete"
	CodeSegmentPrice     = "segment_too_expensive"
	CodeTooManyNames     = "too_many_names"
	CodeBadName          = "bad_name"
	CodeWrongSchema      = "wrong_type"
	CodeUnsupportedForm  = "unsupported"
	CodeOutcomeUncertain = "outcome_unknown"
	CodeResync           = "resync"
	CodeNoWebhook        = "no_webhook"
	CodeNoConsumer       = "no_consumer"
	CodeBadUTF8          = "bad_utf8"
	CodeTooManyRejects   = "too_many_rejects"
	CodeNewNames         = "too_many_new_names"
)

// Code describes one row of the table of error codes.
type Code struct {
	Name   string
	Status int
	Title  string
}

// Codes returns the table of error codes in ascending order of status.
func Codes() []Code {
	return []Code{
		{CodeBadRequest, 400, "The request cannot be understood"},
		{CodeBadJSON, 400, "The body is not valid JSON"},
		{CodeBadUTF8, 400, "The body is not valid Unicode"},
		{CodeTooManyRejects, 400, "Too many messages of the stream were rejected"},
		{CodeLimit, 400, "The statement is beyond a limit"},
		{CodeUnsupportedForm, 400, "The statement is not supported"},
		{CodeForbidden, 403, "The request comes from another site"},
		{CodeNotFound, 404, "There is no such page"},
		{CodeNoProfile, 404, "There is no such profile"},
		{CodeNoSegment, 404, "There is no such segment"},
		{CodeNoList, 404, "There is no such list"},
		{CodeNoWebhook, 404, "There is no such webhook"},
		{CodeNoConsumer, 404, "There is no such consumer"},
		{CodeMethod, 405, "The page does not take this method"},
		{CodeNotAcceptable, 406, "The answer has no such format"},
		{CodeBodyTimeout, 408, "The body came too slowly"},
		{CodeSegmentExists, 409, "The segment exists already"},
		{CodeInUse, 409, "It is used by something else"},
		{CodeResync, 410, "The cursor cannot be continued"},
		{CodeTooLarge, 413, "The body is too large"},
		{CodeEncoding, 415, "The Content-Encoding is not known"},
		{CodeRefused, 422, "The request is refused"},
		{CodeSegmentPrice, 422, "The segment is too expensive"},
		{CodeTooManyNames, 422, "There are too many names"},
		{CodeBadName, 422, "The name cannot be given"},
		{CodeWrongSchema, 422, "The name has another type"},
		{CodeNewNames, 429, "The sender brings too many new names at once"},
		{CodeOverloaded, 429, "The server is busy"},
		{CodeMemoryFull, 429, "The memory limit is reached"},
		{CodeDiskFull, 429, "The disk is full"},
		{CodeCanceled, 499, "The client went away"},
		{CodeInternal, 500, "The server made a mistake"},
		{CodeOutcomeUncertain, 503, "It is not known whether this took effect: send it again"},
		{CodeNotReady, 503, "The server is not ready yet"},
		{CodeUnavailable, 503, "A shard does not answer"},
		{CodeHistoryMissing, 503, "The history is not complete yet"},
		{CodeTimeout, 504, "The statement took too long"},
	}
}

// LookupCode returns the row of a code.
func LookupCode(name string) (Code, bool) {
	for _, c := range Codes() {
		if c.Name == name {
			return c, true
		}
	}
	return Code{}, false
}

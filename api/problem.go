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

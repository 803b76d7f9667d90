package api

import (
	"fmt"
	"net/http"
	"time"
)

// ProblemType is the media type of errors (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is an error from the server. For a mistake in a statement Line, Column and Length (from 1, in
// characters) give its position, Hint what to do, and Suggestions at most three names.
type Problem struct {
	Title       string    `json:"title" doc:"The kind of problem, in words"`
	Status      int       `json:"status" doc:"The HTTP status"`
	Code        string    `json:"code" doc:"The stable name of the kind of problem"`
	Detail      string    `json:"detail,omitempty" doc:"What happened in this case"`
	Line        int       `json:"line,omitempty"`
	Column      int       `json:"column,omitempty"`
	Length      int       `json:"length,omitempty"`
	Hint        string    `json:"hint,omitempty"`
	Suggestions []string  `json:"suggestions,omitempty"`
	Progress    *Progress `json:"progress,omitempty" doc:"How much of an interrupted stream of messages is certain"`

	// RetryAfter is the Retry-After header of the answer, 0 if there is none.
	RetryAfter time.Duration `json:"-"`
}

// Progress says how much of an interrupted stream of messages is certain: the first Lines lines are; later
// lines may or may not be stored.
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

// Temporary reports whether the same request may succeed later.
func (p *Problem) Temporary() bool {
	return p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable
}

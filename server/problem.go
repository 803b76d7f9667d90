package server

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/tree"
)

// problem returns a problem with a code of the table.
func problem(code, detail string) *api.Problem {
	row, ok := codes.Lookup(code)
	if !ok {
		row, _ = codes.Lookup(codes.Internal)
	}
	return &api.Problem{Title: row.Title, Status: row.Status, Code: row.Name, Detail: detail}
}

// busy returns a problem that is temporary: the client may retry after that time.
func busy(code, detail string, after time.Duration) *api.Problem {
	p := problem(code, detail)
	p.RetryAfter = after
	return p
}

// asProblem returns the problem that a client sees for an error. known is false if the error itself must
// only go to the log.
func asProblem(err error) (p *api.Problem, known bool) {
	var (
		diagnostic *tree.Diagnostic
		tooLarge   *http.MaxBytesError
		broken     *brokenBody
		coded      *node.Error
	)
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &diagnostic):
		return diagnosticProblem(diagnostic), true
	case errors.As(err, &tooLarge):
		return problem(codes.TooLarge, "the body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes"), true
	case errors.As(err, &broken):
		return problem(codes.BadRequest, broken.Error()), true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem(codes.BodyTimeout, "the body did not arrive in time"), true
	}
	switch {
	case errors.As(err, &coded):
		p = busy(coded.Code, err.Error(), coded.Retry)
	case errors.Is(err, context.Canceled):
		return problem(codes.Canceled, ""), true
	case errors.Is(err, context.DeadlineExceeded):
		return problem(codes.Timeout, "it took longer than the time limit"), true
	default:
		p = problem(codes.Internal, "")
	}
	if p.Status == http.StatusInternalServerError {
		return problem(codes.Internal, "see the server's log"), false
	}
	if p.RetryAfter == 0 && p.Temporary() {
		p.RetryAfter = time.Second
	}
	return p, true
}

func diagnosticProblem(d *tree.Diagnostic) *api.Problem {
	p := problem(codes.BadRequest, d.Message)
	p.Title, p.Code = "The statement has a mistake", d.Code
	if p.Code == "" {
		p.Code = tree.CodeSyntax
	}
	p.Line, p.Column, p.Length, p.Hint, p.Suggestions = d.Line, d.Column, d.Length, d.Hint, d.Suggestions
	return p
}

// diagnostics returns the API form of warnings and mistakes; never nil.
func diagnostics(list []tree.Diagnostic) []api.Diagnostic {
	out := make([]api.Diagnostic, 0, len(list))
	for _, d := range list {
		out = append(out, api.Diagnostic{Code: d.Code, Message: d.Message, Line: d.Line, Column: d.Column, Length: d.Length, Hint: d.Hint, Suggestions: d.Suggestions})
	}
	return out
}

// fail answers a request that failed. If the answer has already begun, it cuts the connection, so that
// half an answer is not taken for a whole one.
func (s *Server) fail(w *answer, r *http.Request, err error) {
	p, known := asProblem(err)
	switch {
	case w.broken: // the client is gone
		s.cfg.Log.Debug("answer not written", "method", r.Method, "path", r.URL.Path, "err", err)
	case !known:
		s.cfg.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	if p.Code == codes.Canceled && r.Context().Err() == nil { // the client is still there: the server is stopping
		p = busy(codes.NotReady, "the node is stopping: try again", time.Second)
	}
	if p.Code != codes.BodyTimeout {
		w.drain(r)
	}
	// SDKs only write, and only know 429; clients that read know 503.
	if p.Status == http.StatusTooManyRequests && w.route != nil && w.route.reads {
		copied := *p
		copied.Status, p = http.StatusServiceUnavailable, &copied
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(p.RetryAfter.Seconds())))))
	}
	w.Header().Set("Content-Type", api.ProblemType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		s.cfg.Log.Debug("answer not written", "path", r.URL.Path, "err", err)
	}
}

// writeJSON answers with a value of package api.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, err = w.Write(append(body, '\n'))
	return err
}

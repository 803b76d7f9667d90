package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

// Segments are the saved segments.
type Segments interface {
	// PutSegment saves a segment with the text of its predicate; DropSegment removes one.
	PutSegment(ctx context.Context, segment node.SegmentText, replace, allowUnknown bool) ([]tree.Diagnostic, error)
	DropSegment(ctx context.Context, name string) error
	// Segments returns the saved segments, sorted by name.
	Segments(ctx context.Context) ([]node.SegmentText, error)
	// Segment returns one segment; ok is false if there is none with this name.
	Segment(ctx context.Context, name string) (segment node.SegmentText, ok bool, err error)
}

// Members reads the members of predicates and segments.
type Members interface {
	// Members streams the canonical id of every member in storage order (shard, ordinal), after a
	// position ("" means from the start), until limit is reached (0: no limit) or fn returns false, which
	// cancels the rest. fn is called by one goroutine at a time, before Members returns. A position is
	// valid on every node and at any later time: after an error the caller can continue from the last
	// position that fn was given.
	Members(ctx context.Context, predicate, after string, limit int, fn func(id, position string) bool) (query.Stats, error)
	// MemberOf reports whether a profile is in a segment.
	MemberOf(ctx context.Context, segment, id string) (bool, error)
}

func apiSegment(t node.SegmentText) api.Segment {
	out := api.Segment{Name: t.Name, Predicate: t.Predicate, Described: t.Described, Zone: t.Zone, Version: t.Version,
		State: t.State, Reason: t.Reason, Price: api.Price{Memory: t.Price.Memory, Event: micros(t.Price.Event), Second: micros(t.Price.Second), Build: micros(t.Price.Build) / 1000, Stop: micros(t.Price.Stop) / 1000}}
	if t.Refresh != 0 {
		out.Refresh = t.Refresh.String()
	}
	return out
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func (s *Server) getSegments(w *answer, r *http.Request) error {
	list, err := s.node().Segments.Segments(r.Context())
	if err != nil {
		return err
	}
	out := api.Segments{Segments: make([]api.Segment, 0, len(list))}
	for _, t := range list {
		out.Segments = append(out.Segments, apiSegment(t))
	}
	return writeJSON(w, http.StatusOK, out)
}

// segment returns a saved segment by its name.
func (s *Server) segment(r *http.Request, name string) (node.SegmentText, error) {
	t, ok, err := s.node().Segments.Segment(r.Context(), name)
	if err == nil && !ok {
		err = problem(codes.NoSegment, "no segment is called "+strconv.Quote(name))
	}
	return t, err
}

func (s *Server) getSegment(w *answer, r *http.Request) error {
	t, err := s.segment(r, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, apiSegment(t))
}

func (s *Server) putSegment(w *answer, r *http.Request) error {
	var request api.SegmentRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	replace, err := boolParam(r, "replace", true)
	if err != nil {
		return err
	}
	t := node.SegmentText{Name: r.PathValue("name"), Predicate: request.Predicate, Described: request.Described, Zone: request.Zone}
	if request.Refresh != "" {
		if t.Refresh, err = time.ParseDuration(request.Refresh); err != nil || t.Refresh <= 0 {
			return problem(codes.BadRequest, "refresh is not a duration such as 10m")
		}
	}
	warnings, err := s.node().Segments.PutSegment(r.Context(), t, replace, request.AllowUnknown)
	if err != nil {
		return err
	}
	saved, err := s.segment(r, t.Name)
	if err != nil {
		return err
	}
	out := apiSegment(saved)
	out.Warnings = diagnostics(warnings)
	return writeJSON(w, http.StatusOK, out)
}

func boolParam(r *http.Request, name string, value bool) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return value, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, problem(codes.BadRequest, name+" must be true or false")
	}
	return b, nil
}

func (s *Server) deleteSegment(w *answer, r *http.Request) error {
	name := r.PathValue("name")
	if _, err := s.segment(r, name); err != nil {
		return err
	}
	if err := s.node().Segments.DropSegment(r.Context(), name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// inSegment returns the predicate that selects a segment's members.
func inSegment(name string) string { return "in segment " + mqlString(name) }

// mqlString quotes a string as MQL reads it.
func mqlString(text string) string {
	quoted := []byte{'"'}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\\':
			quoted = append(quoted, '\\', c)
		case '\n':
			quoted = append(quoted, '\\', 'n')
		case '\t':
			quoted = append(quoted, '\\', 't')
		default:
			quoted = append(quoted, c)
		}
	}
	return string(append(quoted, '"'))
}

// getMembers answers with a page as JSON, or with all members as a table.
func (s *Server) getMembers(w *answer, r *http.Request) error {
	segment, err := s.segment(r, r.PathValue("name"))
	if err != nil {
		return err
	}
	format, err := tableFormat(r)
	if err != nil {
		return err
	}
	limit, err := intParam(r, "limit", 1000, 1, 100_000)
	if err != nil {
		return err
	}
	after := r.URL.Query().Get("after")
	if format != render.JSON {
		if r.URL.Query().Get("limit") == "" {
			limit = 0
		}
		return s.memberTable(w, r, segment.Name, after, limit, format)
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	out, last := api.Members{Members: []string{}}, ""
	stats, err := s.node().Members.Members(ctx, inSegment(segment.Name), after, limit+1, func(id, position string) bool {
		if len(out.Members) == limit {
			out.Next = last
			return false
		}
		out.Members, last = append(out.Members, id), position
		return true
	})
	if err != nil {
		return err
	}
	out.Stats = apiStats(&stats)
	return writeJSON(w, http.StatusOK, out)
}

// memberTable streams the members without keeping them in memory.
func (s *Server) memberTable(w *answer, r *http.Request, segment, after string, limit int, format render.Format) error {
	var failure error
	rows := func(yield func([]tree.Value) bool) {
		row := make([]tree.Value, 1)
		_, failure = s.node().Members.Members(r.Context(), inSegment(segment), after, limit, func(id, _ string) bool {
			row[0] = tree.Str(id)
			return yield(row)
		})
	}
	collected := &lateHeader{answer: w, format: format}
	if err := render.Table(collected, format, []query.Column{{Name: "user_id", Type: "string"}}, rows); err != nil {
		return unsent(err)
	}
	if failure != nil {
		return failure
	}
	return unsent(collected.flush())
}

// lateHeader holds back the first bytes of a table, so that an early error can still be answered as a
// problem.
type lateHeader struct {
	*answer
	format render.Format
	held   []byte
	begun  bool
}

// Write holds b back until there is enough.
func (l *lateHeader) Write(b []byte) (int, error) {
	if !l.begun && len(l.held)+len(b) < 32<<10 {
		l.held = append(l.held, b...)
		return len(b), nil
	}
	if err := l.flush(); err != nil {
		return 0, err
	}
	return l.answer.Write(b)
}

func (l *lateHeader) flush() error {
	if l.begun {
		return nil
	}
	l.begun = true
	tableHeader(l.answer, l.format)
	_, err := l.answer.Write(l.held)
	l.held = nil
	return err
}

func (s *Server) getMembership(w *answer, r *http.Request) error {
	segment, err := s.segment(r, r.PathValue("name"))
	if err != nil {
		return err
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	member, err := s.node().Members.MemberOf(ctx, segment.Name, r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.Membership{Segment: segment.Name, ID: r.PathValue("id"), Member: member})
}

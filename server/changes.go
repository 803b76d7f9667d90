package server

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/server/render"
)

// changesRequest has the parameters of a request for changes.
type changesRequest struct {
	live.Request
	fields []string
	format render.ChangeFormat
	wait   time.Duration
	limit  int
}

// maxWait is the longest time that an answer may wait for a change.
const maxWait = 60 * time.Second

func (s *Server) readChangesRequest(r *http.Request, events bool) (q changesRequest, err error) {
	values := r.URL.Query()
	q.Segment = r.PathValue("name")
	q.Cursor = values.Get("after")
	if last := r.Header.Get("Last-Event-ID"); events && last != "" { // sent on a reconnect: newer than the cursor in the URL
		q.Cursor = last
	}
	switch from := values.Get("from"); {
	case q.Cursor != "":
		q.From = live.FromCursor
	case from == "snapshot" && events:
		q.From = live.FromSnapshot
	case from != "" && from != "now":
		return q, problem(codes.BadRequest, "from must be now, or snapshot for server-sent events")
	}
	if text := values.Get("fields"); text != "" {
		q.fields = strings.Split(text, ",")
		if err := checkFields(q.fields); err != nil {
			return q, err
		}
	}
	if q.format, err = render.ParseChangeFormat(values.Get("format")); err != nil {
		return q, problem(codes.BadRequest, err.Error())
	}
	if text := values.Get("wait"); text != "" {
		if q.wait, err = time.ParseDuration(text); err != nil || q.wait < 0 {
			return q, problem(codes.BadRequest, "wait is not a duration such as 30s")
		}
		q.wait = min(q.wait, maxWait)
	}
	q.limit, err = intParam(r, "limit", 1000, 1, 10_000)
	return q, err
}

// wantsEvents reports whether a request wants server-sent events: it accepts them, continues them, or has
// no sign of polling. So a plain `curl -N` shows what happens.
func wantsEvents(r *http.Request) bool {
	accept, values := r.Header.Get("Accept"), r.URL.Query()
	if strings.Contains(accept, "text/event-stream") || r.Header.Get("Last-Event-ID") != "" {
		return true
	}
	return !values.Has("after") && !values.Has("wait") && !strings.Contains(accept, "json")
}

// getChanges answers with the changes after a cursor, or with an endless stream of events.
func (s *Server) getChanges(w *answer, r *http.Request) error {
	events := wantsEvents(r)
	q, err := s.readChangesRequest(r, events)
	if err != nil {
		return err
	}
	ctx, cancel := s.streams.context(r)
	defer cancel()
	f, err := s.openFeed(ctx, q.Request, q.fields, q.format)
	if err != nil {
		return err
	}
	if events {
		return s.sendEvents(ctx, w, f)
	}
	next, err := f.next(ctx, q.limit, q.wait)
	if err != nil {
		return err
	}
	if next.snapshot {
		return problem(codes.BadRequest, "the cursor is in the middle of a snapshot: continue with Accept: text/event-stream or on /v1/stream")
	}
	b := []byte(`{"changes":[`)
	if q.format == render.CohortBatch {
		b = appendCohort(b, &next, f.segment)
	} else {
		for i := range next.changes {
			if i > 0 {
				b = append(b, ',')
			}
			b = render.AppendPayload(b, q.format, &next.changes[i])
		}
	}
	b = append(append(append(b, `],"cursor":"`...), next.cursor...), `","more":`...)
	if len(next.changes) == q.limit {
		b = append(b, "true}\n"...)
	} else {
		b = append(b, "false}\n"...)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(b)
	return unsent(err)
}

func appendCohort(b []byte, next *feedUpdate, segment string) []byte {
	if len(next.changes) == 0 {
		return b
	}
	list := make([]*render.Change, len(next.changes))
	for i := range next.changes {
		list[i] = &next.changes[i]
	}
	return render.AppendCohort(b, segment, list)
}

// sendEvents writes server-sent events. The id of each event is the cursor to continue from. A checkpoint
// has an id but no data: it updates the browser's Last-Event-ID without calling a handler.
func (s *Server) sendEvents(ctx context.Context, w *answer, f *feed) error {
	b := append([]byte("retry: 2000\nid: "), f.sub.Cursor().String()...)
	b = append(b, "\n\n"...)
	var ahead *feedUpdate
	if f.known != nil { // a 404 is only possible before the first event
		next, err := f.next(ctx, int(f.batch()), s.cfg.Heartbeat)
		if err != nil {
			return err
		}
		ahead = &next
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.timeout = s.cfg.StreamTimeout
	for {
		if ahead != nil {
			b, ahead = appendEvents(b, f, ahead), nil
		}
		if _, err := w.Write(b); err != nil {
			return nil // the client is gone
		}
		if err := w.control.Flush(); err != nil {
			return nil
		}
		next, err := f.next(ctx, int(f.batch()), s.cfg.Heartbeat)
		if err == nil {
			b = appendEvents(b[:0], f, &next)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		p, known := asProblem(err)
		if !known {
			return err
		}
		_, _ = w.Write(appendEnd(b[:0], p)) // the stream ends either way
		return nil
	}
}

// appendEnd appends the event that ends a stream: the cursor cannot be continued, or another problem.
func appendEnd(b []byte, p *api.Problem) []byte {
	if p.Code == codes.Resync {
		b = append(b, `data: {"op":"resync","reason":`...)
		return append(render.AppendString(b, p.Detail), "}\n\n"...)
	}
	b = render.AppendString(append(b, `data: {"op":"error","code":`...), p.Code)
	b = render.AppendString(append(b, `,"message":`...), p.Detail)
	return append(strconv.AppendBool(append(b, `,"temporary":`...), p.Temporary()), "}\n\n"...)
}

// appendEvents appends an update of a feed as events, each with the cursor after it.
func appendEvents(b []byte, f *feed, next *feedUpdate) []byte {
	switch {
	case next.snapshot:
		b = append(append(append(b, "id: "...), next.cursor...), "\ndata: "...)
		page := &subscription{segment: f.segment, feed: f}
		return append(appendMembers(b, page, next), "\n\n"...)
	case len(next.changes) == 0:
		return append(append(append(b, ": checkpoint\nid: "...), next.cursor...), "\n\n"...)
	case f.format == render.CohortBatch:
		b = append(append(append(b, "id: "...), next.cursor...), "\ndata: "...)
		return append(appendCohort(b, next, f.segment), "\n\n"...)
	}
	for i := range next.changes {
		c := &next.changes[i]
		b = append(append(append(b, "id: "...), c.Cursor...), "\ndata: "...)
		b = append(render.AppendPayload(b, f.format, c), "\n\n"...)
	}
	return b
}

// statSteps is the number of steps of stats without a step parameter.
const statSteps = 24

// getStats answers with the size, enters and exits of a segment over time.
func (s *Server) getStats(w *answer, r *http.Request) error {
	l, err := s.live()
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := s.knownSegment(r.Context(), name); err != nil {
		return err
	}
	values := r.URL.Query()
	to, err := timeParam(values, "to", s.cfg.Now().Truncate(time.Hour).Add(time.Hour)) // the current hour is a step
	if err != nil {
		return err
	}
	from, err := timeParam(values, "from", to.Add(-24*time.Hour))
	if err != nil {
		return err
	}
	if !from.Before(to) {
		return problem(codes.BadRequest, "from must be before to")
	}
	step := to.Sub(from) / statSteps
	if text := values.Get("step"); text != "" {
		if step, err = time.ParseDuration(text); err != nil {
			return problem(codes.BadRequest, "step is not a duration such as 1h")
		}
		if step <= 0 {
			return problem(codes.BadRequest, "step must be positive")
		}
	}
	step = max(step, time.Millisecond)
	if step >= time.Hour {
		from = from.Truncate(15 * time.Minute)
	}
	if to.Sub(from)/step > 10_000 {
		return problem(codes.Limit, "these would be more than 10,000 steps: use a longer step")
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	stats, err := l.Stats(ctx, name, from.UnixMilli(), to.UnixMilli(), step.Milliseconds())
	if err != nil {
		return err
	}
	out := api.SegmentStats{Segment: name, Size: stats.Size, Since: render.Time(stats.Since), Steps: make([]api.SegmentStep, 0, len(stats.Steps))}
	for _, x := range stats.Steps {
		out.Steps = append(out.Steps, api.SegmentStep{From: render.Time(x.From), Enters: x.Enters, Exits: x.Exits, Size: x.Size})
	}
	return writeJSON(w, http.StatusOK, out)
}

func timeParam(values url.Values, name string, otherwise time.Time) (time.Time, error) {
	text := values.Get(name)
	if text == "" {
		return otherwise, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, problem(codes.BadRequest, name+" is not a time such as 2026-11-05T12:00:00Z")
	}
	return t, nil
}

func (s *Server) getConsumers(w *answer, r *http.Request) error {
	l, err := s.live()
	if err != nil {
		return err
	}
	out := api.Consumers{Consumers: []api.Consumer{}}
	for _, c := range l.Consumers().All() {
		out.Consumers = append(out.Consumers, api.Consumer{Name: c.Name, Segment: c.Segment, Cursor: c.Cursor, AckedAt: render.Time(c.At)})
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) deleteConsumer(w *answer, r *http.Request) error {
	l, err := s.live()
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if _, ok := l.Consumers().Get(name); !ok {
		return problem(codes.NoConsumer, "no durable consumer has this name")
	}
	l.Consumers().Forget(name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

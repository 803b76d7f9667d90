package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
	"github.com/musterdb/muster/server/webhook"
)

// StartWebhooks opens the webhooks in shared, a table that every node has; table has this node's
// progress. REQUIRES: AttachLive has been called. Without tables the webhooks end with the process. Serve
// stops them; a caller that does not use Serve must call StopWebhooks.
func (s *Server) StartWebhooks(table, shared disk.Table) error {
	hooks, err := webhook.Open(webhook.Config{
		Feed: s.webhookFeed, Table: table, Shared: shared, AllowPrivate: s.cfg.PrivateWebhooks, Log: s.cfg.Log,
		Lost: live.IsResync,
	})
	if err == nil {
		s.hooks.Store(hooks)
	}
	return err
}

// StopWebhooks stops the webhooks within the time of ctx. The next start continues with what has not been
// delivered.
func (s *Server) StopWebhooks(ctx context.Context) error {
	if hooks := s.hooks.Swap(nil); hooks != nil {
		return hooks.Close(ctx)
	}
	return nil
}

func (s *Server) webhookFeed(ctx context.Context, segment, cursor string, fields []string, format render.ChangeFormat) (webhook.Reader, error) {
	q := live.Request{Segment: segment, Cursor: cursor, From: live.FromCursor}
	if cursor == "" {
		q.From = live.FromNow
	}
	f, err := s.openFeed(ctx, q, fields, format)
	if err != nil {
		return nil, err
	}
	return hookReader{f}, nil
}

// hookReader implements webhook.Reader with a feed.
type hookReader struct{ *feed }

// Cursor implements webhook.Reader.
func (r hookReader) Cursor() string { return r.sub.Cursor().String() }

// Next implements webhook.Reader.
func (r hookReader) Next(ctx context.Context, limit int, idle time.Duration) ([]render.Change, string, error) {
	next, err := r.next(ctx, limit, idle)
	return next.changes, next.cursor, err
}

func (s *Server) webhooks() (*webhook.Hooks, error) {
	if hooks := s.hooks.Load(); hooks != nil {
		return hooks, nil
	}
	return nil, busy(codes.NotReady, "the node has no webhooks yet", time.Second)
}

func apiWebhook(st webhook.Status) api.Webhook {
	return api.Webhook{Name: st.Name, Segment: st.Segment, URL: st.URL, Fields: st.Fields, Format: string(st.Format), Disabled: st.Disabled,
		Cursor: st.Cursor, Pending: st.Pending, Dead: st.Dead, Delivered: st.Delivered, Failed: st.Failed, LastError: st.LastError}
}

func (s *Server) getWebhooks(w *answer, r *http.Request) error {
	hooks, err := s.webhooks()
	if err != nil {
		return err
	}
	out := api.Webhooks{Webhooks: []api.Webhook{}}
	for _, st := range hooks.All() {
		out.Webhooks = append(out.Webhooks, apiWebhook(st))
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) getWebhook(w *answer, r *http.Request) error {
	hooks, err := s.webhooks()
	if err != nil {
		return err
	}
	st, err := hooks.Get(r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, apiWebhook(st))
}

func (s *Server) putWebhook(w *answer, r *http.Request) error {
	hooks, err := s.webhooks()
	if err != nil {
		return err
	}
	var request api.WebhookRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	format, err := render.ParseChangeFormat(request.Format)
	if err != nil {
		return problem(codes.BadRequest, err.Error())
	}
	name := r.PathValue("name")
	if err := tree.CheckName(name); err != nil {
		if _, missing := hooks.Get(name); missing != nil { // an existing name may be used
			return problem(codes.BadName, err.Error())
		}
	}
	if err := checkFields(request.Fields); err != nil {
		return err
	}
	if err := s.knownSegment(r.Context(), request.Segment); err != nil {
		return err
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	hook, err := hooks.Put(ctx, webhook.Hook{Name: name, Segment: request.Segment, URL: request.URL, Fields: request.Fields, Format: format, Secret: request.Secret})
	if err != nil {
		return err
	}
	out := apiWebhook(webhook.Status{Hook: hook})
	out.Secret = hook.Secret
	return writeJSON(w, http.StatusOK, out)
}

// checkFields refuses too many names of attributes, and names that are too long.
func checkFields(fields []string) error {
	if len(fields) > maxFields {
		return problem(codes.Limit, "at most 50 fields are allowed")
	}
	for _, name := range fields {
		if len(name) > tree.MaxNameBytes {
			return problem(codes.Limit, fmt.Sprintf("the name of a field may have at most %d bytes", tree.MaxNameBytes))
		}
	}
	return nil
}

func (s *Server) deleteWebhook(w *answer, r *http.Request) error {
	hooks, err := s.webhooks()
	if err != nil {
		return err
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	if err := hooks.Delete(ctx, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) getDeliveries(w *answer, r *http.Request) error {
	hooks, err := s.webhooks()
	if err != nil {
		return err
	}
	tries, dead, err := hooks.Deliveries(r.PathValue("name"))
	if err != nil {
		return err
	}
	out := api.Deliveries{Tries: []api.Delivery{}, Dead: []api.DeadMessage{}}
	for _, t := range tries {
		out.Tries = append(out.Tries, api.Delivery{ID: t.ID, At: render.Time(t.At.UnixMilli()), TookMS: float64(t.Took.Microseconds()) / 1000, Attempt: t.Attempt, Status: t.Status, Error: t.Error})
	}
	for _, m := range dead {
		out.Dead = append(out.Dead, api.DeadMessage{ID: m.ID, At: render.Time(m.At.UnixMilli()), Error: m.Error, Body: m.Body})
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) replayWebhook(w *answer, r *http.Request) error {
	hooks, err := s.webhooks()
	if err != nil {
		return err
	}
	var request api.ReplayRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	if request.From != "" {
		if _, err := live.ParseCursor(request.From); err != nil {
			return err
		}
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	name := r.PathValue("name")
	if err := hooks.Replay(ctx, name, request.From); err != nil {
		return err
	}
	st, err := hooks.Get(name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, apiWebhook(st))
}

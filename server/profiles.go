package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

// Profiles reads profiles.
type Profiles interface {
	// About returns a profile by a user id or anonymous id, or node.ErrNoProfile.
	About(ctx context.Context, id string) (*engine.About, error)
	// Timeline returns the messages received for a profile, newest first, older than the position before
	// ("" means from the newest). next is the position to continue from, "" at the end.
	Timeline(ctx context.Context, id, before string, limit int) (messages []engine.Received, next string, err error)
	// People returns for each id its current ids and those of the named attributes that it has; nil for a
	// profile that is gone.
	People(ctx context.Context, ids, names []string) ([]*node.Person, error)
}

// value is a tree.Value that marshals itself as JSON.
type value tree.Value

// MarshalJSON writes the value as answers do.
func (v value) MarshalJSON() ([]byte, error) { return tree.AppendJSON(nil, tree.Value(v)), nil }

func (s *Server) getProfile(w *answer, r *http.Request) error {
	withSegments, err := boolParam(r, "segments", true)
	if err != nil {
		return err
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	about, err := s.node().Profiles.About(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := api.Profile{
		ID: about.ID, UserID: about.UserID, AnonymousIDs: about.AnonymousIDs, Shard: about.Shard, Seq: about.Seq,
		Attributes: fieldMap(about.Attributes), Events: make([]api.EventCount, 0, len(about.Events)), Segments: []string{},
	}
	if out.AnonymousIDs == nil {
		out.AnonymousIDs = []string{}
	}
	for _, e := range about.Events {
		out.Events = append(out.Events, api.EventCount{Name: e.Name, Count: e.Count, First: render.Time(e.First), Last: render.Time(e.Last)})
	}
	if len(about.Events) > 0 {
		out.FirstSeen, out.LastSeen = render.Time(about.FirstSeen), render.Time(about.LastSeen)
	}
	if withSegments {
		if out.Segments, err = s.segmentsOf(ctx, about); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, out)
}

// segmentsOf returns the names of the saved segments that a profile is in. Memberships are looked up;
// only segments that are still being built are evaluated.
func (s *Server) segmentsOf(ctx context.Context, about *engine.About) ([]string, error) {
	names := append([]string{}, about.Segments...)
	for _, name := range about.Building {
		in, err := s.node().Members.MemberOf(ctx, name, about.ID)
		if err != nil {
			if p, _ := asProblem(err); p.Code == codes.NoSegment { // dropped after it was listed
				continue
			}
			return nil, err
		}
		if in {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func fieldMap(fields []engine.NamedField) map[string]any {
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		out[f.Name] = value(f.Value)
	}
	return out
}

func (s *Server) getTimeline(w *answer, r *http.Request) error {
	limit, err := intParam(r, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	messages, next, err := s.node().Profiles.Timeline(ctx, r.PathValue("id"), r.URL.Query().Get("before"), limit)
	if err != nil {
		return err
	}
	out := api.Timeline{Events: make([]api.Message, 0, len(messages)), Next: next}
	for i := range messages {
		out.Events = append(out.Events, message(&messages[i].Incoming))
	}
	return writeJSON(w, http.StatusOK, out)
}

// message returns a message of the history, in about the form in which it was received.
func message(m *engine.Incoming) api.Message {
	out := api.Message{
		Type: m.Kind.String(), MessageID: m.MessageID, Source: m.Source, Line: m.Line, UserID: m.UserID, AnonymousID: m.AnonymousID,
		PreviousID: m.PreviousID, GroupID: m.GroupID, Event: m.Event, Timestamp: render.Time(m.Time), ReceivedAt: render.Time(m.ReceivedAt),
	}
	switch m.Kind {
	case engine.Track, engine.Page, engine.Screen:
		out.Properties = fieldMap(m.Fields)
	default:
		out.Traits = fieldMap(m.Fields)
	}
	if json.Valid(m.Context) {
		out.Rest = m.Context
	}
	return out
}

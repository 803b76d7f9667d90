package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/server/decode"
)

// ingest serves the paths of Segment and those who speak like it: one message, or a batch. kind is
// that of the path, 0 where each message says its own. The answer is a success as soon as the
// messages that can be taken are durable: what cannot be taken would fail for ever, and the SDKs
// would send the whole batch again, so it goes to the rejects.
func (s *Server) ingest(kind engine.Kind) handler {
	return func(w *answer, r *http.Request) error {
		body, release, err := s.readBody(w, r, s.cfg.MaxBody)
		if err != nil {
			return err
		}
		defer release()
		in := s.newIntake(r, decode.Envelope{Kind: kind})
		p := s.newParcel()
		if err = in.decodeBody(r.Context(), p, body, in.decoder.Message); err == nil {
			err = in.send(r.Context(), p)
		}
		in.close()
		s.reuse(p, body)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, api.Success{Success: true, Rejected: in.result.Rejected, Dropped: in.result.Dropped})
	}
}

// importBatch serves Segment's path for facts of the past.
func (s *Server) importBatch(w *answer, r *http.Request) error {
	if err := s.importsOf(r); err != nil {
		return err
	}
	return s.ingest(0)(w, r)
}

// turnMessages is how many messages are decoded in one turn: a fraction of a millisecond.
const turnMessages = 128

// decodeBody makes the messages of a body, in turns. read is one of the Decoder's methods. An error means
// that nothing of the body can be taken: senders drop what is refused as a whole, so one good message
// makes it a body with rejects.
func (in *intake) decodeBody(ctx context.Context, p *parcel, body []byte, read reader) error {
	end := in.s.cfg.Turn(ctx)
	defer func() { end() }()
	split, err := in.decoder.Split(body)
	if err != nil {
		in.rejectBody(body, err)
		return err
	}
	if most := in.s.cfg.MaxItems; len(split.Items) > most {
		return problem(codes.TooLarge, fmt.Sprintf("the batch has %d messages: at most %d", len(split.Items), most))
	}
	if split.Batch { // else all of this is the message's own
		in.env.Kind, in.env.SentAt, in.env.Context = 0, split.SentAt, split.Context
	}
	p.messages, p.origins = slices.Grow(p.messages, len(split.Items)), slices.Grow(p.origins, len(split.Items))
	for i, span := range split.Items {
		if i%turnMessages == turnMessages-1 {
			end()
			end = in.s.cfg.Turn(ctx)
		}
		if raw := body[span.Start:span.End]; len(raw) > in.s.cfg.MaxLine {
			in.tooLong(p, line{number: uint64(i + 1), raw: raw})
		} else {
			in.add(p, uint64(i+1), raw, read)
		}
	}
	if len(p.messages) == 0 && p.hasRefused() {
		if err := in.decoder.Check(body); err != nil {
			in.rejectBody(body, err)
			return err
		}
	}
	for _, note := range split.Notes {
		p.rejects = append(p.rejects, rejected{origin{0, split.Context}, note.Code, note.Reason, true})
	}
	if why := split.Broken; why != nil {
		p.rejects = append(p.rejects, rejected{origin: origin{uint64(len(split.Items) + 1), body[split.Behind:]}, code: why.Code, reason: why.Reason + ": nothing behind this can be told apart"})
	}
	return nil
}

// rejectBody shows a body that is no JSON among the rejects: its sender drops it and sees nothing.
func (in *intake) rejectBody(body []byte, err error) {
	p, _ := asProblem(err)
	in.report(&rejected{origin: origin{1, body}, code: p.Code, reason: p.Detail})
}

// metricsDropped takes what @segment/analytics-next tells about itself, and forgets it.
func (s *Server) metricsDropped(w *answer, r *http.Request) error {
	return writeJSON(w, http.StatusOK, api.Success{Success: true})
}

// settings answers what Segment's browser and mobile SDKs ask before they send: come here, please.
func (s *Server) settings(w *answer, r *http.Request) error {
	protocol := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		protocol = "https"
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"integrations": map[string]any{"Segment.io": map[string]any{
			"apiKey": r.PathValue("key"), "apiHost": r.Host + "/v1", "protocol": protocol,
			"bundlingStatus": nil, "unbundledIntegrations": []string{}, "addBundledMetadata": false,
		}},
		"plan":               map[string]any{"track": map[string]any{"__default": map[string]any{"enabled": true, "integrations": map[string]any{}}}},
		"edgeFunction":       map[string]any{},
		"enabledMiddleware":  map[string]any{},
		"metrics":            map[string]any{"sampleRate": 0},
		"middlewareSettings": map[string]any{},
		"remotePlugins":      []any{},
	})
}

// sourceConfig answers what RudderStack's browser SDK asks before it sends.
func (s *Server) sourceConfig(w *answer, r *http.Request) error {
	key := r.URL.Query().Get("writeKey")
	off := map[string]any{"enabled": false}
	return writeJSON(w, http.StatusOK, map[string]any{
		"source": map[string]any{
			"id": "muster", "name": "muster", "writeKey": key, "enabled": true, "workspaceId": "muster",
			"config":      map[string]any{"statsCollection": map[string]any{"errors": off, "metrics": off}},
			"connections": []any{}, "destinations": []any{}, "dataplanes": map[string]any{},
		},
		"updatedAt": "2026-01-01T00:00:00.000Z",
	})
}

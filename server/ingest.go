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

// ingest serves the paths of Segment and of compatible SDKs: one message, or a batch. kind is given by
// the path; 0 if each message has its own type. The answer is a success as soon as the acceptable
// messages are durable. The others go to the rejects: they would fail again each time, and an SDK would
// send the whole batch again and again.
func (s *Server) ingest(kind engine.Kind) handler {
	return func(w *answer, r *http.Request) error {
		body, release, err := s.readBody(w, r, s.cfg.MaxBody)
		if err != nil {
			return err
		}
		defer release()
		in := s.newIntake(r, decode.Envelope{Kind: kind})
		p := s.newBatch()
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

// importBatch serves Segment's path for historical data.
func (s *Server) importBatch(w *answer, r *http.Request) error {
	if err := s.checkImport(r); err != nil {
		return err
	}
	return s.ingest(0)(w, r)
}

// turnMessages is how many messages are decoded in one turn, which takes a fraction of a millisecond.
const turnMessages = 128

// decodeBody decodes the messages of a body, in turns. read is one of the Decoder's methods. An error
// means that nothing of the body can be accepted: senders drop a refused body, so one good message is
// enough to accept it with rejects.
func (in *intake) decodeBody(ctx context.Context, p *batch, body []byte, read reader) error {
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
	if split.Batch { // a single message has these members itself
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
		p.rejects = append(p.rejects, rejected{origin: origin{uint64(len(split.Items) + 1), body[split.BrokenAt:]}, code: why.Code, reason: why.Text + ": the rest of the batch cannot be read"})
	}
	return nil
}

// rejectBody adds a body that is not JSON to the rejects: its sender drops it without telling anyone.
func (in *intake) rejectBody(body []byte, err error) {
	p, _ := asProblem(err)
	in.report(&rejected{origin: origin{1, body}, code: p.Code, reason: p.Detail})
}

// dropSDKMetrics accepts and discards the metrics of @segment/analytics-next.
func (s *Server) dropSDKMetrics(w *answer, r *http.Request) error {
	return writeJSON(w, http.StatusOK, api.Success{Success: true})
}

// settings answers the request that Segment's browser and mobile SDKs make before they send: it points
// them to this server.
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

// sourceConfig answers the request that RudderStack's browser SDK makes before it sends.
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

package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/server/decode"
)

const (
	chunkBytes    = 3 << 20  // of lines that go to the node together
	chunkLines    = 32 << 10 // a line of three bytes becomes a message of hundreds
	streamBudget  = 18 << 20 // bytes in flight that one stream may hold: chunks being read, decoded, ingested
	drainBytes    = 16 << 20 // of a body read on after an error, so that its sender hears the answer
	maxSourceName = 512
)

// events serves POST /v1/events: a stream of messages of any length, taken in chunks. While the node
// makes one chunk durable the next is being read and decoded; order is kept.
func (s *Server) events(w *answer, r *http.Request) error {
	if isCloudEvent(r) {
		return s.cloudEvents(w, r)
	}
	source := r.URL.Query().Get("source")
	if len(source) > maxSourceName {
		return problem(api.CodeBadRequest, "the source's name is too long")
	}
	if !s.inFlight.take(streamBudget) {
		return s.bodiesFull()
	}
	defer s.inFlight.give(streamBudget)
	body, closeBody, err := s.open(w, r, true)
	if err != nil {
		return err
	}
	defer closeBody()
	in := s.newIntake(r.URL.Path, decode.Envelope{Import: true, Source: source})
	defer in.close()
	p := &pump{in: in, lines: newLines(body, s.cfg.MaxLine), chunks: make(chan *chunk), done: make(chan struct{})}
	go p.run(r.Context())
	lines, err := p.deliver(r.Context())
	if err == nil {
		return writeJSON(w, http.StatusOK, in.result)
	}
	told, known := asProblem(err)
	if !known {
		s.cfg.Log.Error("stream of messages broke off", "path", r.URL.Path, "line", lines, "error", err)
	}
	copied := *told
	copied.Progress = &api.Progress{Lines: lines, IngestResult: in.result}
	return &copied
}

// chunk is a stretch of lines on its way: decoded, or the end of the stream.
type chunk struct {
	lineBlock
	parcel
}

// pump reads and decodes a stream in a goroutine of its own, owned by the request that waits for
// done. It hands over one chunk at a time, so that at most two exist.
type pump struct {
	in     *intake
	lines  *lines
	chunks chan *chunk
	done   chan struct{}
	stop   atomic.Bool // the receiver has failed: read the rest without looking at it
	broke  error       // why reading ended too early; for others once done is closed
}

func (p *pump) run(ctx context.Context) {
	defer close(p.done)
	defer close(p.chunks)
	for {
		c := &chunk{}
		p.lines.next(&c.lineBlock)
		p.in.schema = p.in.s.node().Schema() // earlier chunks may have made names
		c.messages, c.origins = make([]engine.Incoming, 0, len(c.items)), make([]origin, 0, len(c.items))
		for _, l := range c.items {
			if l.tooLong {
				p.in.tooLong(&c.parcel, l)
				continue
			}
			p.in.add(&c.parcel, l.number, l.raw, p.in.decoder.Message)
		}
		if c.err != nil && !errors.Is(c.err, errEnd) {
			p.broke = c.err
		}
		select {
		case p.chunks <- c:
		case <-ctx.Done():
			return
		}
		if c.err != nil {
			return
		}
		if p.stop.Load() {
			p.lines.drain(drainBytes)
			return
		}
	}
}

// tooLong reports a line of which only the beginning was read.
func (in *intake) tooLong(p *parcel, l line) {
	p.rejects = append(p.rejects, rejected{origin: in.origin(l.number, l.raw), code: api.CodeTooLarge, reason: "the line is too long"})
}

// deliver sends the chunks to the node and returns the number of lines that are certain.
func (p *pump) deliver(ctx context.Context) (lines uint64, err error) {
	for c := range p.chunks {
		if err != nil {
			continue // the pump is told to stop and may have one more
		}
		if err = p.in.send(ctx, &c.parcel); err != nil {
			p.stop.Store(true)
			continue
		}
		lines = c.last
	}
	<-p.done
	// A connection that breaks also ends the context: what broke says more.
	if p.broke != nil && (err == nil || ctx.Err() != nil) {
		err = p.broke
	} else if err == nil {
		err = ctx.Err()
	}
	return lines, err
}

// isCloudEvent tells the three forms of CloudEvents over HTTP from lines.
func isCloudEvent(r *http.Request) bool {
	return strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/cloudevents") || r.Header.Get("Ce-Specversion") != ""
}

// cloudEvents takes one CloudEvent, in the binary or the structured form, or a batch of them.
func (s *Server) cloudEvents(w *answer, r *http.Request) error {
	body, release, err := s.readBody(w, r, s.cfg.MaxBody)
	if err != nil {
		return err
	}
	defer release()
	in := s.newIntake(r.URL.Path, decode.Envelope{Kind: engine.Track})
	defer in.close()
	if r.Header.Get("Ce-Specversion") != "" {
		body = decode.StructuredCloudEvent(r.Header, body)
	}
	split, err := in.decoder.Split(body)
	if err != nil {
		in.rejectBody(body, err)
		return err
	}
	if len(split.Items) > s.cfg.MaxItems {
		return problem(api.CodeTooLarge, "the batch has too many events")
	}
	p := &parcel{}
	for i, span := range split.Items {
		in.add(p, uint64(i+1), body[span.Start:span.End], in.decoder.CloudEvent)
	}
	if err := in.send(r.Context(), p); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, in.result)
}

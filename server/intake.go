package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/server/decode"
	"github.com/musterdb/muster/server/render"
)

// intake passes the messages of one request to the node: add them one by one, then send. It counts the
// outcomes. It is for one goroutine at a time.
type intake struct {
	s       *Server
	env     decode.Envelope
	path    string
	decoder *decode.Decoder
	mayName func(catalog.Name) bool // whether the sender may add a new name; nil: any
	limited bool                    // alias and profile messages are refused
	taken   uint64                  // messages that could be decoded
	refused uint64                  // messages that could not
	result  api.IngestResult
}

// batch is what one call of the node gets: messages, and the origin of each; and the rejects between
// them.
type batch struct {
	messages []engine.Incoming
	origins  []origin
	rejects  []rejected
}

// reusedMessages and reusedBytes limit the memory of one request that is kept for later ones.
const (
	reusedMessages = 4 << 10
	reusedBytes    = 1 << 20
)

// newBatch returns an empty batch, with the memory of an earlier one if possible.
func (s *Server) newBatch() *batch {
	p, _ := s.batches.Get().(*batch)
	if p == nil {
		p = &batch{}
	}
	return p
}

// reuse keeps the memory of a request for later ones, which avoids most of the garbage at full load.
// REQUIRES: the messages are not in use any more.
func (s *Server) reuse(p *batch, body []byte) {
	if cap(p.messages) <= reusedMessages {
		clear(p.messages)
		clear(p.origins)
		clear(p.rejects)
		*p = batch{messages: p.messages[:0], origins: p.origins[:0], rejects: p.rejects[:0]}
		s.batches.Put(p)
	}
	if cap(body) <= reusedBytes {
		s.bodies.Put(&body)
	}
}

// bodyBuffer returns an empty slice for a body, with a capacity of size bytes or a little more, which it
// takes from the bytes in flight; ok is false if there are not that many left.
func (s *Server) bodyBuffer(size int64) (buffer []byte, ok bool) {
	if kept, _ := s.bodies.Get().(*[]byte); kept != nil {
		if n := int64(cap(*kept)); n >= size && n <= 2*size && s.inFlight.take(n) {
			return (*kept)[:0], true
		}
	}
	if !s.inFlight.take(size) {
		return nil, false
	}
	return make([]byte, 0, size), true
}

// hasRefused reports whether a message was refused.
func (p *batch) hasRefused() bool {
	for i := range p.rejects {
		if !p.rejects[i].dropped {
			return true
		}
	}
	return false
}

// origin is the place of a message: its line in the body, and its bytes. For an imported file the line in
// the file counts; it is in the bytes, and is only parsed for a report.
type origin struct {
	line uint64
	raw  []byte
}

// Ingester accepts messages.
type Ingester interface {
	// Begin queues messages after those of every earlier Begin, and returns a delivery to wait for. After
	// an error none of them was accepted. Before Begin returns it calls mayName for each name that the
	// catalog lacks and has space for, to learn whether the sender may add it; nil allows any. What a
	// message loses is in its outcome's Dropped.
	Begin(ctx context.Context, msgs []engine.Incoming, mayName func(catalog.Name) bool) (node.Delivery, error)
}

// rejected is a message that was refused or, if dropped is set, one that lost a value.
type rejected struct {
	origin
	code, reason string
	dropped      bool
}

func (s *Server) newIntake(r *http.Request, env decode.Envelope) *intake {
	env.ReceivedAt, env.NewID = s.cfg.Now().UnixMilli(), s.newID
	in := &intake{s: s, env: env, path: r.URL.Path, limited: s.identityForbidden(r)}
	in.mayName = s.nameLimits.checkFor(r, env.Source != "" && !s.foreign(r))
	in.decoder, _ = s.decoders.Get().(*decode.Decoder)
	if in.decoder == nil {
		in.decoder = decode.NewDecoder(s.cfg.Message)
	}
	in.result.Problems = []api.MessageProblem{}
	return in
}

// close returns the decoder to the pool, with the memory of all messages. It is not called if a handler
// panics, since the messages may still be in use. REQUIRES: they are not.
func (in *intake) close() {
	in.decoder.Reuse()
	in.s.decoders.Put(in.decoder)
}

// reader is a method of Decoder that decodes one message.
type reader = func([]byte, *decode.Envelope) (engine.Incoming, error)

// add decodes one message and adds it to a batch.
func (in *intake) add(p *batch, line uint64, raw []byte, read reader) {
	m, err := read(raw, &in.env)
	from := origin{line, raw}
	if err == nil && in.limited {
		if err := checkIdentity(m.Kind); err != nil {
			p.rejects = append(p.rejects, rejected{origin: from, code: codes.ForbiddenOrigin, reason: err.Error()})
			return
		}
	}
	if err != nil {
		code := codes.BadRequest
		var refusal *node.Error
		if errors.As(err, &refusal) {
			code = refusal.Code
		}
		p.rejects = append(p.rejects, rejected{origin: from, code: code, reason: err.Error()})
		in.refused++
		return
	}
	in.taken++
	for _, note := range in.decoder.Notes() {
		p.rejects = append(p.rejects, rejected{from, note.Code, note.Reason, true})
	}
	p.messages, p.origins = append(p.messages, m), append(p.origins, from)
}

// send makes the messages of a batch durable and reports its rejects. After an error it is unknown which
// messages are durable, and nothing of the batch has been counted or reported.
func (in *intake) send(ctx context.Context, p *batch) error {
	finish, err := in.begin(ctx, p)
	if err != nil {
		return err
	}
	outcomes, err := finish()
	if err != nil {
		return err
	}
	in.count(p, outcomes)
	return nil
}

// begin is the first half of send: it queues the messages at the node, after those of an earlier begin.
// finish is the second half, without the counting, and must be called.
func (in *intake) begin(ctx context.Context, p *batch) (finish func() ([]engine.Outcome, error), err error) {
	if len(p.messages) == 0 {
		return func() ([]engine.Outcome, error) { return nil, nil }, nil
	}
	limited, cancel := context.WithTimeout(ctx, in.s.cfg.IngestTimeout)
	delivery, err := in.s.node().Ingest.Begin(limited, p.messages, in.mayName)
	if err != nil {
		err = in.ingestError(ctx, limited, p, err)
		cancel()
		return nil, err
	}
	return func() ([]engine.Outcome, error) {
		defer cancel()
		outcomes, err := delivery.Wait()
		if err != nil {
			return nil, in.ingestError(ctx, limited, p, err)
		}
		return outcomes, checkOutcomes(p, outcomes)
	}, nil
}

// ingestError turns an error of the node into one for the sender.
func (in *intake) ingestError(ctx, limited context.Context, p *batch, err error) error {
	if ctx.Err() == nil && limited.Err() != nil {
		return busy(codes.OutcomeUnknown, "the messages were not durable in time: send them again", time.Second)
	}
	return fmt.Errorf("ingest %d messages: %w", len(p.messages), err)
}

// checkOutcomes returns an error if the outcomes do not match the messages. If the profile of a message
// is being merged, the whole call must be repeated; messages that were accepted will be duplicates then.
func checkOutcomes(p *batch, outcomes []engine.Outcome) error {
	if len(outcomes) != len(p.messages) {
		return fmt.Errorf("ingest %d messages: the node answered for %d", len(p.messages), len(outcomes))
	}
	for _, o := range outcomes {
		if o.Status == engine.Busy || o.Status == engine.Moved {
			return busy(codes.Overloaded, "a profile is being merged: send the messages again", time.Second)
		}
	}
	return nil
}

// count counts the outcomes of a batch's messages and reports its rejects.
func (in *intake) count(p *batch, outcomes []engine.Outcome) {
	var accepted, duplicate uint64
	for i, o := range outcomes {
		switch o.Status {
		case engine.Accepted:
			accepted++
		case engine.Duplicate:
			duplicate++
		default:
			p.rejects = append(p.rejects, rejected{origin: p.origins[i], code: codes.Refused, reason: o.Reason})
		}
		for k := range o.Dropped {
			code, reason := dropReason(&o.Dropped[k])
			p.rejects = append(p.rejects, rejected{p.origins[i], code, reason, true})
		}
	}
	in.result.Accepted += accepted
	in.result.Duplicate += duplicate
	in.s.metrics.messages.accepted.Add(float64(accepted))
	in.s.metrics.messages.duplicate.Add(float64(duplicate))
	for i := range p.rejects {
		in.report(&p.rejects[i])
	}
}

// report adds a reject to the page of rejects, the metrics and the answer.
func (in *intake) report(r *rejected) {
	s := in.s
	if in.env.Source != "" {
		if own := decode.Line(r.raw); own != 0 {
			r.line = own
		}
	}
	s.rejects.add(api.Reject{
		ReceivedAt: render.Time(in.env.ReceivedAt), Path: in.path, Source: in.env.Source,
		Line: r.line, Dropped: r.dropped, Code: r.code, Reason: r.reason,
	}, r.raw)
	if r.dropped {
		s.metrics.messages.dropped.Inc()
		in.result.Dropped++
		return
	}
	s.metrics.messages.rejected.Inc()
	in.result.Rejected++
	if len(in.result.Problems) < s.cfg.MaxProblems {
		in.result.Problems = append(in.result.Problems, api.MessageProblem{Line: r.line, Code: r.code, Reason: r.reason})
	}
}

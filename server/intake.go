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

// intake takes messages of one request into the node: add them one by one, then send. It counts what
// became of them. It is for one goroutine at a time.
type intake struct {
	s       *Server
	env     decode.Envelope
	path    string
	decoder *decode.Decoder
	mayName func(catalog.Name) bool // whether the sender may bring a new name; nil: any
	limited bool                    // messages may not say who is who
	taken   uint64                  // messages that were read
	refused uint64                  // those that were not
	result  api.IngestResult
}

// parcel is what one call of the node gets: messages, and where each came from.
type parcel struct {
	messages []engine.Incoming
	origins  []origin
	rejects  []rejected
}

// reusedMessages and reusedBytes bound what is kept of one request for later ones.
const (
	reusedMessages = 4 << 10
	reusedBytes    = 1 << 20
)

// newParcel returns an empty parcel, with the memory of an earlier one if there is some.
func (s *Server) newParcel() *parcel {
	p, _ := s.parcels.Get().(*parcel)
	if p == nil {
		p = &parcel{}
	}
	return p
}

// reuse keeps the memory of a request for later ones: at full speed that is most of what would be garbage.
// REQUIRES: nobody looks at the messages any more.
func (s *Server) reuse(p *parcel, body []byte) {
	if cap(p.messages) <= reusedMessages {
		clear(p.messages)
		clear(p.origins)
		clear(p.rejects)
		*p = parcel{messages: p.messages[:0], origins: p.origins[:0], rejects: p.rejects[:0]}
		s.parcels.Put(p)
	}
	if cap(body) <= reusedBytes {
		s.bodies.Put(&body)
	}
}

// roomFor returns an empty slice with room for size bytes of a body or a little more, whose capacity has been
// taken from the bytes in flight; ok is false where there are not so many.
func (s *Server) roomFor(size int64) (room []byte, ok bool) {
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

// hasRefused tells whether a message was refused.
func (p *parcel) hasRefused() bool {
	for i := range p.rejects {
		if !p.rejects[i].dropped {
			return true
		}
	}
	return false
}

// origin is where a message stood: its line in the body, and its bytes. For a file being imported the line
// in the file counts, which stands in the bytes: it is read when somebody has to be told.
type origin struct {
	line uint64
	raw  []byte
}

// Ingester takes messages in.
type Ingester interface {
	// Begin gives messages their places in the queues, after those of every Begin that returned before, and
	// returns what has to be waited for. On an error none of them was taken. mayName is asked, before Begin
	// returns, whether the sender may bring a name that the catalog lacks and has room for; nil lets it bring
	// any. What a message loses is in its outcome's Dropped.
	Begin(ctx context.Context, msgs []engine.Incoming, mayName func(catalog.Name) bool) (node.Delivery, error)
}

// rejected is a message that was refused (or, dropped, one that lost a value), to be reported.
type rejected struct {
	origin
	code, reason string
	dropped      bool
}

func (s *Server) newIntake(r *http.Request, env decode.Envelope) *intake {
	env.ReceivedAt, env.NewID = s.cfg.Now().UnixMilli(), s.newID
	in := &intake{s: s, env: env, path: r.URL.Path, limited: s.limited(r)}
	in.mayName = s.newNames.boundOf(r, env.Source != "" && !s.foreign(r))
	in.decoder, _ = s.decoders.Get().(*decode.Decoder)
	if in.decoder == nil {
		in.decoder = decode.NewDecoder(s.cfg.Message)
	}
	in.result.Problems = []api.MessageProblem{}
	return in
}

// close gives the decoder back, with the memory of all messages. It is not called where a handler panics:
// somebody may still look at them. REQUIRES: nobody does.
func (in *intake) close() {
	in.decoder.Reuse()
	in.s.decoders.Put(in.decoder)
}

// reader is a method of the Decoder that reads one message.
type reader = func([]byte, *decode.Envelope) (engine.Incoming, error)

// add decodes one message into a parcel.
func (in *intake) add(p *parcel, line uint64, raw []byte, read reader) {
	m, err := read(raw, &in.env)
	from := origin{line, raw}
	if err == nil && in.limited {
		if err := refusesIdentity(m.Kind); err != nil {
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

// send makes the messages of a parcel durable and reports its rejects. After an error nothing is
// known of the parcel's messages, and nothing of it has been counted or reported.
func (in *intake) send(ctx context.Context, p *parcel) error {
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

// begin is the first half of send: the node has the messages in its queues, behind those of an earlier
// begin. finish is the other half, but for the counting, and must be called.
func (in *intake) begin(ctx context.Context, p *parcel) (finish func() ([]engine.Outcome, error), err error) {
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

// ingestError says what an error of the node means to the sender.
func (in *intake) ingestError(ctx, limited context.Context, p *parcel, err error) error {
	if ctx.Err() == nil && limited.Err() != nil {
		return busy(codes.OutcomeUnknown, "the messages were not durable in time: send them again", time.Second)
	}
	return fmt.Errorf("ingest %d messages: %w", len(p.messages), err)
}

// checkOutcomes refuses answers that are no answers. Messages whose profile is just moving make the
// whole call one to be repeated: those taken already will be duplicates then.
func checkOutcomes(p *parcel, outcomes []engine.Outcome) error {
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

// count counts the outcomes of a parcel's messages and reports its rejects.
func (in *intake) count(p *parcel, outcomes []engine.Outcome) {
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

// report tells a reject to everybody who wants to know: the page of rejects, the metrics, the answer.
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

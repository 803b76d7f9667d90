package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
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
	schema  query.Schema // of the moment; nil while the node opens
	result  api.IngestResult
}

// parcel is what one call of the node gets: messages, and where each came from.
type parcel struct {
	messages []engine.Incoming
	origins  []origin
	rejects  []rejected
}

// origin is where a message stood: its line in the body, and its bytes.
type origin struct {
	line uint64
	raw  []byte
}

// rejected is a message that was refused (or, dropped, one that lost a value), to be reported.
type rejected struct {
	origin
	code, reason string
	dropped      bool
}

func (s *Server) newIntake(path string, env decode.Envelope) *intake {
	env.ReceivedAt, env.NewID = s.cfg.Now().UnixMilli(), s.newID
	in := &intake{s: s, env: env, path: path, schema: s.node().Schema()}
	in.decoder, _ = s.decoders.Get().(*decode.Decoder)
	if in.decoder == nil {
		in.decoder = decode.NewDecoder(s.cfg.Message)
	}
	in.result.Problems = []api.MessageProblem{}
	return in
}

// close gives the decoder back.
func (in *intake) close() { in.s.decoders.Put(in.decoder) }

// add decodes one message into a parcel. read is one of the Decoder's methods.
func (in *intake) add(p *parcel, line uint64, raw []byte, read func([]byte, *decode.Envelope) (engine.Incoming, error)) {
	m, err := read(raw, &in.env)
	from := in.origin(line, raw)
	if err != nil {
		code := api.CodeBadRequest
		var refusal *decode.Refusal
		if errors.As(err, &refusal) {
			code = refusal.Code
		}
		p.rejects = append(p.rejects, rejected{origin: from, code: code, reason: err.Error()})
		return
	}
	for _, note := range in.decoder.Notes() {
		p.rejects = append(p.rejects, rejected{from, note.Code, note.Reason, true})
	}
	in.noteMismatched(p, from, &m)
	p.messages, p.origins = append(p.messages, m), append(p.origins, from)
}

// origin tells where a message stands: for a file being imported in the file, else in the body.
func (in *intake) origin(line uint64, raw []byte) origin {
	if in.env.Source != "" {
		if own := decode.Line(raw); own != 0 {
			line = own
		}
	}
	return origin{line, raw}
}

// send makes the messages of a parcel durable and reports its rejects. After an error nothing is
// known of the parcel's messages, and nothing of it has been counted or reported.
func (in *intake) send(ctx context.Context, p *parcel) error {
	s := in.s
	if len(p.messages) > 0 {
		outcomes, err := in.ingest(ctx, p.messages)
		if err != nil {
			return err
		}
		for i, o := range outcomes {
			switch o.Status {
			case engine.Accepted:
				in.result.Accepted++
				s.metrics.messages.accepted.Inc()
			case engine.Duplicate:
				in.result.Duplicate++
				s.metrics.messages.duplicate.Inc()
			default:
				p.rejects = append(p.rejects, rejected{origin: p.origins[i], code: api.CodeRefused, reason: o.Reason})
			}
		}
	}
	for i := range p.rejects {
		in.report(&p.rejects[i])
	}
	return nil
}

// ingest calls the node within the time limit. Messages whose profile is just moving make the whole
// call one to be repeated: those taken already will be duplicates then.
func (in *intake) ingest(ctx context.Context, messages []engine.Incoming) ([]engine.Outcome, error) {
	limited, cancel := context.WithTimeout(ctx, in.s.cfg.IngestTimeout)
	defer cancel()
	outcomes, err := in.s.node().Ingest(limited, messages)
	switch {
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		return nil, busy(api.CodeOutcomeUncertain, "the messages were not durable in time: send them again", time.Second)
	case err != nil:
		return nil, fmt.Errorf("ingest %d messages: %w", len(messages), err)
	case len(outcomes) != len(messages):
		return nil, fmt.Errorf("ingest %d messages: the node answered for %d", len(messages), len(outcomes))
	}
	for _, o := range outcomes {
		if o.Status == engine.Busy || o.Status == engine.Moved {
			return nil, busy(api.CodeOverloaded, "a profile is being merged: send the messages again", time.Second)
		}
	}
	return outcomes, nil
}

// report tells a reject to everybody who wants to know: the page of rejects, the metrics, the answer.
func (in *intake) report(r *rejected) {
	s := in.s
	s.rejects.add(api.Reject{
		ReceivedAt: render.Time(in.env.ReceivedAt), Path: in.path, Source: in.env.Source,
		Line: r.line, Dropped: r.dropped, Code: r.code, Reason: r.reason,
	}, r.raw)
	if r.dropped {
		s.metrics.messages.dropped.Inc()
		return
	}
	s.metrics.messages.rejected.Inc()
	in.result.Rejected++
	if len(in.result.Problems) < s.cfg.MaxProblems {
		in.result.Problems = append(in.result.Problems, api.MessageProblem{Line: r.line, Code: r.code, Reason: r.reason})
	}
}

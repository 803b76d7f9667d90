package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/decode"
)

const (
	chunkBytes       = 2 << 20   // of the lines of one chunk
	chunkLines       = 32 << 10  // a line of three bytes becomes a message of hundreds of bytes
	streamBudget     = 18 << 20  // bytes in flight of one stream: chunks that are being read, decoded and ingested
	firstChunk       = 256 << 10 // bytes of the first chunk; each next one is twice as large, so that the node has work soon
	maxPendingChunks = 2         // chunks that the node has at the same time
	maxSourceName    = 512
)

// events serves POST /v1/events: a stream of messages of any length, accepted in chunks. While the node
// makes chunks durable, the next one is being read and decoded. The order of messages is kept.
func (s *Server) events(w *answer, r *http.Request) error {
	if isCloudEvent(r) {
		return s.cloudEvents(w, r)
	}
	values, err := readQueryString(r) // without its source parameter, a repeated import would count twice
	if err != nil {
		return err
	}
	source := values.Get("source")
	if source != "" {
		if err := s.checkImport(r); err != nil {
			return err
		}
	}
	if err := tree.CheckLine("the name of a source", source, maxSourceName); err != nil {
		return problem(codes.BadName, err.Error())
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
	in := s.newIntake(r, decode.Envelope{Import: true, Source: source})
	p := &pump{in: in, lines: newLines(body, s.cfg.MaxLine), chunks: make(chan *chunk), done: make(chan struct{})}
	go p.run(r.Context())
	lines, err := p.deliver(r.Context())
	in.close()
	if err == nil {
		return writeJSON(w, http.StatusOK, in.result)
	}
	told, known := asProblem(err)
	if !known {
		s.cfg.Log.Error("stream of messages broke off", "path", r.URL.Path, "line", lines, "err", err)
	}
	copied := *told
	copied.Progress = &api.Progress{Lines: lines, IngestResult: in.result}
	return &copied
}

// chunk is a range of lines, decoded, or the end of the stream.
type chunk struct {
	lineBlock
	batch
	finish func() ([]engine.Outcome, error) // set once the node has the chunk
}

// mayOvertake reports whether the chunk may take effect before an earlier one that must be sent again
// after an error: it has only events, of profiles that are known by one id. An attribute or a merge could
// be undone by an older one that arrives later.
func (c *chunk) mayOvertake() bool {
	for i := range c.messages {
		if m := &c.messages[i]; !m.Kind.HasEvent() || m.UserID != "" && m.AnonymousID != "" {
			return false
		}
	}
	return true
}

// pump reads and decodes a stream in its own goroutine. The request owns it and waits for done. It hands
// over one chunk at a time, so that there is at most one besides those that the node has.
type pump struct {
	in     *intake
	lines  *lines
	chunks chan *chunk
	done   chan struct{}
	stop   atomic.Bool // the receiver has failed
	broke  error       // why reading ended early; may be read once done is closed
}

func (p *pump) run(ctx context.Context) {
	defer close(p.done)
	defer close(p.chunks)
	for {
		c := &chunk{}
		p.lines.next(&c.lineBlock)
		c.messages, c.origins = make([]engine.Incoming, 0, len(c.items)), make([]origin, 0, len(c.items))
		for some := range slices.Chunk(c.items, turnMessages) {
			end := p.in.s.cfg.Turn(ctx)
			p.in.decodeLines(&c.batch, some)
			end()
			if p.in.mostlyRejected() {
				c.last, c.err = some[len(some)-1].number, p.in.tooManyRejects()
				break
			}
		}
		if c.err != nil && !errors.Is(c.err, errEnd) {
			p.broke = c.err
		}
		select {
		case p.chunks <- c:
		case <-ctx.Done():
			return
		}
		if c.err != nil || p.stop.Load() {
			return
		}
	}
}

func (in *intake) decodeLines(to *batch, lines []line) {
	for _, l := range lines {
		if l.tooLong {
			in.tooLong(to, l)
			continue
		}
		in.add(to, l.number, l.raw, in.decoder.Message)
	}
}

// tooLong rejects a line of which only the beginning was read.
func (in *intake) tooLong(p *batch, l line) {
	p.rejects = append(p.rejects, rejected{origin: origin{l.number, l.raw}, code: codes.TooLarge, reason: "the message is longer than " + strconv.Itoa(in.s.cfg.MaxLine) + " bytes"})
	in.refused++
}

// mostlyRejected reports whether so many messages of a stream are rejected that it is not worth reading
// on: more than MaxRejects, and more than were accepted.
func (in *intake) mostlyRejected() bool {
	return in.refused > uint64(in.s.cfg.MaxRejects) && in.refused > in.taken
}

func (in *intake) tooManyRejects() error {
	return problem(codes.TooManyRejects, fmt.Sprintf("%d messages of the stream were rejected and %d accepted: the rest was not read", in.refused, in.taken))
}

// deliver sends the chunks to the node and returns the number of lines that have certainly been handled.
// After an error it starts no chunk, and does not count those that the node still has.
func (p *pump) deliver(ctx context.Context) (lines uint64, err error) {
	d := &delivery{in: p.in}
	d.ctx, d.cancel = context.WithCancel(ctx)
	defer d.cancel()
	for c := range p.chunks {
		if d.send(c); d.err != nil {
			p.stop.Store(true) // run may send one more chunk
		}
	}
	d.settle(0)
	<-p.done
	// A connection that breaks also ends the context; the read error says more.
	if err = d.err; p.broke != nil && (err == nil || ctx.Err() != nil) {
		err = p.broke
	} else if err == nil {
		err = ctx.Err()
	}
	return d.lines, err
}

// delivery tracks the chunks of a stream that the node has.
type delivery struct {
	in      *intake
	ctx     context.Context
	cancel  context.CancelFunc
	pending []*chunk // oldest first
	lines   uint64   // that have certainly been handled
	err     error
}

// send gives a chunk to the node, after earlier ones that it must not overtake. If the node has no space
// for it, send waits for earlier chunks and tries again.
func (d *delivery) send(c *chunk) {
	if d.settle(maxPendingChunks - 1); !c.mayOvertake() {
		d.settle(0)
	}
	for d.err == nil {
		finish, err := d.in.begin(d.ctx, &c.batch)
		if err == nil {
			c.finish = finish
			d.pending = append(d.pending, c)
			return
		}
		if len(d.pending) == 0 {
			d.err = err
			return
		}
		d.settle(len(d.pending) - 1)
	}
	d.settle(0)
}

// settle waits until at most most chunks are pending.
func (d *delivery) settle(most int) {
	for len(d.pending) > most {
		c := d.pending[0]
		d.pending = d.pending[1:]
		outcomes, err := c.finish()
		switch {
		case d.err != nil:
		case err != nil:
			d.err = err
			d.cancel() // chunks in the queue should not be accepted any more
		default:
			d.in.count(&c.batch, outcomes)
			d.lines = c.last
		}
	}
}

// isCloudEvent reports whether a request is one of the three forms of CloudEvents over HTTP.
func isCloudEvent(r *http.Request) bool {
	return strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/cloudevents") || r.Header.Get("Ce-Specversion") != ""
}

// cloudEvents accepts one CloudEvent, in binary or structured form, or a batch of them.
func (s *Server) cloudEvents(w *answer, r *http.Request) error {
	body, release, err := s.readBody(w, r, s.cfg.MaxBody)
	if err != nil {
		return err
	}
	defer release()
	in := s.newIntake(r, decode.Envelope{})
	if r.Header.Get("Ce-Specversion") != "" {
		body = decode.StructuredCloudEvent(r.Header, body)
	}
	p := &batch{}
	if err = in.decodeBody(r.Context(), p, body, in.decoder.CloudEvent); err == nil {
		err = in.send(r.Context(), p)
	}
	in.close()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, in.result)
}

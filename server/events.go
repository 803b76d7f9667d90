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
	chunkBytes    = 2 << 20   // of lines that go to the node together
	chunkLines    = 32 << 10  // a line of three bytes becomes a message of hundreds
	streamBudget  = 18 << 20  // bytes in flight that one stream may hold: chunks being read, decoded, ingested
	firstChunk    = 256 << 10 // of a stream; each is twice the one before, so that the node has work soon
	maxFlying     = 2         // chunks the node has at once
	maxSourceName = 512
)

// events serves POST /v1/events: a stream of messages of any length, taken in chunks. While the node
// makes chunks durable the next is being read and decoded; order is kept.
func (s *Server) events(w *answer, r *http.Request) error {
	if isCloudEvent(r) {
		return s.cloudEvents(w, r)
	}
	values, err := readQueryString(r) // of an import that lost its source, lines would count again
	if err != nil {
		return err
	}
	source := values.Get("source")
	if source != "" {
		if err := s.importsOf(r); err != nil {
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

// chunk is a stretch of lines on its way: decoded, or the end of the stream.
type chunk struct {
	lineBlock
	parcel
	finish func() ([]engine.Outcome, error) // of a chunk the node has
}

// mayOvertake tells whether it does not matter if the chunk takes effect before one that had to be sent
// again after an error: it has nothing but events of profiles that are known by one id. An attribute
// or a merge that came first to its profile would be undone by an older one.
func (c *chunk) mayOvertake() bool {
	for i := range c.messages {
		if m := &c.messages[i]; !m.Kind.HasEvent() || m.UserID != "" && m.AnonymousID != "" {
			return false
		}
	}
	return true
}

// pump reads and decodes a stream in a goroutine of its own, owned by the request that waits for
// done. It hands over one chunk at a time, so that at most one exists beside those the node has.
type pump struct {
	in     *intake
	lines  *lines
	chunks chan *chunk
	done   chan struct{}
	stop   atomic.Bool // the receiver has failed
	broke  error       // why reading ended too early; for others once done is closed
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
			p.in.decodeLines(&c.parcel, some)
			end()
			if p.in.hopeless() {
				c.last, c.err = some[len(some)-1].number, p.in.giveUp()
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

func (in *intake) decodeLines(to *parcel, lines []line) {
	for _, l := range lines {
		if l.tooLong {
			in.tooLong(to, l)
			continue
		}
		in.add(to, l.number, l.raw, in.decoder.Message)
	}
}

// tooLong reports a line of which only the beginning was read.
func (in *intake) tooLong(p *parcel, l line) {
	p.rejects = append(p.rejects, rejected{origin: origin{l.number, l.raw}, code: codes.TooLarge, reason: "the message is longer than " + strconv.Itoa(in.s.cfg.MaxLine) + " bytes"})
	in.refused++
}

// hopeless tells whether so much of a stream is refused that what follows is hardly worth the work:
// more than MaxRejects messages, and more than were taken.
func (in *intake) hopeless() bool {
	return in.refused > uint64(in.s.cfg.MaxRejects) && in.refused > in.taken
}

func (in *intake) giveUp() error {
	return problem(codes.TooManyRejects, fmt.Sprintf("%d messages of the stream were rejected and %d taken: what follows was not looked at", in.refused, in.taken))
}

// deliver sends the chunks to the node and returns the number of lines that are certain. After an
// error no chunk is begun, and what becomes of those the node has is not counted.
func (p *pump) deliver(ctx context.Context) (lines uint64, err error) {
	d := &delivery{in: p.in}
	d.ctx, d.cancel = context.WithCancel(ctx)
	defer d.cancel()
	for c := range p.chunks {
		if d.send(c); d.err != nil {
			p.stop.Store(true) // it may have one more
		}
	}
	d.land(0)
	<-p.done
	// A connection that breaks also ends the context: what broke says more.
	if err = d.err; p.broke != nil && (err == nil || ctx.Err() != nil) {
		err = p.broke
	} else if err == nil {
		err = ctx.Err()
	}
	return d.lines, err
}

// delivery is the chunks of a stream that the node has.
type delivery struct {
	in     *intake
	ctx    context.Context
	cancel context.CancelFunc
	flying []*chunk // oldest first
	lines  uint64   // that are certain
	err    error
}

// send begins a chunk when it is its turn. Where the node has no room for it beside those before it,
// it waits for them.
func (d *delivery) send(c *chunk) {
	if d.land(maxFlying - 1); !c.mayOvertake() {
		d.land(0)
	}
	for d.err == nil {
		finish, err := d.in.begin(d.ctx, &c.parcel)
		if err == nil {
			c.finish = finish
			d.flying = append(d.flying, c)
			return
		}
		if len(d.flying) == 0 {
			d.err = err
			return
		}
		d.land(len(d.flying) - 1)
	}
	d.land(0)
}

// land waits until no more than some chunks are flying.
func (d *delivery) land(most int) {
	for len(d.flying) > most {
		c := d.flying[0]
		d.flying = d.flying[1:]
		outcomes, err := c.finish()
		switch {
		case d.err != nil:
		case err != nil:
			d.err = err
			d.cancel() // what is still queued had better not be taken
		default:
			d.in.count(&c.parcel, outcomes)
			d.lines = c.last
		}
	}
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
	in := s.newIntake(r, decode.Envelope{})
	if r.Header.Get("Ce-Specversion") != "" {
		body = decode.StructuredCloudEvent(r.Header, body)
	}
	p := &parcel{}
	if err = in.decodeBody(r.Context(), p, body, in.decoder.CloudEvent); err == nil {
		err = in.send(r.Context(), p)
	}
	in.close()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, in.result)
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/live"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

const (
	maxSubscriptions = 100 // of one stream
	maxCredit        = 1 << 40
	maxFields        = 50
	streamBatch      = 32  // changes that a subscription renders together: a stalled one holds this many
	pageBatch        = 256 // members of a page
)

// stream is one client of GET /v1/stream. The handler's goroutine reads commands, and another one writes.
// Each subscription has a goroutine that reads the change log and hands rendered changes to the writer;
// it holds at most one batch.
type stream struct {
	server *Server
	socket socket
	ctx    context.Context
	cancel context.CancelCauseFunc
	out    chan [][]byte // unbuffered: one batch at a time; credit is the only flow control
	work   sync.WaitGroup

	mu struct {
		sync.Mutex
		subscriptions map[string]*subscription
		resynced      bool // the last one that ended could not be continued
	}
}

// subscription is one subscription of a stream.
type subscription struct {
	id      string
	segment string
	as      string
	format  render.ChangeFormat
	feed    *feed
	cancel  context.CancelFunc
	more    chan struct{} // capacity 1: there is new credit
	mu      sync.Mutex
	credit  int64 // guarded by mu
}

// stream serves one WebSocket until either side ends it.
func (s *Server) stream(w *answer, r *http.Request) error {
	if _, err := s.live(); err != nil {
		return err
	}
	if r.Header.Get("Upgrade") == "" {
		w.Header().Set("Upgrade", "websocket")
		return problem(codes.BadRequest, "this is a WebSocket: send Upgrade: websocket and the subprotocol "+streamProtocol)
	}
	w.status = http.StatusSwitchingProtocols // also if the handshake fails: then it has been answered
	conn, err := s.upgrade(w.ResponseWriter, r)
	if err != nil {
		s.cfg.Log.Debug("stream refused", "err", err)
		return nil
	}
	c := &stream{server: s, socket: conn, out: make(chan [][]byte)}
	c.mu.subscriptions = make(map[string]*subscription)
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(r.Context()))
	c.run()
	return nil
}

// run serves the stream and closes it.
func (c *stream) run() {
	stopServer := context.AfterFunc(c.server.streams.ctx, func() {
		c.cancel(&streamFault{closeRestarting, "the node is stopping"})
	})
	defer stopServer()
	c.work.Go(func() {
		<-c.ctx.Done()
		c.socket.Interrupt()
	})
	c.work.Go(c.write)
	hello := fmt.Appendf(nil, `{"op":"hello","heartbeat_ms":%d,"version":%s}`, c.server.cfg.Heartbeat.Milliseconds(), strconv.Quote(c.server.cfg.Version))
	if c.send(c.ctx, hello) {
		c.cancel(c.read())
	}
	c.work.Wait()
	code, reason := 1000, ""
	if fault := asFault(context.Cause(c.ctx)); fault != nil {
		code, reason = fault.code, fault.reason
	}
	c.socket.Close(code, reason)
}

// write is the only goroutine that writes to the socket.
func (c *stream) write() {
	ping := time.NewTicker(c.server.cfg.Heartbeat)
	defer ping.Stop()
	for {
		var err error
		select {
		case texts := <-c.out:
			err = c.socket.Write(texts)
		case <-ping.C:
			err = c.socket.Ping()
		case <-c.ctx.Done():
			return
		}
		if err != nil {
			c.cancel(&streamFault{closeSlow, "slow"})
			return
		}
	}
}

// send hands texts to the writer; it returns false if the stream or ctx has ended.
func (c *stream) send(ctx context.Context, texts ...[]byte) bool {
	select {
	case c.out <- texts:
		return true
	case <-ctx.Done():
	case <-c.ctx.Done():
	}
	return false
}

// read handles commands until the client goes away or makes a mistake.
func (c *stream) read() error {
	for {
		text, err := c.socket.Read()
		if err != nil {
			if errors.Is(err, errSilent) && c.ctx.Err() != nil {
				return context.Cause(c.ctx) // interrupted
			}
			return err
		}
		var command api.StreamCommand
		if err := json.Unmarshal(text, &command); err != nil {
			return &streamFault{closeBadMessage, "not a JSON message of this protocol"}
		}
		if err := c.take(&command); err != nil {
			return err
		}
	}
}

func (c *stream) take(command *api.StreamCommand) error {
	if command.ID == "" || len(command.ID) > 100 {
		return &streamFault{closeBadMessage, "id must have 1 to 100 bytes"}
	}
	c.mu.Lock()
	sub := c.mu.subscriptions[command.ID]
	count := len(c.mu.subscriptions)
	c.mu.Unlock()
	switch command.Op {
	case "subscribe":
		if sub != nil {
			return &streamFault{closeDuplicate, "there is already a subscription with this id"}
		}
		if count >= maxSubscriptions {
			c.fault(command.ID, problem(codes.Limit, "a stream has at most 100 subscriptions"))
			return nil
		}
		return c.subscribe(command)
	case "credit":
		if command.N <= 0 || command.N > maxCredit {
			return &streamFault{closeBadMessage, "n must be 1 or more"}
		}
		if sub != nil { // else it has already ended
			sub.addCredit(command.N)
		}
	case "ack":
		return c.ack(sub, command)
	case "unsubscribe":
		if sub != nil {
			c.drop(sub, false)
		}
	default:
		return &streamFault{closeBadMessage, "op must be subscribe, credit, ack or unsubscribe"}
	}
	return nil
}

func (c *stream) ack(sub *subscription, command *api.StreamCommand) error {
	cursor, err := live.ParseCursor(command.Cursor)
	if err != nil {
		return &streamFault{closeBadMessage, "the cursor is invalid"}
	}
	if sub == nil {
		return nil
	}
	if sub.as == "" {
		c.fault(command.ID, problem(codes.BadRequest, "only a subscription with as can be acknowledged"))
		return nil
	}
	if err := sub.feed.live.Consumers().Ack(sub.as, sub.segment, cursor, c.server.cfg.Now().UnixMilli()); err != nil {
		c.fault(command.ID, err)
	}
	return nil
}

// subscribe begins a subscription. If it cannot, it tells the client, and the stream continues.
func (c *stream) subscribe(command *api.StreamCommand) error {
	if command.Credit < 0 || command.Credit > maxCredit || checkFields(command.Fields) != nil {
		return &streamFault{closeBadMessage, "credit or fields is out of range"}
	}
	if fault := c.badConsumer(command.As); fault != nil {
		return fault
	}
	q := live.Request{Segment: command.Segment, Cursor: command.From, Consumer: command.As, From: live.FromCursor}
	switch command.From {
	case "", "now":
		q.From = live.FromNow
	case "snapshot":
		q.From = live.FromSnapshot
	case "acked":
		if q.From = live.FromAcked; command.As == "" {
			return &streamFault{closeBadMessage, "from acked needs as"}
		}
	}
	format, err := render.ParseChangeFormat(command.Format)
	if err != nil {
		return &streamFault{closeBadMessage, err.Error()}
	}
	ctx, cancel := context.WithCancel(c.ctx)
	f, err := c.server.openFeed(ctx, q, command.Fields, format)
	if err != nil {
		cancel()
		if c.resync(command.ID, err) {
			return nil
		}
		c.fault(command.ID, err)
		return nil
	}
	sub := &subscription{id: command.ID, segment: command.Segment, as: command.As, format: format, feed: f, cancel: cancel,
		more: make(chan struct{}, 1), credit: command.Credit}
	c.mu.Lock()
	c.mu.subscriptions[sub.id] = sub
	c.mu.resynced = false
	c.mu.Unlock()
	c.work.Go(func() { c.follow(ctx, sub) })
	return nil
}

// badConsumer refuses a new name of a durable subscriber that could mislead readers. "" means that there
// is none.
func (c *stream) badConsumer(name string) error {
	err := tree.CheckName(name)
	if name == "" || err == nil {
		return nil
	}
	if l, no := c.server.live(); no == nil {
		if _, given := l.Consumers().Get(name); given {
			return nil
		}
	}
	return &streamFault{closeBadMessage, "as: " + err.Error()}
}

// drop ends a subscription.
func (c *stream) drop(sub *subscription, resynced bool) {
	sub.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.subscriptions[sub.id] == sub {
		delete(c.mu.subscriptions, sub.id)
		c.mu.resynced = resynced
	}
}

// fault tells the client what is wrong with a subscription.
func (c *stream) fault(id string, err error) {
	p, known := asProblem(err)
	if !known {
		c.server.cfg.Log.Error("stream failed", "err", err)
	}
	detail := p.Detail
	if detail == "" {
		detail = p.Title
	}
	text, _ := json.Marshal(struct { // strings and a boolean
		Op        string `json:"op"`
		ID        string `json:"id"`
		Code      string `json:"code"`
		Message   string `json:"message"`
		Temporary bool   `json:"temporary"`
	}{"error", id, p.Code, detail, p.Temporary()})
	c.send(c.ctx, text)
}

// resync tells the client to start over, if that is what err means; it reports whether it is.
func (c *stream) resync(id string, err error) bool {
	reason, ok := live.IsResync(err)
	if !ok {
		return false
	}
	text, _ := json.Marshal(map[string]string{"op": "resync", "id": id, "reason": reason}) // strings
	c.send(c.ctx, text)
	return true
}

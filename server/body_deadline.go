package server

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// openBodies are the request bodies that are being read. How long the server waits for a body depends on
// how much of it has arrived: a sender that stays below the least rate is cut off once the grace is used
// up. A stream may pause as long as there are free slots; when there are none, all bodies that are too
// slow are cut off.
type openBodies struct {
	timeout time.Duration // for a whole body, and for one read of a stream
	grace   time.Duration
	rate    int64 // the least rate, bytes per second
	mu      struct {
		sync.Mutex
		open map[*timedBody]struct{}
		cut  time.Time // when all bodies were last checked
	}
}

// cutEvery is the shortest time between two checks of all bodies.
const cutEvery = 100 * time.Millisecond

func newOpenBodies(c Config) *openBodies {
	b := &openBodies{timeout: c.BodyTimeout, grace: c.BodyGrace, rate: c.MinBodyRate}
	b.mu.open = map[*timedBody]struct{}{}
	return b
}

// timedBody reads a request's body with deadlines. At the end of the body it removes the deadline, which
// would otherwise end the request's context while the node works. After an error the deadline stays, so
// that the rest of the body is not waited for.
type timedBody struct {
	bodies  *openBodies
	body    io.Reader
	control *http.ResponseController
	rolling bool // of a stream: each read has its own deadline

	mu      sync.Mutex
	waited  time.Duration // for the sender, in total
	since   time.Time     // when the current wait began; zero if there is none
	got     int64         // bytes that have arrived
	ends    time.Time     // the deadline of a whole body
	set     time.Time     // the deadline that is set
	expired bool          // it was cut off: no deadline may be set any more
}

// begin starts to watch a body. The caller must call end before its handler returns.
func (b *openBodies) begin(body io.Reader, control *http.ResponseController, rolling bool) *timedBody {
	p := &timedBody{bodies: b, body: body, control: control, rolling: rolling}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.open[p] = struct{}{}
	return p
}

func (p *timedBody) end() {
	p.bodies.mu.Lock()
	defer p.bodies.mu.Unlock()
	delete(p.bodies.mu.open, p)
}

// Read reads from the body, and fails if the sender is too slow.
func (p *timedBody) Read(b []byte) (int, error) {
	if err := p.wait(time.Now()); err != nil {
		return 0, err
	}
	n, err := p.body.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waited += time.Since(p.since)
	p.since, p.got = time.Time{}, p.got+int64(n)
	if err == io.EOF && !p.expired {
		_ = p.control.SetReadDeadline(time.Time{}) // an error means that the connection is gone
	}
	if err != nil && err != io.EOF && !isTimeout(err) {
		err = &brokenBody{p.got, err}
	}
	return n, err
}

// received returns how many bytes have arrived.
func (p *timedBody) received() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// wait sets the deadline of the next read.
func (p *timedBody) wait(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = now
	deadline := now.Add(p.bodies.timeout)
	if !p.rolling {
		if p.ends.IsZero() {
			p.ends = deadline
		}
		if deadline = now.Add(p.bodies.credit(p.got) - p.waited); deadline.After(p.ends) {
			deadline = p.ends
		}
	}
	if p.expired || deadline.Sub(p.set) <= p.set.Sub(now)/8 {
		return nil // close enough: setting a deadline costs as much as a short read
	}
	p.set = deadline
	// Writers without deadlines (recorders in tests) are used without them.
	if err := p.control.SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// credit returns how long the server may wait in total for a sender that has sent this many bytes.
func (b *openBodies) credit(bytes int64) time.Duration {
	return b.grace + time.Duration(float64(bytes)/float64(b.rate)*float64(time.Second))
}

// cutSlow cuts off every body that is being waited for and is too slow, allowing only a fifth of the
// grace. It returns how many.
func (b *openBodies) cutSlow(now time.Time) (cut int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.mu.cut) < cutEvery {
		return 0
	}
	b.mu.cut = now
	for p := range b.mu.open {
		if p.cutIfSlow(now) {
			cut++
		}
	}
	return cut
}

func (p *timedBody) cutIfSlow(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	waited := p.waited
	if !p.since.IsZero() {
		waited += now.Sub(p.since)
	}
	if p.since.IsZero() || p.expired || waited < p.bodies.credit(p.got)-p.bodies.grace*4/5 {
		return false
	}
	p.expired = true
	return p.control.SetReadDeadline(now) == nil
}

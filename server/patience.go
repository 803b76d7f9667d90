package server

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// senders are those whose bodies are being read now. How long a sender is waited for depends on how much it has sent: whoever
// sends slower than the least rate is cut once the grace is used up. Streams may rest, for as long as there
// is room for others; when there is none, all that are too slow are cut.
type senders struct {
	timeout time.Duration // of a whole body, and of one read of a stream
	grace   time.Duration
	rate    int64 // least, bytes a second
	mu      struct {
		sync.Mutex
		open map[*patientBody]struct{}
		cut  time.Time // the last time that all were looked at
	}
}

// cutEvery is how often it is worth to look at all bodies.
const cutEvery = 100 * time.Millisecond

func newSenders(c Config) *senders {
	b := &senders{timeout: c.BodyTimeout, grace: c.BodyGrace, rate: c.MinBodyRate}
	b.mu.open = map[*patientBody]struct{}{}
	return b
}

// patientBody reads a request's body with deadlines. After the end it lets the connection live on without
// one: the deadline would end the request's context while the node works. After an error the deadline
// stays, or what is left of the body would be waited for.
type patientBody struct {
	all     *senders
	body    io.Reader
	control *http.ResponseController
	rolling bool

	mu      sync.Mutex
	waited  time.Duration // for the sender
	since   time.Time     // while it is being waited for
	got     int64
	ends    time.Time // of a whole body
	set     time.Time // the deadline
	expired bool      // it is to end at once, and no deadline may be set any more
}

// begin begins to wait for a body. end must be called, before the handler returns.
func (b *senders) begin(body io.Reader, control *http.ResponseController, rolling bool) *patientBody {
	p := &patientBody{all: b, body: body, control: control, rolling: rolling}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.open[p] = struct{}{}
	return p
}

func (p *patientBody) end() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	delete(p.all.mu.open, p)
}

// Read reads, and waits no longer than the sender deserves.
func (p *patientBody) Read(b []byte) (int, error) {
	if err := p.wait(time.Now()); err != nil {
		return 0, err
	}
	n, err := p.body.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waited += time.Since(p.since)
	p.since, p.got = time.Time{}, p.got+int64(n)
	if err == io.EOF && !p.expired {
		_ = p.control.SetReadDeadline(time.Time{}) // a connection that is gone needs none
	}
	if err != nil && err != io.EOF && !isTimeout(err) {
		err = &brokenBody{p.got, err}
	}
	return n, err
}

// received returns how many bytes have come.
func (p *patientBody) received() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// wait sets the deadline of the next read.
func (p *patientBody) wait(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = now
	deadline := now.Add(p.all.timeout)
	if !p.rolling {
		if p.ends.IsZero() {
			p.ends = deadline
		}
		if deadline = now.Add(p.all.credit(p.got) - p.waited); deadline.After(p.ends) {
			deadline = p.ends
		}
	}
	if p.expired || deadline.Sub(p.set) <= p.set.Sub(now)/8 {
		return nil // near enough: setting one costs as much as a short read
	}
	p.set = deadline
	// Writers without deadlines (tests with a recorder) are read without them.
	if err := p.control.SetReadDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// credit is how long somebody who has sent so much may have been waited for.
func (b *senders) credit(bytes int64) time.Duration {
	return b.grace + time.Duration(float64(bytes)/float64(b.rate)*float64(time.Second))
}

// cutSlow cuts everybody who is being waited for and sends too slowly, with a fifth of the grace.
func (b *senders) cutSlow(now time.Time) (cut int) {
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

func (p *patientBody) cutIfSlow(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	waited := p.waited
	if !p.since.IsZero() {
		waited += now.Sub(p.since)
	}
	if p.since.IsZero() || p.expired || waited < p.all.credit(p.got)-p.all.grace*4/5 {
		return false
	}
	p.expired = true
	return p.control.SetReadDeadline(now) == nil
}

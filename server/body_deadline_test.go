package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener accepts pipes, whose deadlines follow the clock of a synctest bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { close(l.done); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.IPAddr{} }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

// post sends a body in pieces and returns the status; 0 if the connection ended without an answer.
func (l *pipeListener) post(path string, length int, pieces int, piece string, every time.Duration) int {
	conn := l.dial()
	defer conn.Close()
	answered := make(chan int, 1)
	go func() {
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			answered <- 0
			return
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answered <- answer.StatusCode
	}()
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", path, length); err != nil {
		return <-answered
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for range pieces {
		select {
		case status := <-answered:
			return status
		case <-next.C:
		}
		if _, err := io.WriteString(conn, piece); err != nil {
			break
		}
		next.Reset(every)
	}
	return <-answered
}

func inBubble(t *testing.T, change func(*Config), test func(t *testing.T, l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, &Node{}, change)
		l := &pipeListener{make(chan net.Conn), make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, l, time.Minute) }()
		test(t, l)
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if n := len(s.openBodies.mu.open); n != 0 {
			t.Errorf("%d bodies are still open", n)
		}
	})
}

// TestLeastRate: a body that is slower than the least rate is cut off when the grace is used up; a slow
// one above the rate is read to its end.
func TestLeastRate(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, l *pipeListener) {
		begun := time.Now()
		if status := l.post("/v1/track", 1000, 1000, "x", time.Second); status != http.StatusRequestTimeout {
			t.Errorf("a byte a second: %d", status)
		}
		if took := time.Since(begun); took < 4*time.Second || took > 7*time.Second {
			t.Errorf("it was cut after %v", took)
		}
		begun = time.Now()
		body := strings.Repeat(" ", 20_000-len(oneTrack)) + oneTrack
		if status := l.post("/v1/track", len(body), 1, body[:10_000], 0); status != http.StatusRequestTimeout {
			t.Errorf("half a body: %d", status)
		}
		if took := time.Since(begun); took < 13*time.Second || took > 16*time.Second {
			t.Errorf("half a body was cut off after %v", took)
		}
		begun = time.Now()
		if status := l.post("/v1/track", 2000*11+len(oneTrack), 11, strings.Repeat(" ", 2000), time.Second); status != http.StatusRequestTimeout || time.Since(begun) > 31*time.Second {
			t.Errorf("a body without its end: %d after %v", status, time.Since(begun))
		}
		spaced := strings.Repeat(" ", 1500)
		if status := l.post("/v1/track", 10*(len(spaced)+len(oneTrack)), 10, spaced+oneTrack, time.Second); status != http.StatusBadRequest { // it was read, and ten objects are not JSON
			t.Errorf("a slow body above the rate: %d", status)
		}
	})
}

// TestSlowSendersAreCut: slow senders take all slots, with bodies or streams. A normal sender that
// retries is served soon, and a stream that pauses is left alone while there are free slots.
func TestSlowSendersAreCut(t *testing.T) {
	const slots = 16
	for _, path := range []string{"/v1/track", "/v1/events"} {
		inBubble(t, func(c *Config) { c.MaxIngests, c.MaxInFlight = slots, 1<<30 }, func(t *testing.T, l *pipeListener) {
			slow := make(chan int, slots)
			for range slots {
				go func() { slow <- l.post(path, 1000, 900, "x", time.Second) }()
			}
			synctest.Wait()
			begun, tries := time.Now(), 0
			for ; ; tries++ {
				if status := l.post("/v1/track", len(oneTrack), 1, oneTrack, 0); status == http.StatusOK {
					break
				} else if status != http.StatusTooManyRequests {
					t.Fatalf("%s: a normal sender gets %d", path, status)
				}
				again := time.NewTimer(time.Second) // as Retry-After says
				<-again.C
			}
			if took := time.Since(begun); took > 3*time.Second || tries == 0 {
				t.Errorf("%s: served after %v and %d tries", path, took, tries)
			}
			for range slots {
				if status := <-slow; status != http.StatusRequestTimeout {
					t.Errorf("%s: a slow sender gets %d", path, status)
				}
			}
		})
	}
	inBubble(t, nil, func(t *testing.T, l *pipeListener) {
		begun := time.Now()
		line := oneTrack + "\n"
		if status := l.post("/v1/events", 5*len(line), 5, line, 20*time.Second); status != http.StatusOK || time.Since(begun) < 80*time.Second {
			t.Errorf("a stream that pauses: %d after %v", status, time.Since(begun))
		}
	})
}

package webhook

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// targets are the ways in which the other end of a webhook may behave, each with the expected error of a
// try. Unless noted, a target reads the request first.
var targets = map[string]struct {
	url   string
	error string // part of it; "" for success
	serve func(conn net.Conn)
}{
	"101":                   {"http", "101 Switching Protocols", answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")},
	"101 and a flood":       {"http", "101 Switching Protocols", answerAnd("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", flood("x"))},
	"101 and a trickle":     {"http", "101 Switching Protocols", answerAnd("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", trickle("x"))},
	"199":                   {"http", "no answer within 20s", answer("HTTP/1.1 199 Odd\r\n\r\n")},
	"upgrade with 200":      {"http", "", answer("HTTP/1.1 200 OK\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")},
	"silence":               {"http", "no answer within 20s", silence},
	"does not read":         {"http", "no answer within 20s", func(net.Conn) { <-time.After(time.Hour) }},
	"trickling status":      {"http", "no answer within 20s", answerAnd("", trickle("HTTP/1.1 200 OK and some more\r\n"))},
	"trickling headers":     {"http", "no answer within 20s", answerAnd("HTTP/1.1 200 OK\r\n", trickle("A: b\r\n"))},
	"trickling body":        {"http", "", answerAnd("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", trickle("x"))},
	"body that stops":       {"http", "", answer("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")},
	"failure that trickles": {"http", "500 Oops", answerAnd("HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n", trickle("x"))},
	"endless body":          {"http", "", answerAnd("HTTP/1.1 200 OK\r\n\r\n", flood(strings.Repeat("x", 4096)))},
	"endless chunks":        {"http", "", answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", flood("100\r\n"+strings.Repeat("x", 256)+"\r\n"))},
	"trickling chunks":      {"http", "", answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", trickle("1\r\nx\r\n"))},
	"endless chunk size":    {"http", "", answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", flood("0"))},
	"flood of 100":          {"http", "exceeded", answerAnd("", flood("HTTP/1.1 100 Continue\r\n\r\n"))},
	"trickle of 100":        {"http", "no answer within 20s", answerAnd("", trickle("HTTP/1.1 100 Continue\r\n\r\n"))},
	"trickle of 103":        {"http", "no answer within 20s", answerAnd("", trickle("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"))},
	"HTTP/0.9":              {"http", "malformed", answer("hello\n")},
	"no HTTP":               {"http", "malformed", answerAnd("", flood("\x00\xff\r\n"))},
	"giant header":          {"http", "exceeded", answerAnd("HTTP/1.1 200 OK\r\nA: ", flood(strings.Repeat("x", 4096)))},
	"many headers":          {"http", "exceeded", answerAnd("HTTP/1.1 200 OK\r\n", flood("A: b\r\n"))},
	"redirect":              {"http", "302 Found", answer("HTTP/1.1 302 Found\r\nLocation: /in\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")},
	"closed immediately":    {"http", "Post", func(conn net.Conn) { _ = conn.Close() }},
	"closed after reading":  {"http", "Post", func(conn net.Conn) { readRequest(conn); _ = conn.Close() }},
	"closed in the status":  {"http", "malformed", func(conn net.Conn) { readRequest(conn); _, _ = io.WriteString(conn, "HTTP/1.1 2"); _ = conn.Close() }},
	"silent handshake":      {"https", "handshake timeout", func(conn net.Conn) { drainAll(conn) }},
	"handshake in clear":    {"https", "HTTP response to HTTPS client", func(conn net.Conn) { go drainAll(conn); _, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n") }},
	"trickling handshake":   {"https", "handshake", func(conn net.Conn) { go drainAll(conn); trickle("\x16")(conn) }},
}

func readRequest(conn net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReaderSize(conn, 16)); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func drainAll(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// silence reads and never writes.
func silence(conn net.Conn) { drainAll(conn) }

func answer(text string) func(net.Conn) { return answerAnd(text, drainAll) }

func answerAnd(text string, then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		if _, err := io.WriteString(conn, text); err == nil {
			then(conn)
		}
	}
}

// flood writes until the connection is closed.
func flood(text string) func(net.Conn) {
	return func(conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	}
}

// trickle writes a byte a second.
func trickle(text string) func(net.Conn) {
	return func(conn net.Conn) {
		for i := 0; ; i++ {
			<-time.After(time.Second)
			if _, err := io.WriteString(conn, text[i%len(text):][:1]); err != nil {
				return
			}
		}
	}
}

// dialTarget connects to serve through a pipe.
func dialTarget(serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			serve(far)
		}()
		return near, nil
	}
}

// TestTargets: whatever a target does, a try ends within 20 s with the right result, and nothing else
// waits for it: no call for this hook or another one, and not the end of the process.
func TestTargets(t *testing.T) {
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := newTransport(true)
				transport.DialContext = dialTarget(target.serve)
				feed := newFakeFeed()
				h, err := Open(Config{Feed: feed.open, Transport: transport, Table: &memoryTable{}, Jitter: func(d time.Duration) time.Duration { return d }})
				if err != nil {
					t.Fatal(err)
				}
				hook := Hook{Name: "bad", Segment: "VIP", URL: target.url + "://bad.example/in"}
				put(t, h, hook)
				feed.add("a", "b", "c")
				pass(time.Millisecond)
				nothingWaits(t, h, hook)
				pass(tryTimeout + time.Second)
				tried, _, err := h.Deliveries("bad")
				if err != nil || len(tried) < 3 {
					t.Fatalf("tries: %+v, %v", tried, err)
				}
				for _, try := range tried {
					if try.Took > tryTimeout || target.error == "" != (try.Error == "") || !strings.Contains(try.Error, target.error) {
						t.Errorf("%+v, want %q", try, target.error)
					}
				}
				started := time.Now()
				feed.add("d") // is still being tried when the hooks are closed
				pass(time.Millisecond)
				closeTest(t, h)
				if took := time.Since(started); took > 100*time.Millisecond {
					t.Errorf("closing took %v", took)
				}
				pass(2 * time.Hour) // the targets see the end of their connections
			})
		})
	}
}

// nothingWaits calls every method of Hooks while tries are running, and checks that none of them waits.
func nothingWaits(t *testing.T, h *Hooks, bad Hook) {
	t.Helper()
	for what, do := range map[string]func() error{
		"list":       func() error { h.All(); return nil },
		"get":        func() error { _, err := h.Get("bad"); return err },
		"deliveries": func() error { _, _, err := h.Deliveries("bad"); return err },
		"put": func() error {
			_, err := h.Put(t.Context(), Hook{Name: "other", Segment: "VIP", URL: "http://other.example"})
			return err
		},
		"change": func() error { _, err := h.Put(t.Context(), bad); return err },
		"replay": func() error { return h.Replay(t.Context(), "bad", "0") },
		"delete": func() error {
			if _, err := h.Put(t.Context(), Hook{Name: "second", Segment: "VIP", URL: bad.URL}); err != nil {
				return err
			}
			if err := h.Replay(t.Context(), "second", "0"); err != nil {
				return err
			}
			synctest.Wait() // its tries are running
			return h.Delete(t.Context(), "second")
		},
	} {
		started := time.Now()
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(started); took > 0 {
			t.Errorf("%s waited for %v", what, took)
		}
	}
}

// TestSilentKeptConnection: the target answers once, and then never again on the connection that is kept.
func TestSilentKeptConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := newTransport(true)
		transport.DialContext = dialTarget(func(conn net.Conn) {
			readRequest(conn)
			if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err == nil {
				drainAll(conn)
			}
		})
		feed := newFakeFeed()
		h, err := Open(Config{Feed: feed.open, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		put(t, h, Hook{})
		for i := range 3 {
			feed.add(fmt.Sprint("p", i))
			pass(tryTimeout + time.Second)
		}
		tried, _, _ := h.Deliveries("crm")
		for _, try := range tried {
			if try.Took > tryTimeout {
				t.Errorf("%+v", try)
			}
		}
		if len(tried) < 3 {
			t.Errorf("tries: %+v", tried)
		}
		closeTest(t, h)
	})
}

// stuckTable is a Table whose writes hang until free is closed.
type stuckTable struct {
	memoryTable
	free atomic.Pointer[chan struct{}]
}

// Put implements Table.
func (s *stuckTable) Put(values map[string][]byte) error {
	if free := s.free.Load(); free != nil {
		<-*free
	}
	return s.memoryTable.Put(values)
}

// TestStuckTables: while the disk or the other nodes hang, hooks can be read, a change gives up when its
// context ends, and so does Close.
func TestStuckTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, own := range []bool{true, false} {
			stuck, free := &stuckTable{}, make(chan struct{})
			feed := newFakeFeed()
			config := Config{Feed: feed.open, Transport: &fakeTarget{}, Table: &memoryTable{}, Shared: stuck}
			if own {
				config.Table, config.Shared = stuck, &memoryTable{}
			}
			h, err := Open(config)
			if err != nil {
				t.Fatal(err)
			}
			put(t, h, Hook{})
			stuck.free.Store(&free)
			feed.add("a", "b")
			pass(10 * time.Second) // the write hangs
			started := time.Now()
			if all := h.All(); len(all) != 1 || all[0].Delivered != 2 {
				t.Errorf("%+v", all)
			}
			if _, err := h.Get("crm"); err != nil {
				t.Error(err)
			}
			if took := time.Since(started); took > 0 {
				t.Errorf("reading waited for %v", took)
			}
			if !own {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				if err := h.Delete(ctx, "crm"); err == nil {
					t.Error("deleted while nothing can be written")
				}
				cancel()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := h.Close(ctx); err == nil {
				t.Error("closed while nothing can be written")
			}
			cancel()
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("all of it took %v", took)
			}
			close(free)
			synctest.Wait()
		}
	})
}

// TestChangesAfterClose: after Close, changes return ErrClosed.
func TestChangesAfterClose(t *testing.T) {
	h := openTest(t, newFakeFeed(), &fakeTarget{}, nil)
	closeTest(t, h)
	if _, err := h.Put(t.Context(), Hook{Name: "x", URL: "https://x.example"}); err != ErrClosed {
		t.Errorf("put: %v", err)
	}
	if err := h.Delete(t.Context(), "x"); err != ErrClosed {
		t.Errorf("delete: %v", err)
	}
}

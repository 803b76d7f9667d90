package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/musterdb/muster/api/codes"
)

// script is what a server does with each connection: it sends messages, and records the commands it receives.
type script struct {
	t        *testing.T
	mu       sync.Mutex
	received []StreamCommand
	say      []func(c *connection)
}

// connection is one connection of a script.
type connection struct {
	*websocket.Conn
	s *script
}

// hear reads the next command.
func (c *connection) hear() (command StreamCommand) {
	if err := c.ReadJSON(&command); err != nil {
		return StreamCommand{Op: "gone"}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.received = append(c.s.received, command)
	return command
}

func (c *connection) send(messages ...StreamMessage) {
	for i := range messages {
		if err := c.WriteJSON(&messages[i]); err != nil {
			return
		}
	}
}

// commands returns the commands the server received so far, as text.
func (s *script) commands() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, c := range s.received {
		all = append(all, strings.TrimRight(fmt.Sprint(c.Op, " ", c.From, c.Cursor, c.As, " ", c.Credit+c.N), " 0"))
	}
	return strings.Join(all, ", ")
}

func play(t *testing.T, say ...func(c *connection)) (*Client, *script) {
	s := &script{t: t, say: say}
	upgrader := websocket.Upgrader{Subprotocols: []string{"muster.v1"}}
	client, _ := serve(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/stream" || r.Header.Get("Authorization") != "Bearer k" || int(n) > len(say) {
			t.Errorf("connection %d: %s", n, r.URL)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		c := &connection{conn, s}
		if got := c.hear(); got.Op != "subscribe" || got.Segment != "s" {
			t.Errorf("connection %d begins with %+v", n, got)
		}
		say[n-1](c)
	})
	return client, s
}

var errEnough = errors.New("enough")

// watch watches until fn was called most times, and returns the messages as text.
func watch(t *testing.T, client *Client, w WatchOptions, most int) (heard []string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.Segment = "s"
	err = client.Watch(ctx, w, func(m *StreamMessage) error {
		line := m.Op + " " + m.Profile
		for _, p := range m.Profiles {
			line += p.Profile
		}
		if heard = append(heard, strings.TrimSpace(line)); len(heard) == most {
			return errEnough
		}
		return nil
	})
	return heard, err
}

func enter(who, cursor string) StreamMessage {
	return StreamMessage{Op: "enter", Profile: who, Cursor: cursor}
}

// TestWatchContinues checks that Watch continues from the last handled cursor after a break, and from a
// snapshot after a resync.
func TestWatchContinues(t *testing.T) {
	var why []error
	client, s := play(t,
		func(c *connection) {
			c.send(StreamMessage{Op: "hello", HeartbeatMS: 1000}, StreamMessage{Op: "members", Profiles: []StreamMember{{Profile: "a"}, {Profile: "b"}}, More: true, Cursor: "c1"}, enter("c", "c2"))
		},
		func(c *connection) {
			c.send(enter("d", "c3"), StreamMessage{Op: "error", Code: codes.Unavailable, Message: "soon", Temporary: true})
		},
		func(c *connection) { c.send(StreamMessage{Op: "resync", Reason: "too far back"}); c.hear() },
		func(c *connection) { c.send(enter("e", "c9")); c.hear() },
	)
	heard, err := watch(t, client, WatchOptions{From: "snapshot", Retrying: func(err error) { why = append(why, err) }}, 5)
	if !errors.Is(err, errEnough) || strings.Join(heard, ", ") != "members ab, enter c, enter d, resync, enter e" {
		t.Errorf("%v, %v", heard, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var from []string
	for _, c := range s.received {
		if c.Op == "subscribe" {
			from = append(from, c.From)
		}
	}
	if want := []string{"snapshot", "c2", "c3", "snapshot"}; !slices.Equal(from, want) {
		t.Errorf("subscribed from %v, want %v", from, want)
	}
	if len(why) != 2 || why[1].Error() != "soon" { // a resync is not a failure
		t.Errorf("retrying because %v", why)
	}
}

// TestWatchGivesCredit checks that handled profiles are given back as credit, half a window at a time, a page
// counts its profiles, and other messages cost nothing.
func TestWatchGivesCredit(t *testing.T) {
	client, s := play(t, func(c *connection) {
		c.send(enter("a", "1"))
		c.send(StreamMessage{Op: "checkpoint", Cursor: "2"})
		c.send(StreamMessage{Op: "members", Profiles: make([]StreamMember, 3), Cursor: "3"}) // 4 of 8
		c.hear()
		c.send(StreamMessage{Op: "members", Profiles: make([]StreamMember, 9), Cursor: "4"}) // more than all
		c.hear()
		c.send(StreamMessage{Op: "exit", Profile: "a", Cursor: "5"})
		c.hear()
	})
	if _, err := watch(t, client, WatchOptions{From: "now", Window: 8}, 5); !errors.Is(err, errEnough) {
		t.Error(err)
	}
	if got, want := s.commands(), "subscribe now 8, credit  4, credit  9"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWatchAcknowledges checks that a durable subscriber starts where it has acknowledged, and acknowledges
// what fn handled.
func TestWatchAcknowledges(t *testing.T) {
	client, s := play(t, func(c *connection) {
		c.send(enter("a", "1"))
		c.hear()
		c.send(enter("b", "2"), StreamMessage{Op: "checkpoint", Cursor: "3"})
		c.hear()
		c.send(enter("c", "4"))
		c.hear()
	})
	if _, err := watch(t, client, WatchOptions{As: "me"}, 4); !errors.Is(err, errEnough) {
		t.Error(err)
	}
	if got, want := s.commands(), "subscribe ackedme 1, ack 1, ack 3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWatchEnds checks that Watch ends on a permanent error in the stream, at its end or in the handshake.
func TestWatchEnds(t *testing.T) {
	close := func(code int) func(c *connection) {
		return func(c *connection) {
			_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, "because"), time.Now().Add(time.Minute))
			c.hear()
		}
	}
	enough := func(c *connection) { c.send(enter("a", "1")); c.hear() }
	var p *Problem
	client, _ := play(t, func(c *connection) {
		c.send(StreamMessage{Op: "error", Code: codes.NoSegment, Message: "none"})
		c.hear()
	})
	if _, err := watch(t, client, WatchOptions{}, 1); !errors.As(err, &p) || p.Code != codes.NoSegment || p.Title != "none" {
		t.Errorf("an error of the stream: %v", err)
	}
	for code, final := range map[int]bool{4400: true, 4401: true, 4499: true, 4408: false, 4410: false, 1001: false, 4399: false} {
		client, _ := play(t, close(code), enough)
		_, err := watch(t, client, WatchOptions{}, 1)
		if final && (errors.Is(err, errEnough) || !strings.Contains(err.Error(), "because")) || !final && !errors.Is(err, errEnough) {
			t.Errorf("closed with %d: %v", code, err)
		}
	}
	for status, final := range map[int]bool{400: true, 403: true, 404: true, 429: false, 503: false, 500: false} {
		client, asked := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n == 2 {
				status = 410
			}
			problem(w, Problem{Status: status, Code: "c"})
		})
		wanted := map[bool]int64{true: 1, false: 2}[final]
		if _, err := watch(t, client, WatchOptions{}, 1); !errors.As(err, &p) || asked.Load() != wanted {
			t.Errorf("refused: %v after %d tries, not %d", err, asked.Load(), wanted)
		}
	}
}

// TestWatchIsCanceled cancels a Watch while it is connected, and while it waits to reconnect.
func TestWatchIsCanceled(t *testing.T) {
	for _, connected := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		client, _ := play(t, func(c *connection) {
			if connected {
				cancel()
				c.hear()
			}
		})
		err := client.Watch(ctx, WatchOptions{Segment: "s", Retrying: func(error) { cancel() }}, func(*StreamMessage) error { return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("connected %t: %v", connected, err)
		}
	}
}

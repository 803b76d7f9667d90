package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/streamcheck"
	"github.com/musterdb/muster/live"
)

// dial opens a stream and reads its hello.
func dial(t testing.TB, url string, header http.Header) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"muster.v1"}}
	conn, answer, err := d.Dial("ws"+strings.TrimPrefix(url, "http")+"/v1/stream", header)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, answer)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if m := hear(t, conn); m.Op != "hello" || m.HeartbeatMS == 0 || m.Version == "" || conn.Subprotocol() != "muster.v1" {
		t.Fatalf("first: %+v in %q", m, conn.Subprotocol())
	}
	return conn
}

func say(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t testing.TB, conn *websocket.Conn) api.StreamMessage {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var m api.StreamMessage
	if err := conn.ReadJSON(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestStream: members, then changes, each as docs/API.md promises, and none beyond the credit.
func TestStream(t *testing.T) {
	f := newFakeLive(t, 2, nil)
	_, h := newLiveServer(t, f, func(c *Config) { c.Heartbeat = 50 * time.Millisecond })
	f.flip(0, 1, 2, 3)
	conn := dial(t, h.URL, nil)
	say(t, conn, `{"op":"subscribe","id":"s1","segment":"VIP","from":"snapshot","fields":["email"]}`)
	say(t, conn, `{"op":"credit","id":"s1","n":2}`)
	m := hear(t, conn)
	if m.Op != "members" || m.ID != "s1" || len(m.Profiles) != 2 || !m.More || m.Cursor == "" || m.Profiles[0].Profile != "u0-1" || m.Profiles[0].Fields["email"] != "email of u0-1" {
		t.Fatalf("%+v", m)
	}
	say(t, conn, `{"op":"credit","id":"s1","n":3}`)
	if m = hear(t, conn); m.Op != "members" || len(m.Profiles) != 1 || m.More {
		t.Fatalf("%+v", m)
	}
	f.flip(0, 1, 9)
	f.flip(0, 10)
	got := []api.StreamMessage{}
	for len(got) < 2 {
		if m = hear(t, conn); m.Op != "checkpoint" {
			got = append(got, m)
		}
	}
	exit, enter := got[0], got[1]
	if exit.Op != "exit" || exit.Profile != "u0-1" || exit.Segment != "VIP" || exit.Cause != "event" || exit.At == "" || enter.Op != "enter" || enter.Profile != "u0-9" || enter.Fields["email"] != "email of u0-9" {
		t.Fatalf("%+v %+v", exit, enter)
	}
	// There is no credit left; another connection continues from the cursor of the exit.
	other := dial(t, h.URL, nil)
	say(t, other, fmt.Sprintf(`{"op":"subscribe","id":"x","segment":"VIP","from":%q,"credit":5}`, exit.Cursor))
	for _, want := range []string{"u0-9", "u0-10"} {
		if m := hear(t, other); m.Op != "enter" || m.Profile != want {
			t.Fatalf("%+v, want %s", m, want)
		}
	}
	if m := hear(t, other); m.Op != "checkpoint" || m.Cursor == "" {
		t.Errorf("idle: %+v", m)
	}
	say(t, conn, `{"op":"subscribe","id":"s2","segment":"no such","from":"now"}`)
	if m = hear(t, conn); m.Op != "error" || m.ID != "s2" || m.Code != "no_segment" || m.Temporary {
		t.Errorf("%+v", m)
	}
	say(t, conn, `{"op":"credit","id":"s1","n":1}`)
	if m = hear(t, conn); m.Op != "enter" || m.Profile != "u0-10" {
		t.Errorf("%+v", m)
	}
}

// TestStreamCloses: each mistake of a client has its close code.
func TestStreamCloses(t *testing.T) {
	f := newFakeLive(t, 1, nil)
	s, h := newLiveServer(t, f, nil)
	code := func(conn *websocket.Conn) int {
		t.Helper()
		for {
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			var closed *websocket.CloseError
			if _, _, err := conn.ReadMessage(); errors.As(err, &closed) {
				return closed.Code
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		texts []string
		want  int
	}{
		{[]string{"{"}, 4400},
		{[]string{`{"op":"dance","id":"s"}`}, 4400},
		{[]string{`{"op":"credit","id":"s","n":-1}`}, 4400},
		{[]string{`{"op":"subscribe","segment":"VIP"}`}, 4400},
		{[]string{`{"op":"subscribe","id":"s","segment":"VIP","from":"acked"}`}, 4400},
		{[]string{`{"op":"ack","id":"s","cursor":"x"}`}, 4400},
		{[]string{`{"op":"subscribe","id":"s","segment":"VIP"}`, `{"op":"subscribe","id":"s","segment":"VIP"}`}, 4409},
		{[]string{strings.Repeat(" ", 70_000)}, 4400},
	} {
		conn := dial(t, h.URL, nil)
		for _, text := range c.texts {
			say(t, conn, text)
		}
		if got := code(conn); got != c.want {
			t.Errorf("%.60q: closed with %d, want %d", c.texts, got, c.want)
		}
	}
	conn := dial(t, h.URL, nil)
	say(t, conn, `{"op":"subscribe","id":"s","segment":"VIP"}`)
	s.streams.end()
	if got := code(conn); got != 1012 {
		t.Errorf("stopping: closed with %d", got)
	}
	if err := s.streams.wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStreamSilence: a client that answers no ping is disconnected.
func TestStreamSilence(t *testing.T) {
	f := newFakeLive(t, 1, nil)
	_, h := newLiveServer(t, f, func(c *Config) { c.Heartbeat = 10 * time.Millisecond })
	conn := dial(t, h.URL, nil)
	pings := make(chan struct{}, 1000)
	conn.SetPingHandler(func(string) error { pings <- struct{}{}; return nil }) // and no pong
	var closed *websocket.CloseError
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, _, err := conn.ReadMessage(); !errors.As(err, &closed) || closed.Code != 4408 {
		t.Errorf("ended with %v", err)
	}
	if len(pings) == 0 {
		t.Error("no ping")
	}
}

// TestStreamOrigin: pages of other sites are refused.
func TestStreamOrigin(t *testing.T) {
	f := newFakeLive(t, 1, nil)
	_, h := newLiveServer(t, f, func(c *Config) { c.Origins = []string{"https://shop.example"} })
	dial(t, h.URL, http.Header{"Origin": {h.URL}})
	dial(t, h.URL, http.Header{"Origin": {"https://shop.example"}})
	_, answer, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(h.URL, "http")+"/v1/stream", http.Header{"Origin": {"https://evil.example"}})
	if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("%v %v", answer, err)
	}
}

// TestWatchers: clients that are cut off at random get every change once, in order, and end with the
// right members.
func TestWatchers(t *testing.T) {
	for seed := range uint64(3) {
		f := newFakeLive(t, 3, nil)
		_, h := newLiveServer(t, f, func(c *Config) { c.Heartbeat = 20 * time.Millisecond })
		r := rand.New(rand.NewPCG(seed, 1))
		for range 30 {
			f.random(r, 200)
		}
		cutter := newCutter(t, h.Listener.Addr().String())
		var done atomic.Bool
		var watchers sync.WaitGroup
		for i := range 4 {
			watchers.Go(func() { watchUntilEqual(t, f, "http://"+cutter.addr(), i, &done) })
		}
		for range 200 {
			f.random(r, 20)
			if r.IntN(20) == 0 {
				cutter.cut()
			}
			runtime.Gosched()
		}
		done.Store(true)
		f.flip(0, 1)
		watchers.Wait()
		cutter.close()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func watchUntilEqual(t *testing.T, f *fakeLive, url string, i int, done *atomic.Bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var checker streamcheck.Checker
	caught := errors.New("caught up")
	w := api.WatchOptions{Segment: "VIP", From: "snapshot", Window: int64(1 + i*100)}
	client := &api.Client{BaseURL: url}
	paging := false
	err := client.Watch(ctx, w, func(m *api.StreamMessage) error {
		if paging {
			checker.Reconnected() // the connection may have been cut; the checker then expects less
		}
		checker.Take(m)
		paging = m.Op == "members" && m.More
		if m.Op == "checkpoint" && done.Load() && checker.Size() == len(f.list()) {
			return caught
		}
		return nil
	})
	if !errors.Is(err, caught) {
		t.Errorf("watcher %d: %v, %d of %d", i, err, checker.Size(), len(f.list()))
	}
	if err := streamcheck.Error(checker.End(f.list())); err != nil {
		t.Errorf("watcher %d: %v", i, err)
	}
}

// cutter is a proxy whose connections can be cut.
type cutter struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	work     sync.WaitGroup
}

func newCutter(t testing.TB, to string) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l}
	c.work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			pipe := func(a, b net.Conn) {
				_, _ = io.Copy(a, b)
				_ = a.Close()
				_ = b.Close()
			}
			c.work.Go(func() { pipe(in, out) })
			c.work.Go(func() { pipe(out, in) })
		}
	})
	return c
}

func (c *cutter) addr() string { return c.listener.Addr().String() }

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func (c *cutter) close() {
	_ = c.listener.Close()
	c.cut()
	c.work.Wait()
}

// TestDurable: a durable subscriber continues from its acknowledged cursor, on another connection.
func TestDurable(t *testing.T) {
	f := newFakeLive(t, 1, nil)
	s, h := newLiveServer(t, f, nil)
	conn := dial(t, h.URL, nil)
	say(t, conn, `{"op":"subscribe","id":"s","segment":"VIP","from":"acked","as":"crm","credit":100}`)
	if m := hear(t, conn); m.Op != "members" || m.More {
		t.Fatalf("a new subscriber begins with %+v", m)
	}
	f.flip(0, 1)
	first := hear(t, conn)
	f.flip(0, 2)
	hear(t, conn)
	say(t, conn, fmt.Sprintf(`{"op":"ack","id":"s","cursor":%q}`, first.Cursor))
	say(t, conn, `{"op":"ack","id":"none","cursor":"`+first.Cursor+`"}`)
	say(t, conn, `{"op":"subscribe","id":"bad","segment":"none"}`)
	if m := hear(t, conn); m.Op != "error" { // all earlier commands have been handled
		t.Fatalf("%+v", m)
	}
	again := dial(t, h.URL, nil)
	say(t, again, `{"op":"subscribe","id":"s","segment":"VIP","from":"acked","as":"crm","credit":100}`)
	if m := hear(t, again); m.Op != "enter" || m.Profile != "u0-2" {
		t.Errorf("%+v", m)
	}
	var list api.Consumers
	if err := json.Unmarshal(ask(s, "GET", "/v1/consumers", nil).Body.Bytes(), &list); err != nil || len(list.Consumers) != 1 || list.Consumers[0].Name != "crm" || list.Consumers[0].Cursor != first.Cursor {
		t.Errorf("%+v %v", list, err)
	}
	if w := ask(s, "DELETE", "/v1/consumers/crm", nil); w.Code != 204 {
		t.Errorf("%d", w.Code)
	}
	problemOf(t, ask(s, "DELETE", "/v1/consumers/crm", nil), 404, "no_consumer")
}

// TestPolling: changes as JSON, in pages, with waiting, and in every format.
func TestPolling(t *testing.T) {
	f := newFakeLive(t, 1, func(c *live.Config) { c.BlockBytes, c.MemoryBytes = 1<<10, 4<<10 })
	s, _ := newLiveServer(t, f, nil)
	get := func(query string) (out api.Changes) {
		t.Helper()
		w := ask(s, "GET", "/v1/segments/VIP/changes?"+query, nil)
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return out
	}
	start := get("wait=0s").Cursor
	f.flip(0, 1, 2, 3)
	page := get("limit=2&after=" + start)
	if len(page.Changes) != 2 || !page.More || page.Changes[0]["op"] != "enter" || page.Changes[1]["profile"] != "u0-2" {
		t.Errorf("%+v", page)
	}
	if page = get("limit=2&wait=10s&after=" + page.Cursor); len(page.Changes) != 1 || page.More {
		t.Errorf("%+v", page)
	}
	waited := make(chan api.Changes)
	go func() { waited <- get("wait=20s&after=" + page.Cursor) }()
	f.flip(0, 1)
	if got := <-waited; len(got.Changes) != 1 || got.Changes[0]["op"] != "exit" {
		t.Errorf("%+v", got)
	}
	for format, want := range map[string]string{
		"segment-track":    `"event":"Audience Entered"`,
		"segment-identify": `"traits":{"vip":true,"email":"email of u0-1"}`,
		"cloudevent":       `"type":"muster.segment.enter"`,
		"cohort-batch":     `{"user_ids":["u0-2","u0-3"],"device_ids":[],"aliases":[],"should_remove":false},{"user_ids":["u0-1"],"device_ids":[],"aliases":[],"should_remove":true}`,
		"native":           `"fields":{"email":"email of u0-1"}`,
	} {
		w := ask(s, "GET", "/v1/segments/VIP/changes?fields=email&format="+format+"&after="+start, nil)
		if !json.Valid(w.Body.Bytes()) || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", format, w.Body)
		}
	}
	problemOf(t, ask(s, "GET", "/v1/segments/VIP/changes?after=x", nil), 400, "bad_request")
	problemOf(t, ask(s, "GET", "/v1/segments/VIP/changes?format=x", nil), 400, "bad_request")
	problemOf(t, ask(s, "GET", "/v1/segments/none/changes", nil), 404, "no_segment")
	for i := range uint32(300) {
		f.flip(0, i, i+1000, i+2000)
	}
	problemOf(t, ask(s, "GET", "/v1/segments/VIP/changes?after="+start, nil), 410, "resync")
}

// TestServerSentEvents: server-sent events, resumed with Last-Event-ID.
func TestServerSentEvents(t *testing.T) {
	f := newFakeLive(t, 2, nil)
	_, h := newLiveServer(t, f, func(c *Config) { c.Heartbeat = 20 * time.Millisecond })
	open := func(query, last string) *bufio.Reader {
		t.Helper()
		request, _ := http.NewRequestWithContext(t.Context(), "GET", h.URL+"/v1/segments/VIP/changes"+query, nil)
		request.Header.Set("Accept", "text/event-stream")
		if last != "" {
			request.Header.Set("Last-Event-ID", last)
		}
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%v %v", answer, err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		return bufio.NewReader(answer.Body)
	}
	// next reads to the next event with data and returns the last id before it.
	next := func(from *bufio.Reader) (id string, m api.StreamMessage) {
		t.Helper()
		for {
			line, err := from.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := strings.CutPrefix(line, "id: "); ok {
				id = strings.TrimSpace(text)
			}
			if text, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(text), &m); err != nil {
					t.Fatal(err)
				}
				return id, m
			}
		}
	}
	f.flip(0, 5)
	events := open("?from=snapshot", "")
	if id, m := next(events); id == "" || m.Op != "members" || len(m.Profiles) != 1 {
		t.Fatalf("%q %+v", id, m)
	}
	f.flip(1, 1)
	id, m := next(events)
	if m.Op != "enter" || m.Profile != "u1-1" || id != m.Cursor {
		t.Errorf("%q %+v", id, m)
	}
	f.flip(1, 2, 3)
	again := open("?from=snapshot", id)
	for _, want := range []string{"u1-2", "u1-3"} {
		if _, m := next(again); m.Profile != want {
			t.Errorf("%+v, want %s", m, want)
		}
	}
	for range 3 { // heartbeats are comments
		if line, err := again.ReadString('\n'); err != nil || strings.HasPrefix(line, "data") {
			t.Errorf("%q %v", line, err)
		}
	}
}

// TestSegmentStats: the size, enters and exits of a segment over time.
func TestSegmentStats(t *testing.T) {
	f := newFakeLive(t, 1, nil)
	s, _ := newLiveServer(t, f, nil)
	f.flip(0, 1, 2)
	f.flip(0, 2, 3)
	w := ask(s, "GET", "/v1/segments/VIP/stats?from="+at.Format(time.RFC3339)+"&to="+at.Add(time.Minute).Format(time.RFC3339)+"&step=15ms", nil)
	var got api.SegmentStats
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err, w.Body)
	}
	if got.Size != 2 || len(got.Steps) != 4000 || got.Steps[0].Enters != 2 || got.Steps[0].Size != 2 || got.Steps[1].Enters != 1 || got.Steps[1].Exits != 1 || got.Steps[3999].Size != 2 {
		t.Errorf("%+v", got.Steps[:3])
	}
}

// TestStalledStreams: clients that do not read take bounded memory, and do not delay changes for a client
// that reads.
func TestStalledStreams(t *testing.T) {
	const clients = 300
	f := newFakeLive(t, 2, nil)
	_, h := newLiveServer(t, f, func(c *Config) { c.StreamTimeout = time.Minute })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range clients {
		conn := dial(t, h.URL, nil)
		say(t, conn, `{"op":"subscribe","id":"s","segment":"VIP","credit":1000000000}`)
	}
	reader := dial(t, h.URL, nil)
	say(t, reader, `{"op":"subscribe","id":"s","segment":"VIP","credit":1000000000}`)
	say(t, reader, `{"op":"subscribe","id":"bad","segment":"none"}`)
	if m := hear(t, reader); m.Op != "error" { // the first subscription has begun
		t.Fatalf("%+v", m)
	}
	r := rand.New(rand.NewPCG(1, 1))
	started := time.Now()
	f.flip(0, 1)
	for m := hear(t, reader); m.Op != "enter" && m.Op != "exit"; m = hear(t, reader) {
	}
	for range 100 {
		f.random(r, 100)
	}
	took := time.Since(started)
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d stalled clients: %d KiB each, both ends; %v", clients, grown/clients>>10, took)
	if grown > clients*128<<10+32<<20 {
		t.Errorf("%d bytes for %d stalled clients", grown, clients)
	}
}

package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
)

// serve runs a server on a loopback port until the test ends.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener, 5*time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// TestSlowBody: a body that does not arrive is given up, and its bytes in flight are released.
func TestSlowBody(t *testing.T) {
	s := newTestServer(t, &Node{}, func(c *Config) { c.BodyTimeout = 50 * time.Millisecond })
	addr := serve(t, s)
	for _, path := range []string{"/v1/track", "/v1/events"} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"type\":", path)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%s: %s", path, answer.Status)
		}
		answer.Body.Close()
		conn.Close()
	}
	if held := s.inFlight.used.Load(); held != 0 {
		t.Errorf("%d bytes in flight", held)
	}
}

// TestRefusedSlowBody: a request that is refused before its body is read gets its answer in time, also if
// the body does not arrive, and the connection is closed.
func TestRefusedSlowBody(t *testing.T) {
	s := newTestServer(t, &Node{}, func(c *Config) { c.BodyTimeout = 50 * time.Millisecond })
	for range cap(s.ingests) {
		s.ingests <- struct{}{}
	}
	conn, err := net.Dial("tcp", serve(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("answered %s", answer.Status)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Error(err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v, want the end of the connection", err)
	}
}

// TestSlowNode: the deadline of the body does not end a request whose node takes longer.
func TestSlowNode(t *testing.T) {
	fake := &fakeIngester{}
	fake.ingest = func(ctx context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
			return fake.keep(m), nil
		}
	}
	addr := serve(t, newTestServer(t, &Node{Ingest: fake}, func(c *Config) { c.BodyTimeout = 50 * time.Millisecond }))
	for _, path := range []string{"/v1/track", "/v1/events"} {
		answer, err := http.Post("http://"+addr+path, "text/plain", strings.NewReader(oneTrack))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

// TestGone: when the client goes away, the node's work is cancelled.
func TestGone(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	fake := &Node{Query: fakeAsker{func(ctx context.Context, _ node.Ask) (*query.Answer, error) {
		close(begun)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}}}
	addr := serve(t, newTestServer(t, fake, nil))
	ctx, cancel := context.WithCancel(context.Background())
	client := api.Client{BaseURL: "http://" + addr}
	go func() {
		<-begun
		cancel()
	}()
	if _, err := client.Query(ctx, api.QueryRequest{Query: "count"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-ended
}

// TestBombStream: a small body that inflates without end is stopped by the limit of a line.
func TestBombStream(t *testing.T) {
	reader, writer := io.Pipe()
	go func() {
		z := gzip.NewWriter(writer)
		zeros := make([]byte, 1<<20)
		for range 64 {
			if _, err := z.Write(zeros); err != nil {
				break
			}
		}
		writer.CloseWithError(z.Close())
	}()
	s := newTestServer(t, &Node{}, func(c *Config) { c.MaxInflation = 10_000 })
	got := resultOf(t, ask(s, "POST", "/v1/events", reader, "Content-Encoding", "gzip"))
	if shortResult(got) != "{0 0 1 [{1 too_large}]}" {
		t.Errorf("%+v", got)
	}
}

// TestPanic: a panic in a handler is answered as an internal error, and the server continues.
func TestPanic(t *testing.T) {
	fake := &Node{Query: fakeAsker{func(context.Context, node.Ask) (*query.Answer, error) { panic("oops") }}}
	var logged bytes.Buffer
	s := newTestServer(t, fake, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&logged, nil)) })
	p := problemOf(t, ask(s, "POST", "/v1/query", text(`{"query":"count"}`)), 500, "internal")
	if strings.Contains(p.Detail, "oops") || !strings.Contains(logged.String(), "oops") {
		t.Errorf("answered %q, logged %q", p.Detail, logged.String())
	}
	if w := ask(s, "GET", "/healthz", nil); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// TestBrokenAnswer: the connection is cut if an answer fails after it has begun.
func TestBrokenAnswer(t *testing.T) {
	fake := &Node{Segments: segmentsOf(node.SegmentText{Name: "VIP"}), Members: &fakeMembers{func(_, _ string, _ int, fn func(id, position string) bool) (query.Stats, error) {
		for i := range 20_000 {
			fn(fmt.Sprintf("user-%d", i), "")
		}
		return query.Stats{}, errors.New("shard 3 fell over")
	}}}
	addr := serve(t, newTestServer(t, fake, nil))
	request, err := http.NewRequest("GET", "http://"+addr+"/v1/segments/VIP/members", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/csv")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Error("half an answer looks complete")
	}
}

// TestSlots: requests beyond the slots are refused immediately; health checks always answer.
func TestSlots(t *testing.T) {
	begun, resume := make(chan struct{}), make(chan struct{})
	fake := &Node{Query: fakeAsker{func(context.Context, node.Ask) (*query.Answer, error) {
		begun <- struct{}{}
		<-resume
		return fullAnswer(), nil
	}}}
	s := newTestServer(t, fake, func(c *Config) { c.MaxRequests = 1 })
	done := make(chan int)
	go func() { done <- ask(s, "POST", "/v1/query", text(`{"query":"count"}`)).Code }()
	<-begun
	problemOf(t, ask(s, "GET", "/v1/segments", nil), 503, "overloaded")
	if w := ask(s, "GET", "/healthz", nil); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	if w := ask(s, "POST", "/v1/track", text(oneTrack)); w.Code != 200 {
		t.Errorf("ingest: %d", w.Code)
	}
	close(resume)
	if code := <-done; code != 200 {
		t.Errorf("%d", code)
	}
	if w := ask(s, "GET", "/v1/segments", nil); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

func TestReady(t *testing.T) {
	s := newTestServer(t, nil, nil)
	if w := ask(s, "GET", "/readyz", nil); w.Code != 503 || !strings.Contains(w.Body.String(), `"reason":"opening"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET", "/healthz", nil); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	for _, path := range []string{"/v1/segments", "/v1/lists", "/v1/catalog", "/v1/profiles/u1"} {
		problemOf(t, ask(s, "GET", path, nil), 503, "not_ready")
	}
	s.Attach(withFakes(Node{Health: fakeHealth{fullStatus()}}))
	if w := ask(s, "GET", "/readyz", nil); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	metrics := ask(s, "GET", "/metrics", nil).Body.String()
	for _, line := range []string{"muster_ready 1", `muster_memory_bytes{structure="columns"} 15`, "muster_node_duplicates_total 12", `muster_shard_settled_lag_seconds{shard="1"} 0.5`, `muster_http_requests_total{route="/readyz",status="503"} 1`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s in\n%s", line, metrics)
		}
	}
	if w := ask(s, "GET", "/", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "3 profiles") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestHosts(t *testing.T) {
	s := newTestServer(t, &Node{Health: fakeHealth{fullStatus()}}, func(c *Config) { c.LocalOnly, c.Hosts = true, []string{"muster.internal"} })
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8484/healthz": true, "http://localhost:8484/healthz": true, "http://[::1]:8484/healthz": true,
		"http://muster.internal/healthz": true, "http://evil.example:8484/healthz": false, "http://localhost.evil.example/healthz": false,
	} {
		if w := ask(s, "GET", url, nil); (w.Code == 200) != ok {
			t.Errorf("%s: %d", url, w.Code)
		}
	}
}

func TestCheckListen(t *testing.T) {
	for addr, ok := range map[string]bool{"127.0.0.1:8484": true, "localhost:1": true, "[::1]:1": true, ":8484": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "8484": false} {
		if err := CheckListen(addr, false); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
		if err := CheckListen(addr, true); err != nil {
			t.Errorf("%s insecure: %v", addr, err)
		}
	}
}

func TestConfig(t *testing.T) {
	_, err := New(Config{MaxItems: -1, MaxBody: 1 << 40, QueryTimeout: -1})
	for _, part := range []string{"max items", "max body", "query timeout"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no %s in %v", part, err)
		}
	}
}

// TestRejectLog: the log keeps the latest rejects within its limits, and pages through them.
func TestRejectLog(t *testing.T) {
	l := newRejectLog(5, 1<<20)
	for i := range 12 {
		l.add(api.Reject{Reason: fmt.Sprint(i)}, []byte("é"+strings.Repeat("x", i)))
	}
	page := l.page(0, 3)
	if page.Total != 12 || len(page.Rejects) != 3 || page.Rejects[0].Seq != 12 || page.Next != 10 {
		t.Errorf("%+v", page)
	}
	if page = l.page(page.Next, 3); len(page.Rejects) != 2 || page.Rejects[1].Seq != 8 || page.Next != 0 {
		t.Errorf("%+v", page)
	}
	l = newRejectLog(1000, 3*maxExcerpt)
	for range 50 {
		l.add(api.Reject{}, bytes.Repeat([]byte("é"), maxExcerpt))
	}
	page = l.page(0, 1000)
	if len(page.Rejects) != 2 || len(page.Rejects[0].Content) > maxExcerpt || strings.Contains(page.Rejects[0].Content, "\uFFFD") {
		t.Errorf("%d rejects of %d bytes", len(page.Rejects), len(page.Rejects[0].Content))
	}
}

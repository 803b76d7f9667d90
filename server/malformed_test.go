package server

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/musterdb/muster/api"
)

// badMessages can never be accepted, but their ends can be found. repairable is accepted with a repair.
var badMessages = []string{`{"type":"track","userId":"u\ud83d","event":"E"}`, "{\"type\":\"track\",\"userId\":\"\xff\",\"event\":\"E\"}", `{"type":"track","userId":"u","event":"E","n":NaN}`, `{"n":[1,2}`, "Infinity", "null", `{"a":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + "}"}

const repairable = `{"type":"track","messageId":"half","userId":"half","event":"E","properties":{"title":"Hi \ud83d"}}`

func messageIDs(fake *fakeIngester) (ids []string) {
	for _, m := range fake.got() {
		ids = append(ids, m.MessageID)
	}
	return ids
}

// TestMalformedMessages: on every path that accepts many messages, a bad one does not affect the others,
// and is reported.
func TestMalformedMessages(t *testing.T) {
	for _, bad := range append(badMessages, repairable) {
		rejected, want := 1, "m1 m2"
		if bad == repairable {
			rejected, want = 0, "m1 half m2"
		}
		list := track(1) + "," + bad + "," + track(2)
		for _, c := range []struct{ path, body string }{
			{"/v1/batch", `{"batch":[` + list + `],"sentAt":"2026-11-05T12:00:00Z"}`}, {"/v1/import", `{"context":{"title":"\ud83d"},"batch":[` + list + `]}`},
			{"/v1/batch", `[` + list + `]`}, {"/v1/events", `[` + list + `]`}, {"/v1/events", track(1) + "\n" + bad + "\n" + track(2)},
		} {
			fake := &fakeIngester{}
			s := newTestServer(t, &Node{Ingest: fake}, nil)
			w := ask(s, "POST", c.path, text(c.body))
			if got := strings.Join(messageIDs(fake), " "); w.Code != 200 || got != want {
				t.Errorf("%.50s at %s: %d %s, took %s", bad, c.path, w.Code, w.Body, got)
			}
			refused, dropped := 0, 0
			for _, r := range s.rejects.page(0, 10).Rejects {
				if r.Dropped {
					dropped++
				} else if refused++; r.Line != 2 || r.Reason == "" {
					t.Errorf("%.50s at %s: %+v", bad, c.path, r)
				}
			}
			if refused != rejected || (bad == repairable || strings.Contains(c.body, "context")) != (dropped > 0) {
				t.Errorf("%.50s at %s: %d rejects and %d dropped", bad, c.path, refused, dropped)
			}
		}
	}
	fake := &fakeIngester{}
	if w := ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", "/v1/track", text(repairable)); w.Body.String() != "{\"success\":true,\"dropped\":1}\n" || fake.got()[0].Fields[0].Value.Str != "Hi \uFFFD" {
		t.Errorf("alone: %d %s", w.Code, w.Body)
	}
}

// TestCutBatch: of a batch that breaks off, the complete messages are accepted, and the rest is reported
// as one reject.
func TestCutBatch(t *testing.T) {
	fake := &fakeIngester{}
	s := newTestServer(t, &Node{Ingest: fake}, nil)
	w := ask(s, "POST", "/v1/batch", text(`{"batch":[`+track(1)+`,`+track(2)+`,{"type":"track","messageId":"m3","us`))
	if got := strings.Join(messageIDs(fake), " "); w.Body.String() != "{\"success\":true,\"rejected\":1}\n" || got != "m1 m2" {
		t.Errorf("%d %s, took %s", w.Code, w.Body, got)
	}
	if r := s.rejects.page(0, 1).Rejects[0]; r.Line != 3 || r.Code != "bad_json" || r.Content != `{"type":"track","messageId":"m3","us` || r.Reason != "the body ends in the middle of a message: the rest of the batch cannot be read" {
		t.Errorf("%+v", r)
	}
	w = ask(s, "POST", "/v1/batch", text(`{"batch":[`+track(1)+`,{"type":"track","event":"`+strings.Repeat("x", 2<<20)+`"},`+track(4)+`]}`))
	if w.Body.String() != "{\"success\":true,\"rejected\":1}\n" || s.rejects.page(0, 1).Rejects[0].Code != "too_large" {
		t.Errorf("a long one: %d %s", w.Code, w.Body)
	}
}

// TestArrayInPieces: items of a stream that are not messages, or are too long, are rejected by
// themselves, whatever pieces the body arrives in.
func TestArrayInPieces(t *testing.T) {
	long := `{"type":"track","x":"` + strings.Repeat(`x\"`, 4000) + `"}`
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 20 {
		var items []string
		want, rejects := []string{}, []string{}
		for n := range 3000 {
			items = append(items, track(n))
			want = append(want, fmt.Sprintf("m%d", n))
			switch r.IntN(200) {
			case 0:
				items, rejects = append(items, long), append(rejects, fmt.Sprintf("{%d too_large}", len(items)+1))
			case 1:
				items, rejects = append(items, `{"n":NaN}`), append(rejects, fmt.Sprintf("{%d bad_json}", len(items)+1))
			}
		}
		fake := &fakeIngester{}
		s := newTestServer(t, &Node{Ingest: fake}, func(c *Config) { c.MaxLine = 4096 })
		got := resultOf(t, ask(s, "POST", "/v1/events", &ragged{[]byte("[" + strings.Join(items, " , ") + " ] "), r}))
		if shortResult(got) != fmt.Sprintf("{3000 0 %d %v}", len(rejects), rejects) || !slices.Equal(messageIDs(fake), want) {
			t.Fatalf("seed %d: %s, want %v", seed, shortResult(got), rejects)
		}
	}
}

// TestInflation: a body that inflates to far more than its size is refused, in every encoding and split
// in any way; normal data is accepted.
func TestInflation(t *testing.T) {
	items := []byte("[" + strings.Repeat("{},", 10<<20))
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	_, _ = zw.Write(items) // into memory
	_ = zw.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := bytes.Repeat(gzipped([]byte(strings.Repeat("{}\n", 1<<20))), 30)
	for name, body := range map[string][]byte{"gzip": gzipped(items), "x-gzip": parts, "deflate": z.Bytes(), "zstd": enc.EncodeAll(items, nil)} {
		for _, path := range []string{"/v1/events", "/v1/batch"} {
			s := newTestServer(t, &Node{}, func(c *Config) { c.MaxRejects = 1 << 30 })
			p := problemOf(t, ask(s, "POST", path, bytes.NewReader(body), "Content-Encoding", name), 413, "too_large")
			if !strings.Contains(p.Detail, "100 times") || s.inFlight.used.Load() != 0 {
				t.Errorf("%s at %s: %s", name, path, p.Detail)
			}
		}
	}
	var lines strings.Builder
	for n := range 40_000 {
		lines.WriteString(track(n) + "\n")
	}
	for name, body := range map[string][]byte{"gzip": gzipped([]byte(lines.String())), "zstd": enc.EncodeAll([]byte(lines.String()), nil)} {
		got := resultOf(t, ask(newTestServer(t, &Node{}, nil), "POST", "/v1/events", bytes.NewReader(body), "Content-Encoding", name))
		if got.Accepted != 40_000 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestMostlyRejectedStream: a stream of nothing but rejects is stopped, and the answer says so; one with
// as many good messages is read to its end.
func TestMostlyRejectedStream(t *testing.T) {
	few := func(c *Config) { c.MaxRejects = 500 }
	for name, body := range map[string]string{"lines": strings.Repeat("{}\n", 100_000), "array": "[" + strings.Repeat("{},", 100_000) + "{}]", "too long": strings.Repeat(strings.Repeat("x", 1100)+"\n", 3000)} {
		s := newTestServer(t, &Node{}, func(c *Config) { few(c); c.MaxLine = 1024 })
		in := strings.NewReader(body)
		p := problemOf(t, ask(s, "POST", "/v1/events", in), 400, "too_many_rejects")
		if p.Progress == nil || p.Progress.Rejected != p.Progress.Lines || p.Progress.Lines < 501 || p.Progress.Lines > 1000 || in.Len() != 0 {
			t.Errorf("%s: %+v, %d bytes not read", name, p.Progress, in.Len())
		}
	}
	var mixed strings.Builder
	for n := range 5000 {
		mixed.WriteString(track(n) + "\n{}\n")
	}
	got := resultOf(t, ask(newTestServer(t, &Node{}, few), "POST", "/v1/events", strings.NewReader(mixed.String())))
	if got.Accepted != 5000 || got.Rejected != 5000 {
		t.Errorf("%d accepted, %d rejected", got.Accepted, got.Rejected)
	}
}

// lockedBuffer is a log for several goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestBrokenBodies: bodies that are not framed as their headers say, or that end early, are the sender's
// mistake and are not logged as errors.
func TestBrokenBodies(t *testing.T) {
	var logged lockedBuffer
	s := newTestServer(t, &Node{}, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&logged, nil)) })
	addr := serve(t, s)
	for _, path := range []string{"POST /v1/track", "POST /v1/batch", "POST /v1/events", "PUT /v1/lists/x", "POST /v1/query"} {
		for _, body := range []string{
			"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}",
			"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 100_000) + "\r\n{}\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n{}", "Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 100\r\n\r\n{}", "Content-Length: 100\r\n\r\n",
			"Content-Length: 100\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00", "Content-Length: 100\r\nContent-Encoding: zstd\r\n\r\n\x28\xb5",
		} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, path+" HTTP/1.1\r\nHost: localhost\r\n"+body) // the server may have answered in the middle
			_ = conn.(*net.TCPConn).CloseWrite()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s %.60q: %v", path, body, err)
				continue
			}
			if answer.StatusCode != 400 || answer.Header.Get("Content-Type") != api.ProblemType {
				said, _ := io.ReadAll(answer.Body)
				t.Errorf("%s %.60q: %s %s", path, body, answer.Status, said)
			}
			_ = conn.Close()
		}
	}
	if strings.Contains(logged.String(), "level=ERROR") {
		t.Errorf("logged\n%.2000s", logged.String())
	}
}

// TestLargeBodyGetsAnswer: a client that sends more than is accepted, and only then reads, gets the
// answer.
func TestLargeBodyGetsAnswer(t *testing.T) {
	addr := serve(t, newTestServer(t, &Node{}, nil))
	body := `{"ids":["` + strings.Repeat("x", 9<<20) + `"]}`
	for _, head := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body), fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "PUT /v1/lists/x HTTP/1.1\r\nHost: localhost\r\n"+head); err != nil {
			t.Fatalf("sending: %v", err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode != 413 {
			t.Errorf("%v %v", answer, err)
		}
		_ = conn.Close()
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "PUT /v1/lists/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != 413 {
		t.Errorf("with Expect: %v %v", answer, err)
	}
}

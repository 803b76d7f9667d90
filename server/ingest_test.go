package server

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// TestSDKs sends requests of SDKs (testdata/sdks.txt: a heading, the request line, headers, an empty
// line, the body) and compares what the node receives.
func TestSDKs(t *testing.T) {
	const file = "testdata/sdks.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n\n\n") {
		input, want, _ := strings.Cut(block, "\n----\n")
		head, body, _ := strings.Cut(input, "\n\n")
		lines := strings.Split(head, "\n")
		method, path, _ := strings.Cut(lines[1], " ")
		var headers []string
		payload := []byte(body)
		for _, h := range lines[2:] {
			name, value, _ := strings.Cut(h, ": ")
			headers = append(headers, name, value)
			if name == "Content-Encoding" {
				payload = gzipped(payload)
			}
		}
		fake := &fakeIngester{}
		s := newTestServer(t, &Node{Ingest: fake}, nil)
		w := ask(s, method, path, bytes.NewReader(payload), headers...)
		got := fmt.Sprintf("%d %s", w.Code, strings.TrimSpace(w.Body.String()))
		for _, m := range fake.got() {
			got += "\n" + showMessage(&m)
		}
		got = strings.ReplaceAll(got, s.idPrefix, "made-")
		fmt.Fprintf(&out, "%s\n----\n%s\n\n\n", input, got)
		if !*rewrite && got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", lines[0], got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func showMessage(m *engine.Incoming) string {
	text := fmt.Sprintf("%s %s user=%q anonymous=%q", m.Kind, m.MessageID, m.UserID, m.AnonymousID)
	if m.PreviousID != "" || m.GroupID != "" || m.Event != "" {
		text += fmt.Sprintf(" previous=%q group=%q event=%q", m.PreviousID, m.GroupID, m.Event)
	}
	text += " at=" + render.Time(m.Time)
	for _, f := range m.Fields {
		text += fmt.Sprintf(" %s=%s", f.Name, tree.AppendJSON(nil, f.Value))
	}
	return text + fmt.Sprintf("\n  rest %s", m.Context)
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // into memory
	_ = z.Close()
	return out.Bytes()
}

const oneTrack = `{"type":"track","messageId":"m1","userId":"u1","event":"E"}`

// TestPaths: every path of every SDK accepts a message or a batch.
func TestPaths(t *testing.T) {
	single := map[string]string{}
	for _, name := range []string{"identify", "track", "page", "screen", "group", "alias"} {
		for _, path := range []string{"/v1/" + name, "/v1/" + name[:1], "/api/s/" + name, "/api/s/s2s/" + name, "//v1/" + name, "/v1//" + name + "/"} {
			single[path] = name
		}
	}
	for path, name := range single {
		fake := &fakeIngester{}
		w := ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", path, text(`{"messageId":"m1","userId":"u1","previousId":"p","groupId":"g","event":"E"}`))
		if w.Code != 200 || len(fake.got()) != 1 || fake.got()[0].Kind.String() != name {
			t.Errorf("%s: %d %s, %d messages", path, w.Code, w.Body, len(fake.got()))
		}
	}
	for _, path := range []string{"/v1/batch", "/v1/import", "/v1/b", "/b", "/beacon/v1/batch?writeKey=k", "//v1/batch", "/v1/batch/"} {
		fake := &fakeIngester{}
		w := ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", path, text(`{"batch":[`+oneTrack+`]}`))
		if w.Code != 200 || w.Body.String() != "{\"success\":true}\n" || len(fake.got()) != 1 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	w := ask(newTestServer(t, &Node{}, nil), "POST", "/v1/m", text(`{"series":[]}`))
	if w.Code != 200 {
		t.Errorf("/v1/m: %d", w.Code)
	}
}

func TestEncodings(t *testing.T) {
	body := []byte(`{"batch":[` + oneTrack + `]}`)
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	_, _ = zw.Write(body) // into memory
	_ = zw.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][]byte{"gzip": gzipped(body), "x-gzip": gzipped(body), "deflate": z.Bytes(), "zstd": enc.EncodeAll(body, nil), "identity": body, "": body} {
		fake := &fakeIngester{}
		w := ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", "/v1/batch", bytes.NewReader(c), "Content-Encoding", name)
		if w.Code != 200 || len(fake.got()) != 1 {
			t.Errorf("%q: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestRefused: a body that can never succeed is refused with the right status and code.
func TestRefused(t *testing.T) {
	small := func(c *Config) { c.MaxBody, c.MaxItems = 4096, 3 }
	bomb := gzipped(bytes.Repeat([]byte(" "), 1<<20))
	for _, c := range []struct {
		name, path, encoding string
		body                 []byte
		status               int
		code                 string
	}{
		{"not JSON", "/v1/batch", "", []byte(`batch`), 400, "bad_json"},
		{"nothing", "/v1/batch", "", nil, 400, "bad_json"},
		{"half", "/v1/batch", "", []byte(`{"batch":[`), 400, "bad_json"},
		{"a string", "/v1/track", "", []byte(`"x"`), 400, "bad_json"},
		{"two", "/v1/track", "", []byte(oneTrack + oneTrack), 400, "bad_json"},
		{"latin-1", "/v1/track", "", []byte("{\"event\":\"caf\xe9\"}"), 400, "bad_utf8"},
		{"too large", "/v1/track", "", bytes.Repeat([]byte(" "), 5000), 413, "too_large"},
		{"bomb", "/v1/track", "gzip", bomb, 413, "too_large"},
		{"bomb at events with CloudEvents", "/v1/events", "gzip", bomb, 413, "too_large"},
		{"too many", "/v1/batch", "", []byte(`{"batch":[{},{},{},{}]}`), 413, "too_large"},
		{"not gzip", "/v1/track", "gzip", []byte(oneTrack), 400, "bad_request"},
		{"broken gzip", "/v1/track", "gzip", gzipped([]byte(strings.Repeat(oneTrack, 3)))[:30], 400, "bad_request"},
		{"not zstd", "/v1/track", "zstd", []byte(oneTrack), 400, "bad_request"},
		{"brotli", "/v1/track", "br", []byte(oneTrack), 415, "unsupported_encoding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := []string{"Content-Encoding", c.encoding}
			if strings.Contains(c.name, "CloudEvents") {
				headers = append(headers, "Content-Type", "application/cloudevents+json")
			}
			s := newTestServer(t, &Node{}, small)
			problemOf(t, ask(s, "POST", c.path, bytes.NewReader(c.body), headers...), c.status, c.code)
			if held := s.inFlight.used.Load(); held != 0 {
				t.Errorf("%d bytes are still in flight", held)
			}
		})
	}
}

func TestBackpressure(t *testing.T) {
	var failure error
	fake := &fakeIngester{ingest: func(context.Context, []engine.Incoming) ([]engine.Outcome, error) { return nil, failure }}
	s := newTestServer(t, &Node{Ingest: fake}, nil)
	for _, c := range []struct {
		err    error
		status int
		code   string
		after  string
	}{
		{&node.Error{Code: codes.Overloaded, Text: "the queue is full", Retry: 1500 * time.Millisecond}, 429, "overloaded", "2"},
		{&node.Error{Code: codes.DiskFull, Text: "the disk is full"}, 429, "disk_full", "1"},
		{fmt.Errorf("shard 3: %w", &node.Error{Code: codes.MemoryFull, Text: "no memory", Retry: time.Minute}), 429, "memory_full", "60"},
		{&node.Error{Code: "something new", Text: "try later", Retry: time.Second}, 500, "internal", ""},
		{&node.Error{Code: codes.NotReady, Text: "opening", Retry: time.Second}, 503, "not_ready", "1"},
		{errors.New("boom"), 500, "internal", ""},
	} {
		failure = c.err
		for _, path := range []string{"/v1/track", "/v1/events"} {
			w := ask(s, "POST", path, text(oneTrack))
			p := problemOf(t, w, c.status, c.code)
			if w.Header().Get("Retry-After") != c.after {
				t.Errorf("%v: Retry-After %q", c.err, w.Header().Get("Retry-After"))
			}
			if strings.Contains(p.Detail, "boom") {
				t.Error("an internal error is shown to the client")
			}
			if path == "/v1/events" && (p.Progress == nil || p.Progress.Lines != 0) {
				t.Errorf("progress %+v", p.Progress)
			}
		}
	}
	if w := ask(newTestServer(t, nil, nil), "POST", "/v1/track", text(oneTrack)); w.Code != 503 {
		t.Errorf("before a node is attached: %d", w.Code)
	}
}

// TestBusyProfile: a message whose profile is being merged is answered with 429, so that it is sent
// again.
func TestBusyProfile(t *testing.T) {
	fake := &fakeIngester{ingest: func(_ context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		return []engine.Outcome{{Status: engine.Busy}}, nil
	}}
	problemOf(t, ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", "/v1/track", text(oneTrack)), 429, "overloaded")
}

// TestOneBadItem: bad items go to the rejects with their reasons, and the others are accepted.
func TestOneBadItem(t *testing.T) {
	fake := &fakeIngester{}
	fake.ingest = func(_ context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		out := fake.keep(m)
		for i := range m {
			if m[i].UserID == "erased" {
				out[i] = engine.Outcome{Status: engine.Refused, Reason: "the profile was erased"}
			}
		}
		return out, nil
	}
	s := newTestServer(t, &Node{Ingest: fake}, nil)
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	w := ask(s, "POST", "/v1/batch", text(`{"batch":[`+oneTrack+`,{"type":"track","userId":"u1"},7,{"type":"track","userId":"u1","event":"E","properties":`+deep+`},
		{"type":"track","userId":"erased","event":"E"},{"type":"identify","userId":"u1","traits":{"user_id":"x"}}]}`))
	if w.Body.String() != "{\"success\":true,\"rejected\":4,\"dropped\":1}\n" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var page api.Rejects
	if err := json.Unmarshal(ask(s, "GET", "/v1/rejects", nil).Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range page.Rejects {
		got = append(got, fmt.Sprintf("%d %s %v", r.Line, r.Code, r.Dropped))
	}
	if want := "5 refused false, 6 reserved_name true, 4 too_deep false, 3 bad_json false, 2 no_event false"; strings.Join(got, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, ", "), want)
	}
	if page.Rejects[4].Content != `{"type":"track","userId":"u1"}` || page.Total != 5 {
		t.Errorf("%+v", page.Rejects[4])
	}
}

func TestCORS(t *testing.T) {
	s := newTestServer(t, &Node{}, nil)
	w := ask(s, "OPTIONS", "/v1/t", nil, "Origin", "https://shop.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "AnonymousId") || w.Header().Get("Access-Control-Max-Age") == "" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	w = ask(s, "POST", "/v1/t", text(oneTrack), "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain")
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = ask(s, "POST", "/v1/query", text(`{"query":"count"}`), "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	problemOf(t, w, 403, "forbidden_origin")
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("the control API is open to other sites")
	}
	if w := ask(s, "OPTIONS", "/v1/query", nil, "Origin", "https://evil.example"); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("the control API answers preflights of other sites")
	}
}

func TestSettings(t *testing.T) {
	s := newTestServer(t, &Node{}, nil)
	for _, path := range []string{"/v1/projects/key1/settings", "/projects/key1/settings"} {
		var got struct {
			Integrations map[string]struct{ APIKey, APIHost, Protocol string }
		}
		w := ask(s, "GET", path, nil)
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if i := got.Integrations["Segment.io"]; i.APIKey != "key1" || i.APIHost != "example.com/v1" || i.Protocol != "http" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if w := ask(s, "GET", "/sourceConfig/?p=npm&writeKey=k1", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"writeKey":"k1"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestCloudEvents: the three forms of an event become the same message.
func TestCloudEvents(t *testing.T) {
	const structured = `{"specversion":"1.0","id":"e1","source":"/shop","type":"Order Completed","subject":"u1","time":"2026-11-05T10:00:00Z","data":{"amount":12.5}}`
	for name, c := range map[string]struct {
		body    string
		headers []string
	}{
		"structured": {structured, []string{"Content-Type", "application/cloudevents+json; charset=utf-8"}},
		"batch":      {"[" + structured + "]", []string{"Content-Type", "application/cloudevents-batch+json"}},
		"binary":     {`{"amount":12.5}`, []string{"Content-Type", "application/json", "ce-specversion", "1.0", "ce-id", "e1", "ce-source", "/shop", "ce-type", "Order%20Completed", "ce-subject", "u1", "ce-time", "2026-11-05T10:00:00Z"}},
	} {
		fake := &fakeIngester{}
		w := ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", "/v1/events", text(c.body), c.headers...)
		if r := resultOf(t, w); r.Accepted != 1 {
			t.Fatalf("%s: %s", name, w.Body)
		}
		m := fake.got()[0]
		if m.MessageID != "e1" || m.Event != "Order Completed" || m.UserID != "u1" || render.Time(m.Time) != "2026-11-05T10:00:00Z" || len(m.Fields) != 1 || !m.Fields[0].Value.Equal(num("12.5")) || string(m.Context) != `{"source":"/shop"}` {
			t.Errorf("%s: %s", name, showMessage(&m))
		}
	}
	w := ask(newTestServer(t, &Node{}, nil), "POST", "/v1/events", text(`[{"specversion":"0.3"},`+structured+`]`), "Content-Type", "application/cloudevents-batch+json")
	if r := resultOf(t, w); r.Accepted != 1 || r.Rejected != 1 || r.Problems[0].Code != "bad_version" {
		t.Errorf("%+v", r)
	}
	w = ask(newTestServer(t, &Node{}, nil), "POST", "/v1/events", text(`not json`), "ce-specversion", "1.0", "ce-id", "e1", "ce-type", "T", "ce-subject", "u1", "Content-Type", "text/plain")
	if r := resultOf(t, w); r.Accepted != 1 {
		t.Errorf("%+v", r)
	}
}

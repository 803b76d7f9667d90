package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/musterdb/muster/api/codes"
)

// serve starts a server that answers requests by number, from 1. It returns a client and the number of
// requests so far.
func serve(t *testing.T, answer func(n int64, w http.ResponseWriter, r *http.Request)) (*Client, *atomic.Int64) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(n.Add(1), w, r) }))
	t.Cleanup(server.Close)
	return &Client{BaseURL: server.URL + "/", Key: "k"}, &n
}

func problem(w http.ResponseWriter, p Problem) {
	w.Header().Set("Content-Type", ProblemType)
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(p.RetryAfter.Seconds())))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// TestRetries checks that a busy server is sent the whole request again, and that any other error is
// returned immediately.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		status   int
		after    time.Duration // what the server says
		patience time.Duration
		asked    int64
		ok       bool
	}{
		{503, 0, 0, 3, true}, {429, 0, 0, 3, true}, {503, 0, time.Minute, 3, true},
		{503, time.Minute, 0, 1, false}, {503, time.Second, 500 * time.Millisecond, 1, false}, {429, 0, -1, 1, false},
		{400, 0, 0, 1, false}, {404, 0, 0, 1, false}, {500, 0, 0, 1, false}, {504, 0, 0, 1, false},
	} {
		client, asked := serve(t, func(n int64, w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if string(body) != `{"query":"count"}` || r.Header.Get("Authorization") != "Bearer k" || r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/v1/query" {
				t.Errorf("request %d: %s %s", n, r.URL, body)
			}
			if n < 3 {
				problem(w, Problem{Status: c.status, Code: "c", Title: "t", RetryAfter: c.after})
				return
			}
			fmt.Fprint(w, `{"rows":[[9007199254740993, 0.1]]}`)
		})
		client.Patience = c.patience
		answer, err := client.Query(t.Context(), QueryRequest{Query: "count"})
		if asked.Load() != c.asked || (err == nil) != c.ok {
			t.Errorf("%+v: %d requests, %v", c, asked.Load(), err)
			continue
		}
		if c.ok {
			if fmt.Sprint(answer.Rows) != "[[9007199254740993 0.1]]" {
				t.Errorf("%v: not every digit", answer.Rows)
			}
			continue
		}
		var p *Problem
		if !errors.As(err, &p) || p.Status != c.status || p.RetryAfter != c.after || p.Temporary() != (c.status == 503 || c.status == 429) {
			t.Errorf("%+v: %#v", c, err)
		}
	}
}

// TestCanceled checks that a request that waits for a slow or busy server ends with its context.
func TestCanceled(t *testing.T) {
	for _, busy := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		client, asked := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
			if busy {
				problem(w, Problem{Status: 503, Code: codes.Overloaded, RetryAfter: time.Hour})
			}
			time.AfterFunc(20*time.Millisecond, cancel)
			if !busy {
				<-r.Context().Done()
			}
		})
		client.Patience = 2 * time.Hour
		if _, err := client.Catalog(ctx); !errors.Is(err, context.Canceled) || asked.Load() != 1 {
			t.Errorf("busy %t: %v after %d requests", busy, err, asked.Load())
		}
	}
}

// TestProblems checks that errors of the server are returned completely, and that other answers become problems.
func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		after  string
		body   string
		want   Problem
		text   string
	}{
		"full": {400, "", `{"title":"T","status":999,"code":"unknown_attribute","detail":"D","line":2,"column":7,"length":3,"hint":"H","suggestions":["a","b"]}`,
			Problem{Title: "T", Status: 400, Code: "unknown_attribute", Detail: "D", Line: 2, Column: 7, Length: 3, Hint: "H", Suggestions: []string{"a", "b"}}, "2:7: D (hint: H)"},
		"title only":   {409, "", `{"title":"T","code":"in_use"}`, Problem{Title: "T", Status: 409, Code: "in_use"}, "T"},
		"progress":     {503, "7", `{"code":"unavailable","progress":{"lines":12,"accepted":10}}`, Problem{Status: 503, Code: "unavailable", Progress: &Progress{12, IngestResult{Accepted: 10}}, RetryAfter: 7 * time.Second}, ""},
		"no JSON":      {502, "", "<html>bad gateway</html>", Problem{Title: "502 Bad Gateway", Status: 502, Code: codes.Internal, Detail: "<html>bad gateway</html>"}, "<html>bad gateway</html>"},
		"no code":      {500, "", `{"title":"T"}`, Problem{Title: "500 Internal Server Error", Status: 500, Code: codes.Internal, Detail: `{"title":"T"}`}, `{"title":"T"}`},
		"nothing":      {500, "", "", Problem{Title: "500 Internal Server Error", Status: 500, Code: codes.Internal}, "500 Internal Server Error"},
		"long":         {500, "", strings.Repeat("x", 5000), Problem{Title: "500 Internal Server Error", Status: 500, Code: codes.Internal, Detail: strings.Repeat("x", 200)}, strings.Repeat("x", 200)},
		"a day":        {400, "86400", `{"code":"c"}`, Problem{Status: 400, Code: "c", RetryAfter: time.Hour}, ""},
		"a date":       {400, "Wed, 21 Oct 2026 07:28:00 GMT", `{"code":"c"}`, Problem{Status: 400, Code: "c"}, ""},
		"the past":     {400, "-5", `{"code":"c"}`, Problem{Status: 400, Code: "c"}, ""},
		"a redirect":   {304, "", "", Problem{Title: "304 Not Modified", Status: 304, Code: codes.Internal}, "304 Not Modified"},
		"another form": {400, "", `["code"]`, Problem{Title: "400 Bad Request", Status: 400, Code: codes.Internal, Detail: `["code"]`}, `["code"]`},
	} {
		client, _ := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		})
		client.Patience = -1
		_, err := client.Segments(t.Context())
		var p *Problem
		if !errors.As(err, &p) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, want := asJSON(p), asJSON(&c.want)
		if got != want || p.RetryAfter != c.want.RetryAfter || p.Error() != c.text {
			t.Errorf("%s: %s (%v), want %s; %q", name, got, p.RetryAfter, want, p.Error())
		}
	}
}

func asJSON(x any) string {
	text, _ := json.Marshal(x)
	return string(text)
}

// TestPaths checks that ids and names remain one part of a path, whatever they contain.
func TestPaths(t *testing.T) {
	var asked, accept string
	client, _ := serve(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		asked, accept = r.Method+" "+r.RequestURI, r.Header.Get("Accept")
		fmt.Fprint(w, "{}")
	})
	ctx := t.Context()
	for want, call := range map[string]func(){
		"GET /v1/profiles/a%2Fb%3Fc%23d%20e":                  func() { _, _ = client.Profile(ctx, "a/b?c#d e") },
		"GET /v1/profiles/%2E":                                func() { _, _ = client.Profile(ctx, ".") },
		"GET /v1/profiles/%2E%2E/events?limit=5&before=x%26y": func() { _, _ = client.Timeline(ctx, "..", "x&y", 5) },
		"PUT /v1/segments/%C3%84rger%25?replace=true":         func() { _, _ = client.PutSegment(ctx, "Ärger%", SegmentRequest{}, true) },
		"DELETE /v1/segments/...":                             func() { _ = client.DropSegment(ctx, "...") },
		"GET /v1/segments/s/members?limit=9&after=%2Fx":       func() { _, _ = client.Members(ctx, "s", "/x", 9) },
		"GET /v1/segments/s/members/%2F":                      func() { _, _ = client.Member(ctx, "s", "/") },
		"GET /v1/rejects?limit=3":                             func() { _, _ = client.Rejects(ctx, 0, 3) },
		"GET /v1/rejects?limit=3&before=18446744073709551615": func() { _, _ = client.Rejects(ctx, 1<<64-1, 3) },
		"POST /v1/query?safe=1":                               func() { closed(client.QueryAs(ctx, QueryRequest{}, SafeCSV)) },
		"GET /v1/segments/s/members?safe=1":                   func() { closed(client.MembersAs(ctx, "s", SafeCSV)) },
		"GET /healthz":                                        func() { _, _ = client.Health(ctx) },
	} {
		if call(); asked != want {
			t.Errorf("%s, want %s", asked, want)
		}
		if want := map[bool]string{true: "text/csv", false: "application/json"}[strings.Contains(want, "safe")]; accept != want && !strings.HasPrefix(asked, "DELETE") {
			t.Errorf("%s accepts %q", asked, accept)
		}
	}
}

func closed(body io.ReadCloser, err error) {
	if err == nil {
		_ = body.Close()
	}
}

// TestEvents checks that lines arrive unchanged, compressed and once: a broken stream is not sent again.
func TestEvents(t *testing.T) {
	lines := strings.Repeat(`{"type":"track","event":"x"}`+"\n", 20_000)
	client, asked := serve(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		got, err := io.ReadAll(z)
		if n == 3 {
			if err == nil {
				t.Error("a broken stream ended like a complete one")
			}
			return
		}
		if err != nil || string(got) != lines || r.RequestURI != "/v1/events?source=a%26b.ndjson" || r.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: %d bytes, %v", r.RequestURI, len(got), err)
		}
		if n == 2 {
			problem(w, Problem{Status: 503, Code: codes.Unavailable, Progress: &Progress{Lines: 7}})
			return
		}
		fmt.Fprint(w, `{"accepted":20000}`)
	})
	result, err := client.Events(t.Context(), strings.NewReader(lines), "a&b.ndjson")
	if err != nil || result.Accepted != 20_000 {
		t.Errorf("%+v, %v", result, err)
	}
	_, err = client.Events(t.Context(), strings.NewReader(lines), "a&b.ndjson")
	var p *Problem
	if !errors.As(err, &p) || p.Progress == nil || p.Progress.Lines != 7 || asked.Load() != 2 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
	broken := errors.New("the file ended")
	if _, err = client.Events(t.Context(), io.MultiReader(strings.NewReader(lines[:1000]), iotest.ErrReader(broken)), "a&b.ndjson"); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// TestUnreachable checks the errors when there is no server, or when its answer is malformed.
func TestUnreachable(t *testing.T) {
	client, _ := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"rows":[[1,`) })
	if _, err := client.Query(t.Context(), QueryRequest{}); err == nil || !strings.Contains(err.Error(), "read the answer") {
		t.Errorf("half an answer: %v", err)
	}
	for url, want := range map[string]string{"http://127.0.0.1:1": "request to http://127.0.0.1:1", "::": "request to ::"} {
		if _, err := (&Client{BaseURL: url}).Lists(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

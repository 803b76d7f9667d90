package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
)

// sender is a kind of client, with the headers that it sends.
type sender struct {
	name    string
	headers []string
	own     bool // a page of the server or of a configured site, or not a page
	link    bool // a user follows a link
}

var senderKinds = []sender{
	{name: "no browser", own: true},
	{name: "own page", headers: []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Origin", "http://example.com"}, own: true},
	{name: "own page behind a proxy", headers: []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Origin", "https://public.example"}, own: true},
	{name: "own page of an old browser", headers: []string{"Origin", "http://example.com"}, own: true},
	{name: "typed address", headers: []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, own: true},
	{name: "named site", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://shop.example"}, own: true},
	{name: "other port", headers: []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
	{name: "sub-domain by script", headers: []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Origin", "https://sub.example.com"}},
	{name: "image", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
	{name: "script", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "script"}},
	{name: "fetch", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Origin", "https://evil.example"}},
	{name: "event source", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Accept", "text/event-stream", "Origin", "https://evil.example"}},
	{name: "websocket", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "websocket", "Upgrade", "websocket", "Origin", "https://evil.example"}},
	{name: "link", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-User", "?1"}, link: true},
	{name: "frame", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
	{name: "form", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Origin", "https://evil.example"}, link: true},
	{name: "fetch of an old browser", headers: []string{"Origin", "https://evil.example"}},
	{name: "sandbox of an old browser", headers: []string{"Origin", "null"}},
	{name: "other scheme", headers: []string{"Origin", "http://example.com:81"}},
	{name: "unknown site", headers: []string{"Sec-Fetch-Site", "elsewhere"}},
	{name: "named site, but not quite", headers: []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://shop.example.evil"}},
}

// TestSites sends every kind of client to every route: a page of another site may only use the ingest
// paths, health checks, and links to the pages that are meant for people.
func TestSites(t *testing.T) {
	s := newTestServer(t, &Node{}, func(c *Config) { c.Origins = []string{"https://shop.example/"} })
	var open []string
	for _, r := range s.ingestRoutes() {
		open = append(open, r.pattern)
	}
	harmless, linked := []string{"/healthz", "/readyz"}, []string{"/{$}", "/openapi.json"}
	if len(s.routes) < len(open)+30 {
		t.Fatalf("%d routes", len(s.routes))
	}
	for i := range s.routes {
		route := &s.routes[i]
		methods := []string{route.method}
		if route.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		for _, method := range methods {
			for _, from := range senderKinds {
				w, err := admitted(s, method, pathOf(route.pattern, "x"), from.headers)
				var p *api.Problem
				refused := errors.As(err, &p) && p.Code == codes.ForbiddenOrigin
				wanted := !from.own && !slices.Contains(open, route.pattern) && !slices.Contains(harmless, route.pattern) &&
					!(from.link && method != http.MethodPost && slices.Contains(linked, route.pattern))
				if refused != wanted {
					t.Errorf("%s %s by %s: refused %v", method, route.pattern, from.name, refused)
				}
				reads := w.Header().Get("Access-Control-Allow-Origin")
				if isOpen := slices.Contains(open, route.pattern); reads == "*" != isOpen || !isOpen && reads != "" && from.name != "named site" {
					t.Errorf("%s %s by %s: may be read by %q", method, route.pattern, from.name, reads)
				}
			}
		}
	}
}

// admitted calls admit for a route without calling its handler.
func admitted(s *Server, method, path string, headers []string) (*answer, error) {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := &answer{ResponseWriter: httptest.NewRecorder()}
	_, release, err := s.admit(w, r, plainPath(r))
	if err == nil {
		release()
	}
	return w, err
}

// pathOf replaces the parameters of a pattern.
func pathOf(pattern, part string) string {
	parts := strings.Split(strings.TrimSuffix(pattern, "{$}"), "/")
	for i := range parts {
		if strings.HasPrefix(parts[i], "{") {
			parts[i] = part
		}
	}
	return strings.Join(parts, "/")
}

// TestQueriesOfOtherSitesDoNotRun: a query of another site is refused before it runs.
func TestQueriesOfOtherSitesDoNotRun(t *testing.T) {
	ran := 0
	s := newTestServer(t, &Node{Query: fakeAsker{func(context.Context, node.Ask) (*query.Answer, error) { ran++; return &query.Answer{}, nil }}}, nil)
	for _, from := range senderKinds {
		if from.own || from.name == "named site" {
			continue
		}
		w := ask(s, "GET", "/v1/query?q=count", nil, from.headers...)
		problemOf(t, w, 403, codes.ForbiddenOrigin)
		problemOf(t, ask(s, "POST", "/v1/query", text(`{"query":"count"}`), from.headers...), 403, codes.ForbiddenOrigin)
	}
	if ran != 0 {
		t.Errorf("%d queries ran", ran)
	}
	if w := ask(s, "GET", "/v1/query?q=count", nil); w.Code != 200 || w.Header().Get("Cross-Origin-Resource-Policy") != "same-origin" || ran != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestNamedSites: a page of a configured site may send preflights, and read answers.
func TestNamedSites(t *testing.T) {
	s := newTestServer(t, &Node{}, func(c *Config) { c.Origins = []string{"https://shop.example"} })
	for origin, want := range map[string]string{"https://shop.example": "https://shop.example", "https://evil.example": "", "null": ""} {
		w := ask(s, "OPTIONS", "/v1/query", nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
		if got := w.Header(); w.Code != 204 || got.Get("Access-Control-Allow-Origin") != want || (got.Get("Access-Control-Allow-Methods") != "") != (want != "") {
			t.Errorf("%s: %d %v", origin, w.Code, got)
		}
	}
	if _, err := New(Config{Origins: []string{"shop.example", "https://a.example/x", "*"}}); err == nil || strings.Count(err.Error(), "https://shop.example") != 3 {
		t.Errorf("invalid origins: %v", err)
	}
}

// TestIdentityOfOtherSites: a page of another site may send events, but no alias and profile messages. A
// message that is refused does not fail the others.
func TestIdentityOfOtherSites(t *testing.T) {
	foreign := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://shop.example"}
	batch := `{"batch":[{"type":"track","event":"E","userId":"u"},{"type":"alias","userId":"u","previousId":"v"},{"type":"identify","userId":"u","traits":{"a":1}}]}`
	lines := `{"type":"track","event":"E","userId":"u"}` + "\n" + `{"type":"profile","userId":"u","traits":{"a":1}}` + "\n" + `{"type":"alias","userId":"u","previousId":"v"}` + "\n"
	for _, c := range []struct {
		name    string
		change  func(*Config)
		headers []string
		trusted bool
	}{
		{"another site", nil, foreign, false},
		{"another port", nil, []string{"Sec-Fetch-Site", "same-site", "Origin", "http://example.com:3000"}, false},
		{"another site of an old browser", nil, []string{"Origin", "https://shop.example"}, false},
		{"no browser", nil, nil, true},
		{"own page", nil, []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, true},
		{"a configured site", func(c *Config) { c.Origins = []string{"https://shop.example"} }, foreign, true},
		{"any site, with OpenIdentity", func(c *Config) { c.OpenIdentity = true }, foreign, true},
	} {
		s := newTestServer(t, &Node{}, c.change)
		rejected := func(n uint64) uint64 {
			if c.trusted {
				return 0
			}
			return n
		}
		sent := func(path, body string, want uint64) {
			t.Helper()
			w := ask(s, "POST", path, text(body), c.headers...)
			var got struct{ Rejected uint64 }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || got.Rejected != want {
				t.Errorf("%s: %s: %d %s, want %d rejected", c.name, path, w.Code, w.Body, want)
			}
		}
		sent("/v1/batch", batch, rejected(1))
		sent("/v1/alias", `{"userId":"u","previousId":"v"}`, rejected(1))
		sent("/v1/a", `{"userId":"u","previousId":"v"}`, rejected(1))
		sent("/api/s/alias", `{"userId":"u","previousId":"v"}`, rejected(1))
		sent("/v1/events", lines, rejected(2))
		sent("/v1/track", `{"event":"E","userId":"u"}`, 0)
		for _, path := range []string{"/v1/import", "/v1/events?source=file"} {
			w := ask(s, "POST", path, text(strings.Replace(batch, `"alias"`, `"track","event":"E"`, 1)), c.headers...)
			if refused := w.Code == 403; refused == c.trusted {
				t.Errorf("%s: %s: %d %s", c.name, path, w.Code, w.Body)
			}
		}
		fake := s.node().Ingest.(*fakeIngester)
		for _, m := range fake.got() {
			if !c.trusted && (m.Kind == engine.Alias || m.Kind == engine.Profile || m.Source != "") {
				t.Errorf("%s: the node got %v", c.name, m)
			}
		}
		w := ask(s, "GET", "/v1/rejects", nil)
		if told := bytes.Count(w.Body.Bytes(), []byte(`"code":"forbidden_origin"`)); told > 0 == c.trusted {
			t.Errorf("%s: the rejects are %s", c.name, w.Body)
		}
	}
}

// oddParts are ids that have a meaning in paths.
var oddParts = []string{
	".", "..", "...", "a/b", "/", "//", "a//b", "a/", "/a", "a/..", "../a", "%", "%2e", "%2e%2e", "%2F", "%252F", "?", "a?b=c", "#", "a#b", " ", "a b", "+", "a+b", `\`, `..\a`,
	";", "a;b", ":", "a:b", "@", "a@b.example", "&", "=", "*", "~", "$", "!", "'", `"`, "<a>", "{id}", "{$}", "\x00", "\n", "\x1b", "é", "日本", "members", "\u202e", "\xff",
}

// TestOddParts: an id or a name reaches the handler unchanged, through every route that has one in its
// path.
func TestOddParts(t *testing.T) {
	s := newTestServer(t, &Node{}, nil)
	walked := 0
	for i := range s.routes {
		route := &s.routes[i]
		if !strings.Contains(route.pattern, "{") || strings.Contains(route.pattern, "{$}") {
			continue
		}
		walked++
		for _, odd := range oddParts {
			escaped := url.PathEscape(odd)
			if strings.Trim(odd, ".") == "" {
				escaped = strings.ReplaceAll(odd, ".", "%2E")
			}
			for _, around := range []string{"", "/"} { // SDKs may add a trailing slash
				r := httptest.NewRequest(route.method, pathOf(route.pattern, escaped)+around, nil)
				plainPath(r)
				found := s.find(r)
				if route.pattern == "/debug/pprof/{profile}" && found != nil && found.pattern != route.pattern {
					continue
				}
				if found == nil || found.pattern != route.pattern {
					t.Errorf("%s: %q goes to %v", route.pattern, odd, found)
					continue
				}
				for _, part := range strings.Split(route.pattern, "/") {
					if name, ok := strings.CutPrefix(part, "{"); ok {
						if got := r.PathValue(strings.TrimSuffix(name, "}")); got != odd {
							t.Errorf("%s: %q arrived as %q", route.pattern, odd, got)
						}
					}
				}
			}
		}
	}
	if walked < 15 {
		t.Errorf("only %d routes have a parameter", walked)
	}
	for _, path := range []string{"/v1/segments//members", "/v1/profiles//events", "/v1//segments", "/v1/webhooks//replay"} {
		problemOf(t, ask(s, "GET", path, nil), 404, codes.NotFound)
	}
	for _, path := range []string{"//v1/track", "/v1//track", "/v1/track/", "/v1/track//"} {
		if w := ask(s, "POST", path, text(`{"event":"E","userId":"u"}`)); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

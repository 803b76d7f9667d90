package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/internal/node"
)

// strictServer returns a server on which every route can answer, and its document.
func strictServer(t *testing.T) (*Server, openAPI) {
	fake := &Node{Segments: segmentsOf(node.SegmentText{Name: "VIP", Predicate: "age > 3"}), Members: &fakeMembers{twoMembers}, Health: fakeHealth{fullStatus()}}
	fake.Query = answering(fullAnswer())
	s := newTestServer(t, fake, nil)
	s.AttachLive(newFakeLive(t, 1, nil))
	if err := s.StartWebhooks(nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.StopWebhooks(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ask(s, "PUT", "/v1/webhooks/VIP", text(bodies["putWebhook"]))
	var doc openAPI
	if err := json.Unmarshal(ask(s, "GET", "/openapi.json", nil).Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return s, doc
}

// eachOperation calls do for every operation of the document, with a URL for it.
func eachOperation(s *Server, doc *openAPI, do func(r *route, op openOperation, url string)) {
	for i := range s.routes {
		r := &s.routes[i]
		path := strings.TrimSuffix(r.pattern, "{$}")
		url := strings.NewReplacer("{id}", "u1", "{name}", "VIP", "{key}", "k", "{profile}", "heap").Replace(path)
		do(r, doc.Paths[path][strings.ToLower(r.method)], url)
	}
}

// internals are words of the implementation that no answer may contain.
var internals = regexp.MustCompile(`\bGo\b|api\.|json:|unmarshal|struct|catalog version|runtime|float64|map\[`)

// refusedBody checks that an answer refuses a request, in words for people.
func refusedBody(t *testing.T, w *httptest.ResponseRecorder, what string) {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 400 || p.Detail == "" || internals.MatchString(w.Body.String()) {
		t.Errorf("%s: %d %s", what, w.Code, w.Body)
	}
}

// TestBodiesAreStrict: every route that reads JSON accepts what its schema says and refuses everything
// else.
func TestBodiesAreStrict(t *testing.T) {
	s, doc := strictServer(t)
	routes := 0
	eachOperation(s, &doc, func(r *route, op openOperation, url string) {
		good := bodies[r.id]
		if r.id == "format" {
			var parsed struct{ Tree json.RawMessage }
			if err := json.Unmarshal(ask(s, "POST", "/v1/parse", text(`{"query":"count"}`)).Body.Bytes(), &parsed); err != nil {
				t.Fatal(err)
			}
			good = `{"tree":` + string(parsed.Tree) + `}`
		}
		if op.RequestBody == nil || r.pages == openPages {
			return
		}
		routes++
		if w := ask(s, r.method, url, text(good)); w.Code != 200 {
			t.Fatalf("%s: its own body: %d %s", r.id, w.Code, w.Body)
		}
		bad := []string{"", " ", "null", "[]", "[{}]", `"x"`, "7", "true", "{", good + " x", good + good, `{"nobody_knows_this":1}`, `{"\ud83d":1}`, "{\"\xff\":1}", "\ufeff" + good, "{'a':1}", `{"a":NaN}`}
		for name := range members(t, good) {
			bad = append(bad, strings.Replace(good, `"`+name+`"`, `"`+strings.ToUpper(name)+`"`, 1), strings.Replace(good, `{`, `{"`+name+`":"twice",`, 1))
		}
		schema := op.RequestBody.Content["application/json"].Schema
		for name := range propertiesOf(&doc, schema) {
			for _, value := range []string{"null", `"\ud83d"`, "\"\xff\"", `"\ude00\ud83d"`, "[null]", `[["x"]]`, "1.5", "1e400", `{"x":null}`, "99999999999999999999", "-1", "true", `"x"`, "7"} {
				body := fmt.Sprintf(`{%q:%s}`, name, value)
				var v any
				if json.Unmarshal([]byte(body), &v) != nil || strings.ContainsFunc(value, func(r rune) bool { return r == '\\' || r == utf8.RuneError }) || len(fits(&doc, schema, v, "body")) > 0 || value == "-1" && name != "tree" {
					bad = append(bad, body)
				}
			}
		}
		for _, body := range bad {
			refusedBody(t, ask(s, r.method, url, text(body)), r.id+" "+body)
		}
	})
	if routes < 8 {
		t.Errorf("only %d routes read JSON", routes)
	}
}

func members(t *testing.T, object string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func propertiesOf(doc *openAPI, schema map[string]any) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	}
	properties, _ := schema["properties"].(map[string]any)
	return properties
}

// TestQueryStringsAreStrict: a misspelt or invalid parameter is refused; the routes of SDKs accept any
// query string.
func TestQueryStringsAreStrict(t *testing.T) {
	s, doc := strictServer(t)
	eachOperation(s, &doc, func(r *route, op openOperation, url string) {
		if r.class == healthClass || r.id == "stream" {
			return
		}
		for _, raw := range []string{"nobody_knows_this=1", "x=%zz", "a;b", "%zz", "limitt=3"} {
			request := httptest.NewRequest(r.method, url, text(`{"type":"track","userId":"u","event":"E","previousId":"p","groupId":"g"}`))
			request.URL.RawQuery = raw
			w := httptest.NewRecorder()
			s.ServeHTTP(w, request)
			switch {
			case r.pages != openPages:
				refusedBody(t, w, r.id+"?"+raw)
			case w.Code >= 500 || w.Code != 200 && r.id != "events":
				t.Errorf("%s?%s: %d %s", r.id, raw, w.Code, w.Body)
			}
		}
		for _, p := range op.Parameters {
			if p.In != "query" || p.Schema.Type != "integer" {
				continue
			}
			if p.Schema.Minimum == nil || p.Schema.Maximum == nil {
				t.Errorf("%s: %s has no bounds", r.id, p.Name)
				continue
			}
			for value, good := range map[float64]bool{*p.Schema.Minimum: true, *p.Schema.Maximum: true, *p.Schema.Minimum - 1: false, *p.Schema.Maximum + 1: false} {
				more := ""
				if r.id == "queryRead" {
					more = "&q=count"
				}
				w := ask(s, r.method, fmt.Sprintf("%s?%s=%.0f%s", url, p.Name, value, more), nil, "Accept", "application/json")
				if (w.Code == 200) != good {
					t.Errorf("%s: %s=%.0f: %d %s", r.id, p.Name, value, w.Code, w.Body)
				}
			}
		}
	})
	for path, part := range map[string]string{
		"/v1/query?qq=count": "the parameters are q, consistency, max_rows, safe", "/v1/query?max_row=1&q=count": "did you mean max_rows?", "/v1/rejects?limt=3": "did you mean limit?", "/v1/segments?x=1": "there are no parameters here",
		"/v1/segments/VIP/stats?step=-1h": "step must be positive", "/v1/segments/VIP/stats?step=0s": "step must be positive", "/v1/profiles/u1?segments=perhaps": "true or false", "/v1/rejects?limit=1&limit=2": "twice",
	} {
		if w := ask(s, "GET", path, nil); w.Code != 400 || !strings.Contains(w.Body.String(), part) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestIngestBodiesAsDocumented: an ingest route refuses what its schema does not allow, and handles
// everything else item by item.
func TestIngestBodiesAsDocumented(t *testing.T) {
	s, doc := strictServer(t)
	eachOperation(s, &doc, func(r *route, op openOperation, url string) {
		if op.RequestBody == nil || r.pages != openPages {
			return
		}
		for media := range op.RequestBody.Content {
			if strings.Contains(media, "form") || strings.Contains(media, "text") {
				t.Errorf("%s wants %s", r.id, media)
			}
		}
		for _, body := range []string{"", "null", "7", `"x"`, "true", "[null]", "[]", "{}", "[7]", `[{}]`} {
			w := ask(s, r.method, url, text(body))
			var v any
			valid := json.Unmarshal([]byte(body), &v) == nil && len(fits(&doc, op.RequestBody.Content["application/json"].Schema, v, "body")) == 0 || body == "" && !op.RequestBody.Required
			if r.id == "events" && body != "" && body[0] != '[' && body[0] != '{' {
				valid = true // a line that is not a message
			}
			if (w.Code == 200) != valid {
				t.Errorf("%s %s: %d %s, valid by the schema: %v", r.id, body, w.Code, w.Body, valid)
			}
		}
	})
}

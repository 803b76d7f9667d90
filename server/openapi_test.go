package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// openAPI is the part of the document that the test reads.
type openAPI struct {
	OpenAPI    string
	Paths      map[string]map[string]openOperation
	Components struct{ Schemas map[string]any }
}

type openOperation struct {
	OperationID string
	Parameters  []struct {
		Name, In string
		Schema   struct {
			Type             string
			Minimum, Maximum *float64
		}
	}
	RequestBody *struct {
		Required bool
		Content  map[string]struct{ Schema map[string]any }
	}
	Responses map[string]struct {
		Content map[string]struct{ Schema map[string]any }
	}
}

// bodies are valid bodies for the operations that need one.
var bodies = map[string]string{
	"query": `{"query":"count"}`, "parse": `{"query":"count where age > 3"}`, "putSegment": `{"predicate":"age > 3","described":"d","refresh":"10m"}`,
	"putWebhook": `{"segment":"VIP","url":"https://crm.example/in"}`, "replayWebhook": `{}`,
	"editList": `{"ids":["u1"],"remove":["u2"]}`, "complete": `{"query":"count wh","offset":8}`,
}

// TestOpenAPI: every route is documented, every documented operation answers as its schema says, and
// nothing else answers.
func TestOpenAPI(t *testing.T) {
	fake := &Node{Segments: segmentsOf(node.SegmentText{Name: "VIP", Predicate: "age > 3", Described: "d", Zone: "UTC", Refresh: 60e9, Version: 4}), Health: fakeHealth{fullStatus()}}
	fake.Query = answering(fullAnswer())
	fake.Members = &fakeMembers{twoMembers}
	s := newTestServer(t, fake, nil)
	changes := newFakeLive(t, 1, nil)
	s.AttachLive(changes)
	if err := s.StartWebhooks(nil, nil); err != nil {
		t.Fatal(err)
	}
	defer stopWebhooks(t, s)
	var doc openAPI
	if err := json.Unmarshal(ask(s, "GET", "/openapi.json", nil).Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	parsed := ask(s, "POST", "/v1/parse", text(bodies["parse"]))
	var tree struct{ Tree json.RawMessage }
	if err := json.Unmarshal(parsed.Body.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	documented, ids := 0, map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			documented++
			if ids[op.OperationID] {
				t.Errorf("two operations %s", op.OperationID)
			}
			ids[op.OperationID] = true
			t.Run(op.OperationID, func(t *testing.T) {
				if err := changes.Consumers().Ack("VIP", "VIP", changes.Now(), 1); err != nil { // a consumer to show and to forget
					t.Fatal(err)
				}
				ask(s, "PUT", "/v1/webhooks/VIP", text(bodies["putWebhook"]))
				body := bodies[op.OperationID]
				if op.OperationID == "format" {
					body = `{"tree":` + string(tree.Tree) + `}`
				}
				if op.RequestBody != nil && body == "" {
					body = `{"type":"track","userId":"u1","previousId":"p","groupId":"g","event":"E"}`
				}
				checkOperation(t, s, &doc, op, method, path, body)
			})
		}
	}
	if documented != len(s.routes) {
		t.Errorf("%d operations documented, %d routes", documented, len(s.routes))
	}
	for i := range s.routes {
		r := &s.routes[i]
		if _, ok := doc.Paths[strings.TrimSuffix(r.pattern, "{$}")][strings.ToLower(r.method)]; !ok {
			t.Errorf("%s %s is not documented", r.method, r.pattern)
		}
	}
	problemOf(t, ask(s, "GET", "/v1/nothing", nil), 404, "not_found")
	problemOf(t, ask(s, "GET", "/v1/profiles/u1/../u2", nil), 404, "not_found")
	problemOf(t, ask(s, "DELETE", "/v1/query", nil), 405, "method_not_allowed")
}

// checkOperation calls an operation with every media type it offers, and checks the answers.
func checkOperation(t *testing.T, s *Server, doc *openAPI, op openOperation, method, path, body string) {
	url := strings.NewReplacer("{id}", "u1", "{name}", "VIP", "{key}", "k").Replace(path)
	if op.OperationID == "queryRead" {
		url += "?q=count"
	}
	if op.RequestBody != nil {
		for media, c := range op.RequestBody.Content {
			if faults := fits(doc, c.Schema, decoded(t, body), "body"); len(faults) > 0 && !strings.Contains(media, "cloudevents") {
				t.Errorf("the test's own body: %v", faults)
			}
		}
	}
	want := ""
	for status := range op.Responses {
		if status != "default" {
			want = status
		}
	}
	if op.OperationID == "stream" || strings.HasPrefix(op.OperationID, "pprof") {
		return // another protocol, or only for callers on this machine: see TestStream, TestProfiling
	}
	for media, c := range op.Responses[want].Content {
		if media == "text/event-stream" {
			continue // is endless: see TestServerSentEvents
		}
		w := ask(s, strings.ToUpper(method), url, text(body), "Accept", media)
		if fmt.Sprint(w.Code) != want {
			t.Fatalf("%s: %d %s, want %s", media, w.Code, w.Body, want)
		}
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, media) {
			t.Errorf("asked for %s, got %s", media, got)
		}
		if media == "application/json" {
			if faults := fits(doc, c.Schema, decoded(t, w.Body.String()), op.OperationID); len(faults) > 0 {
				t.Errorf("%s\n%s", strings.Join(faults, "\n"), w.Body)
			}
		}
	}
	if len(op.Responses[want].Content) == 0 {
		if w := ask(s, strings.ToUpper(method), url, text(body)); fmt.Sprint(w.Code) != want {
			t.Errorf("%d, want %s", w.Code, want)
		}
	}
	if op.RequestBody != nil {
		w := ask(s, strings.ToUpper(method), url, text("{"), "Content-Encoding", "rot13")
		if op.OperationID == "sdkMetrics" {
			return // accepts anything
		}
		schema := op.Responses["default"].Content[api.ProblemType].Schema
		if faults := fits(doc, schema, decoded(t, w.Body.String()), "problem"); len(faults) > 0 || w.Code != 415 {
			t.Errorf("%d %s\n%s", w.Code, strings.Join(faults, "\n"), w.Body)
		}
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// fits checks a value against a JSON schema. It supports what the document uses.
func fits(doc *openAPI, schema map[string]any, v any, at string) (faults []string) {
	if ref, ok := schema["$ref"].(string); ok {
		schema, ok = doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
		if !ok {
			return []string{at + ": no schema " + ref}
		}
	}
	if one, ok := schema["oneOf"].([]any); ok {
		matches := 0
		for _, alternative := range one {
			if len(fits(doc, alternative.(map[string]any), v, at)) == 0 {
				matches++
			}
		}
		if matches != 1 {
			faults = append(faults, fmt.Sprintf("%s: it matches %d of %d alternatives", at, matches, len(one)))
		}
	}
	if want, ok := schema["type"]; ok && !slices.Contains(typesOf(want), typeOf(v)) && !(typeOf(v) == "integer" && slices.Contains(typesOf(want), "number")) {
		return []string{fmt.Sprintf("%s: %s is not %v", at, typeOf(v), want)}
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		faults = append(faults, fmt.Sprintf("%s: %v is not among %v", at, v, enum))
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				faults = append(faults, fmt.Sprintf("%s: no %s", at, name))
			}
		}
		for name, member := range v {
			if property, ok := properties[name].(map[string]any); ok {
				faults = append(faults, fits(doc, property, member, at+"."+name)...)
			} else if more, ok := schema["additionalProperties"].(map[string]any); ok {
				faults = append(faults, fits(doc, more, member, at+"."+name)...)
			} else if schema["additionalProperties"] == false {
				faults = append(faults, at+": "+name+" is not in the schema")
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			faults = append(faults, fits(doc, items, item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	}
	return faults
}

func typesOf(t any) (names []string) {
	if list, ok := t.([]any); ok {
		for _, name := range list {
			names = append(names, name.(string))
		}
		return names
	}
	return []string{t.(string)}
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	}
	return "object"
}

// fullAnswer returns an answer with a value of every type and a warning.
func fullAnswer() *query.Answer {
	return &query.Answer{
		Columns: []query.Column{{Name: "user_id", Type: "string"}, {Name: "ltv", Type: "number"}, {Name: "vip", Type: "boolean"}, {Name: "seen", Type: "time"}, {Name: "tags", Type: "list"}, {Name: "day", Type: "date"}, {Name: "big", Type: "number"}, {Name: "ltv", Type: "number"}},
		Rows: [][]tree.Value{
			{tree.Str("u\"1,\n"), num("12.50"), tree.Bool(true), tree.Time(at.UnixMilli() + 7), tree.ListOf(tree.Str("a"), tree.NumInt(2)), tree.Str("2026-01-31"), num("9007199254740993"), num("1")},
			{tree.Str("u2"), num("-0.001"), tree.Bool(false), tree.Time(at.UnixMilli()), tree.ListOf(tree.Str("b")), {}, num("0"), num("1e300")},
			{{}, {}, {}, {}, {}, {}, {}, {}},
		},
		Stats:    query.Stats{ElapsedMillis: 1.23456, Profiles: 3, EventsScanned: 4, Now: at.UnixMilli(), Shards: []query.ShardStat{{Shard: 1, Seq: 7, Time: at.UnixMilli(), SettledTo: at.UnixMilli()}}},
		Warnings: []tree.Diagnostic{{Code: "unknown_attribute", Message: "no attribute is called countri", Line: 1, Column: 2, Length: 7, Hint: "did you mean country?", Suggestions: []string{"country"}}},
	}
}

func fullStatus() node.Status {
	return node.Status{Ready: true, Profiles: 3, Events: 4, DiskFree: 5, Memory: []engine.MemoryLine{{Name: "columns", Bytes: 10}, {Name: "columns", Bytes: 5}, {Name: "leaves", Bytes: 99}},
		Shards:   []node.ShardStatus{{ShardStat: query.ShardStat{Shard: 1, Seq: 7, Time: at.UnixMilli(), SettledTo: at.UnixMilli() - 500}, Leader: true, Profiles: 3, Events: 4, LogBytes: 9, Hash: "ab"}},
		Counters: map[string]int64{"duplicates": 12}}
}

func twoMembers(_, after string, limit int, fn func(id, position string) bool) (query.Stats, error) {
	for i, id := range []string{"u1", "u2"} {
		if position := fmt.Sprint(i + 1); position > after && !fn(id, position) {
			break
		}
	}
	return query.Stats{Now: at.UnixMilli()}, nil
}

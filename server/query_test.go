package server

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

func queryServer(t testing.TB) *Server {
	return newTestServer(t, &Node{Query: fakeAsker{func(context.Context, node.Ask) (*query.Answer, error) { return fullAnswer(), nil }}}, nil)
}

func TestAnswerJSON(t *testing.T) {
	w := ask(queryServer(t), "POST", "/v1/query", text(`{"query":"count"}`))
	const want = `{"columns":[{"name":"user_id","type":"string"},{"name":"ltv","type":"number"},{"name":"vip","type":"boolean"},{"name":"seen","type":"time"},{"name":"tags","type":"list"},{"name":"day","type":"date"},{"name":"big","type":"number"},{"name":"ltv","type":"number"}],"rows":[["u\"1,\n",12.5,true,"2026-11-05T12:00:00.007Z",["a",2],"2026-01-31",9007199254740993,1],
["u2",-0.001,false,"2026-11-05T12:00:00Z",["b"],null,0,1e+300],
[null,null,null,null,null,null,null,null]],"stats":{"elapsed_ms":1.235,"profiles":3,"events_scanned":4,"now":"2026-11-05T12:00:00Z","shards":[{"shard":1,"seq":7,"time":"2026-11-05T12:00:00Z","settled_to":"2026-11-05T12:00:00Z"}]},"warnings":[{"code":"unknown_attribute","message":"no attribute is called countri","line":1,"column":2,"length":7,"hint":"did you mean country?","suggestions":["country"]}]}
`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d\n%s\nwant\n%s", w.Code, w.Body, want)
	}
	if !json.Valid(w.Body.Bytes()) {
		t.Error("not JSON")
	}
}

func TestAnswerCSV(t *testing.T) {
	w := ask(queryServer(t), "GET", "/v1/query?q=count", nil, "Accept", "text/html;q=0.5, text/csv")
	records, err := csv.NewReader(w.Body).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%q", records)
	const want = `[["user_id" "ltv" "vip" "seen" "tags" "day" "big" "ltv"] ["u\"1,\n" "12.5" "true" "2026-11-05T12:00:00.007Z" "[\"a\",2]" "2026-01-31" "9007199254740993" "1"] ["u2" "-0.001" "false" "2026-11-05T12:00:00Z" "[\"b\"]" "" "0" "1e+300"] ["" "" "" "" "" "" "" ""]]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w.Header().Get("Muster-Now") != "2026-11-05T12:00:00Z" || w.Header().Get("Muster-Warnings") != "1" {
		t.Errorf("%v", w.Header())
	}
}

func TestAnswerNDJSON(t *testing.T) {
	w := ask(queryServer(t), "POST", "/v1/query", text(`{"query":"count"}`), "Accept", "application/x-ndjson")
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if len(lines) != 3 || lines[1] != `{"user_id":"u2","ltv":-0.001,"vip":false,"seen":"2026-11-05T12:00:00Z","tags":["b"],"day":null,"big":0,"ltv_2":1e+300}` {
		t.Errorf("%s", w.Body)
	}
}

func TestAnswerParquet(t *testing.T) {
	w := ask(queryServer(t), "POST", "/v1/query", text(`{"query":"count"}`), "Accept", "application/vnd.apache.parquet")
	file, err := parquet.OpenFile(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, c := range file.Root().Columns() {
		kind := ""
		if c.Leaf() {
			kind = ":" + c.Type().String()
		}
		columns = append(columns, c.Name()+kind)
	}
	if got, want := strings.Join(columns, " "), "user_id:STRING ltv:DECIMAL(18,3) vip:BOOLEAN seen:TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS) tags day:STRING big:INT(64,true) ltv_2:DOUBLE"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	rows := make([]parquet.Row, 4)
	reader := parquet.NewReader(file)
	n, err := reader.ReadRows(rows)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%v", rows[:n]), "[[u\"1,\n 12500 true 1793880000007 a 2 2026-01-31 9007199254740993 1] [u2 -1 false 1793880000000 b <null> 0 1e+300] [<null> <null> <null> <null> <null> <null> <null> <null>]]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestQueryMistakes(t *testing.T) {
	fake := &Node{Query: fakeAsker{func(_ context.Context, ask node.Ask) (*query.Answer, error) {
		return nil, fmt.Errorf("ask: %w", &tree.Diagnostic{Code: "unknown_attribute", Message: "no attribute is called countri", Line: 1, Column: 13, Length: 7, Hint: "did you mean country?", Suggestions: []string{"country"}})
	}}}
	s := newTestServer(t, fake, nil)
	p := problemOf(t, ask(s, "POST", "/v1/query", text(`{"query":"count where countri = 1"}`)), 400, "unknown_attribute")
	if p.Line != 1 || p.Column != 13 || p.Length != 7 || p.Hint == "" || p.Suggestions[0] != "country" {
		t.Errorf("%+v", p)
	}
	for body, code := range map[string]string{`{`: "bad_json", ``: "bad_json", `{"querry":"count"}`: "bad_json", `{"query":1}`: "bad_json", `{"query":"count","consistency":"lax"}`: "bad_request", `{"query":"count","max_rows":-1}`: "bad_request", `{"query":"count"} x`: "bad_json"} {
		problemOf(t, ask(s, "POST", "/v1/query", text(body)), 400, code)
	}
	problemOf(t, ask(s, "POST", "/v1/query", bytes.NewReader(bytes.Repeat([]byte(" "), 5<<20))), 413, "too_large")
	problemOf(t, ask(s, "GET", "/v1/query?q=drop+segment+%22x%22", nil), 400, "bad_request")
	problemOf(t, ask(s, "POST", "/v1/query", text(`{"query":"count"}`), "Accept", "image/png"), 406, "not_acceptable")
}

// TestQueryTime: a statement ends at its time limit.
func TestQueryTime(t *testing.T) {
	fake := &Node{Query: fakeAsker{func(ctx context.Context, _ node.Ask) (*query.Answer, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}}
	s := newTestServer(t, fake, func(c *Config) { c.QueryTimeout = time.Millisecond })
	problemOf(t, ask(s, "POST", "/v1/query", text(`{"query":"count"}`)), 504, "timeout")
}

// TestReadsWhenBusy: a busy server answers reads with 503, since 429 is for the SDKs.
func TestReadsWhenBusy(t *testing.T) {
	s := newTestServer(t, &Node{Query: fakeAsker{func(context.Context, node.Ask) (*query.Answer, error) {
		return nil, &node.Error{Code: codes.Overloaded, Text: "too many statements", Retry: time.Second}
	}}}, nil)
	w := ask(s, "POST", "/v1/query", text(`{"query":"count"}`))
	if problemOf(t, w, 503, "overloaded"); w.Header().Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
}

func TestParseAndFormat(t *testing.T) {
	s := queryServer(t)
	var parsed api.Parsed
	body := ask(s, "POST", "/v1/parse", text(`{"query":"COUNT  where age>3"}`)).Body.Bytes()
	if err := json.Unmarshal(body, &parsed); err != nil || !parsed.OK || parsed.Text != "count where age > 3" {
		t.Fatalf("%v %s", err, body)
	}
	var formatted api.Formatted
	body = ask(s, "POST", "/v1/format", text(`{"tree":`+string(parsed.Tree)+`}`)).Body.Bytes()
	if err := json.Unmarshal(body, &formatted); err != nil || formatted.Text != parsed.Text {
		t.Errorf("%v %s", err, body)
	}
	body = ask(s, "POST", "/v1/parse", text(`{"query":"count where age >"}`)).Body.Bytes()
	parsed = api.Parsed{}
	if err := json.Unmarshal(body, &parsed); err != nil || parsed.OK || len(parsed.Diagnostics) != 1 || parsed.Diagnostics[0].Line != 1 {
		t.Errorf("%v %s", err, body)
	}
	if w := ask(s, "POST", "/v1/format", text(`{"tree":{"nonsense":1}}`)); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestComplete(t *testing.T) {
	var got api.Completion
	body := ask(queryServer(t), "POST", "/v1/complete", text(`{"query":"count where coun = 1","offset":16}`)).Body.Bytes()
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range got.Candidates {
		found = found || c.Text == "country" && c.Kind == "attribute" && c.Start == 12 && c.End >= 16
	}
	if !found {
		t.Errorf("no country in %s", body)
	}
	problemOf(t, ask(newTestServer(t, nil, nil), "POST", "/v1/complete", text(`{"query":"","offset":0}`)), 503, "not_ready")
}

func TestMembers(t *testing.T) {
	fake := &fakeMembers{}
	asked := ""
	fake.members = func(predicate, after string, limit int, fn func(id, position string) bool) (query.Stats, error) {
		asked = predicate
		return twoMembers(predicate, after, limit, fn)
	}
	s := newTestServer(t, &Node{Segments: segmentsOf(node.SegmentText{Name: `V "I" P`}), Members: fake}, nil)
	const path = "/v1/segments/V%20%22I%22%20P/members"
	var page api.Members
	body := ask(s, "GET", path+"?limit=1", nil).Body.Bytes()
	if err := json.Unmarshal(body, &page); err != nil || len(page.Members) != 1 || page.Members[0] != "u1" || page.Next != "1" {
		t.Fatalf("%v %s", err, body)
	}
	body = ask(s, "GET", path+"?limit=1&after="+page.Next, nil).Body.Bytes()
	page = api.Members{}
	if err := json.Unmarshal(body, &page); err != nil || page.Members[0] != "u2" || page.Next != "" {
		t.Fatalf("%v %s", err, body)
	}
	if asked != `in segment "V \"I\" P"` {
		t.Errorf("asked %s", asked)
	}
	if w := ask(s, "GET", path, nil, "Accept", "text/csv"); w.Body.String() != "user_id\nu1\nu2\n" {
		t.Errorf("%q", w.Body)
	}
	if w := ask(s, "GET", path, nil, "Accept", "application/x-ndjson"); w.Body.String() != "{\"user_id\":\"u1\"}\n{\"user_id\":\"u2\"}\n" {
		t.Errorf("%q", w.Body)
	}
	fake.members = func(string, string, int, func(id, position string) bool) (query.Stats, error) {
		return query.Stats{}, &node.Error{Code: codes.Unavailable, Text: "shard 3 does not answer", Retry: time.Second}
	}
	problemOf(t, ask(s, "GET", path, nil, "Accept", "text/csv"), 503, "unavailable")
	problemOf(t, ask(s, "GET", "/v1/segments/none/members", nil), 404, "no_segment")
	problemOf(t, ask(s, "GET", path+"?limit=x", nil), 400, "bad_request")
}

func TestRecords(t *testing.T) {
	s := newTestServer(t, &Node{Segments: segmentsOf(node.SegmentText{Name: "VIP"}, node.SegmentText{Name: "Old"})}, nil)
	const want = `{"id":"u1","user_id":"u1","anonymous_ids":["a/1"],"attributes":{"ltv":10.5,"plan":"pro","tags":["x",2]},"events":[{"name":"Order Completed","count":3,"first":"2026-11-05T11:59:59.995Z","last":"2026-11-05T12:00:00Z"}],"first_seen":"2026-11-05T11:59:59.995Z","last_seen":"2026-11-05T12:00:00Z","segments":["Rich","VIP"],"shard":3,"seq":99}` + "\n"
	for _, path := range []string{"/v1/profiles/u1", "/v1/profiles/a%2F1"} {
		if w := ask(s, "GET", path, nil); w.Body.String() != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	problemOf(t, ask(s, "GET", "/v1/profiles/nobody", nil), 404, "no_profile")
	w := ask(s, "GET", "/v1/profiles/u1/events?before=p7", nil)
	if got := w.Body.String(); got != `{"events":[{"type":"track","messageId":"m1","userId":"u1","event":"E","timestamp":"2026-11-05T12:00:00Z","receivedAt":"2026-11-05T12:00:00Z","properties":{"a.b":1.5},"rest":{"context":{"ip":"::1"}}}],"next":"older-than-p7"}`+"\n" {
		t.Errorf("%d %s", w.Code, got)
	}
	problemOf(t, ask(s, "PUT", "/v1/segments/VIP?replace=false", text(`{"predicate":"x = 1"}`)), 409, "segment_exists")
	problemOf(t, ask(s, "PUT", "/v1/segments/VIP", text(`{"predicate":"x = 1","refresh":"often"}`)), 400, "bad_request")
	if w := ask(s, "PUT", "/v1/segments/VIP", text(`{"predicate":"x = 1"}`)); w.Code != 200 || !strings.Contains(w.Body.String(), `"warnings":[{"code":"unknown_attribute"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	problemOf(t, ask(s, "DELETE", "/v1/segments/none", nil), 404, "no_segment")
	problemOf(t, ask(s, "PUT", "/v1/lists/x", text(`{"ids":[""]}`)), 400, "bad_request")
}

package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/query/tree"
)

// node is a fake node that identifies lines by source and number. before may answer a request instead.
type node struct {
	before   func(w http.ResponseWriter, request int) bool
	problems int // maximum number of problems listed; 0: all
	requests int
	stored   map[string]bool
	order    []map[string]any
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.requests++
	if n.before != nil && n.before(w, n.requests) {
		return
	}
	var result api.IngestResult
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var m map[string]any
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			panic(fmt.Sprintf("%v in %s", err, lines.Text()))
		}
		line := m["_line"].(float64)
		key := fmt.Sprint(r.URL.Query().Get("source"), line)
		switch {
		case m["userId"] == "refuse":
			result.Rejected++
			if n.problems == 0 || len(result.Problems) < n.problems {
				result.Problems = append(result.Problems, api.MessageProblem{Line: uint64(line), Reason: "refused by the node"})
			}
		case n.stored[key]:
			result.Duplicate++
		default:
			n.stored[key] = true
			n.order = append(n.order, m)
			result.Accepted++
		}
	}
	_ = json.NewEncoder(w).Encode(result)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	var err error
	if strings.HasSuffix(name, ".gz") {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		text = b.String()
	}
	if err = os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run imports a file into a fake node.
func run(t *testing.T, n *node, plan Plan, path string) (Report, []Reject, error) {
	t.Helper()
	if n.stored == nil {
		n.stored = map[string]bool{}
	}
	server := httptest.NewServer(n)
	defer server.Close()
	var rejects []Reject
	config := Config{Files: []string{path}, Plan: plan, Client: &api.Client{BaseURL: server.URL, Patience: 5 * time.Second},
		OnReject: func(r Reject) error { rejects = append(rejects, r); return nil }}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	report, err := config.Import(t.Context(), path)
	return report, rejects, err
}

func sentJSON(t *testing.T, n *node) string {
	t.Helper()
	var out []string
	for _, m := range n.order {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return strings.Join(out, "\n")
}

var shop = Plan{Mode: Events, ID: "who", EventName: "Bought", Time: "at"}

func TestImportCSV(t *testing.T) {
	path := write(t, "shop.csv.gz", "who,at,price,code,paid,due,note\n"+
		"17850,2010-12-01T08:26:00Z,2.5,007,true,2011-01-01,\"a \"\"b\"\"\"\n"+
		",2010-12-01T08:26:00Z,1,1,true,,\n"+
		"17850.0,1291191960,free,8,no,soon,2011-01-01\n"+
		"1,never,1,1,,,\n"+
		"1,2\n")
	n := &node{}
	report, rejects, err := run(t, n, shop, path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_line":2,"event":"Bought","properties":{"code":"007","due":{"$time":1293840000000},"note":"a \"b\"","paid":"true","price":2.5},"timestamp":1291191960000,"type":"track","userId":"17850"}
{"_line":4,"event":"Bought","properties":{"code":"8","due":"soon","note":{"$string":"2011-01-01"},"paid":"no","price":"free"},"timestamp":1291191960000,"type":"track","userId":"17850.0"}`
	want = strings.Replace(want, `{"$time":1293840000000}`, `{"$string":"2011-01-01"}`, 1) // because of "soon", due is a column of strings
	want = strings.Replace(want, `"price":2.5`, `"price":"2.5"`, 1)                        // and because of "free", so is price
	if got := sentJSON(t, n); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	if report.Lines != 5 || report.Accepted != 2 || report.Rejected != 3 {
		t.Errorf("report %+v", report)
	}
	wantRejects := []Reject{
		{Line: 3, Reason: "no id: who is empty", Content: ",2010-12-01T08:26:00Z,1,1,true,,"},
		{Line: 5, Reason: badTime("at", []byte("never")), Content: "1,never,1,1,,,"},
		{Line: 6, Reason: "2 cells, but the header has 7", Content: "1,2"},
	}
	if !slices.Equal(rejects, wantRejects) {
		t.Errorf("rejects %+v, want %+v", rejects, wantRejects)
	}
}

// TestImportLateText checks that text in a column of numbers counts as missing and is kept in the message.
func TestImportLateText(t *testing.T) {
	text := "who,at,n,d\n" + strings.Repeat("u,2020-01-01,1,2020-01-02\n", inferLines) + "u,2020-01-01,many,x\n"
	n := &node{}
	report, _, err := run(t, n, shop, write(t, "late.csv", text))
	if err != nil {
		t.Fatal(err)
	}
	last, _ := json.Marshal(n.order[len(n.order)-1])
	want := `{"_line":10002,"event":"Bought","mismatched":{"d":"x","n":"many"},"properties":{},"timestamp":1577836800000,"type":"track","userId":"u"}`
	if string(last) != want {
		t.Errorf("sent %s, want %s", last, want)
	}
	if report.Columns[2].Mismatched != 1 || report.Columns[2].Kind != Number || report.Columns[3].Kind != Time {
		t.Errorf("columns %+v", report.Columns)
	}
}

func TestImportNDJSON(t *testing.T) {
	path := write(t, "log.ndjson", `{"actor":{"id":5,"login":"ann"},"type":"Push","at":"2015-01-01T15:00:00Z","payload":{"size":1,"deep":{"x":[1,"a"]},"none":null},"ref":"v7"}
{"actor":{"id":6},"type":"Push","at":1420124400000}

not json
{"actor":{"id":7},"type":"Push","at":"2015-01-01T15:00:00Z"} trailing
{"type":"Push","at":"2015-01-01T15:00:00Z"}
`)
	plan := Plan{Mode: Events, ID: "actor.id", Event: "type", Time: "at", Rename: map[string]string{"payload": "p"},
		Keep: []string{"payload", "ref"}, Types: map[string]Kind{"ref": Number, "payload.size": String}}
	n := &node{}
	report, rejects, err := run(t, n, plan, path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_line":1,"event":"Push","mismatched":{"ref":"v7"},"properties":{"p.deep.x":[1,"a"],"p.size":"1"},"timestamp":1420124400000,"type":"track","userId":"5"}
{"_line":2,"event":"Push","properties":{},"timestamp":1420124400000,"type":"track","userId":"6"}`
	if got := sentJSON(t, n); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	if len(rejects) != 3 || rejects[0].Line != 4 || report.Rejected != 3 || report.Lines != 5 {
		t.Errorf("report %+v, rejects %+v", report, rejects)
	}
}

func TestImportMessages(t *testing.T) {
	path := write(t, "messages.jsonl", "{\"type\":\"track\",\"userId\":\"a\"}\n{ }\n{\"userId\":\"refuse\"}\n")
	n := &node{}
	report, rejects, err := run(t, n, Plan{}, path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sentJSON(t, n), "{\"_line\":1,\"type\":\"track\",\"userId\":\"a\"}\n{\"_line\":2}"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if len(rejects) != 1 || rejects[0].Content != `{"userId":"refuse"}` || report.Rejected != 1 {
		t.Errorf("report %+v, rejects %+v", report, rejects)
	}
}

func TestImportParquet(t *testing.T) {
	type row struct {
		Who   string    `parquet:"who"`
		At    time.Time `parquet:"at,timestamp(microsecond)"`
		Price *float64  `parquet:"price,optional"`
		N     int64     `parquet:"n"`
		Tags  []string  `parquet:"tags,list"`
		Place struct {
			City string `parquet:"city"`
		} `parquet:"place"`
	}
	price := 2.5
	rows := []row{{Who: "a", At: time.UnixMicro(1577836800123456), Price: &price, N: 7, Tags: []string{"x", "y"}}, {At: time.UnixMicro(1)}, {Who: "b", At: time.UnixMicro(-1)}}
	rows[0].Place.City = "Lima"
	path := filepath.Join(t.TempDir(), "rows.parquet")
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	n := &node{}
	_, rejects, err := run(t, n, shop, path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_line":1,"event":"Bought","properties":{"n":7,"place.city":"Lima","price":2.5,"tags":["x","y"]},"timestamp":1577836800123,"type":"track","userId":"a"}
{"_line":3,"event":"Bought","properties":{"n":0,"place.city":""},"timestamp":-1,"type":"track","userId":"b"}`
	if got := sentJSON(t, n); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	if len(rejects) != 1 || rejects[0].Line != 2 {
		t.Errorf("rejects %+v", rejects)
	}
}

// TestImportRetries imports through throttling, broken connections, unavailability, bodies that are too
// large, and answers that list only the first problem: every line is accepted once, in order.
func TestImportRetries(t *testing.T) {
	var text strings.Builder
	text.WriteString("who,at\n")
	for i := range 1000 {
		who := fmt.Sprint("u", i)
		if i%100 == 7 {
			who = "refuse"
		}
		fmt.Fprintf(&text, "%s,2020-01-01\n", who)
	}
	faults := []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) },
		func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter) { w.WriteHeader(503) },
		func(w http.ResponseWriter) { w.WriteHeader(413) },
	}
	n := &node{problems: 1, before: func(w http.ResponseWriter, request int) bool {
		if request <= len(faults) {
			faults[request-1](w)
		}
		return request <= len(faults)
	}}
	path := write(t, "many.csv", text.String())
	report, rejects, err := run(t, n, shop, path)
	if err != nil {
		t.Fatal(err)
	}
	if report.Accepted != 990 || report.Rejected != 10 || report.Duplicate != 0 || len(rejects) != 10 {
		t.Errorf("report %+v with %d rejects", report, len(rejects))
	}
	if !slices.IsSortedFunc(n.order, func(a, b map[string]any) int { return int(a["_line"].(float64) - b["_line"].(float64)) }) {
		t.Error("lines were not sent in file order")
	}
	again, _, err := run(t, n, shop, path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Accepted != 0 || again.Duplicate != 990 {
		t.Errorf("the second run: %+v", again)
	}
}

// TestImportProgress checks that after a failed request the import continues after the lines that the
// answer reports as stored.
func TestImportProgress(t *testing.T) {
	n := &node{}
	n.before = func(w http.ResponseWriter, request int) bool {
		if request == 1 {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"code":"unavailable","status":503,"progress":{"lines":2,"accepted":2}}`)
		}
		return request == 1
	}
	report, _, err := run(t, n, shop, write(t, "a.csv", "who,at\na,1\nb,2\nc,3\n"))
	if err != nil {
		t.Fatal(err)
	}
	if report.Accepted != 3 || len(n.order) != 1 {
		t.Errorf("report %+v, %d lines sent after the first two", report, len(n.order))
	}
}

func TestImportRefused(t *testing.T) {
	n := &node{before: func(w http.ResponseWriter, request int) bool {
		w.WriteHeader(403)
		_, _ = io.WriteString(w, `{"code":"forbidden_origin","detail":"go away","status":403}`)
		return true
	}}
	_, _, err := run(t, n, shop, write(t, "a.csv", "who,at\na,1\n"))
	var problem *api.Problem
	if !errors.As(err, &problem) || problem.Detail != "go away" || n.requests != 1 {
		t.Errorf("error %v after %d requests", err, n.requests)
	}
}

func TestPlanFaults(t *testing.T) {
	cases := []struct {
		plan Plan
		want string
	}{
		{Plan{Mode: Events}, "--id"},
		{Plan{Mode: Events, ID: "who", Time: "at"}, "--event-name"},
		{Plan{Mode: Profiles}, "--id"},
		{Plan{ID: "x"}, "--profiles"},
	}
	for _, c := range cases {
		if err := c.plan.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.plan, err, c.want)
		}
	}
	p := Plan{Mode: Profiles, ID: "id"}
	for want, columns := range map[string][]string{"--id id": {"a"}, "--map first_seen=NAME": {"id", "first_seen"}, "would both be": {"id", "a", "a"}} {
		if err := p.checkColumns(columns); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", columns, err, want)
		}
	}
}

// TestSourcesAreVisible checks that a file name which is not allowed as a source becomes one that is.
func TestSourcesAreVisible(t *testing.T) {
	for _, name := range []string{"a\nb.csv", "a\x1b]0;t\x07.csv", "\u202evsc.csv", "\xff\xfe.csv", strings.Repeat("\u200b", 80) + ".csv"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("id,n\nu,1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := open(t.Context(), path, &Config{Plan: Plan{Mode: Profiles, ID: "id"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.CheckLine("source", file.source, 512); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		file.Close()
	}
}

// TestSourceIdentity checks when the lines of two imports are the same lines.
func TestSourceIdentity(t *testing.T) {
	id := func(plan Plan, source, path string) string {
		file, err := open(t.Context(), path, &Config{Plan: plan, Source: source})
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		return file.source
	}
	a, moved, other := write(t, "a.csv", "who,at\nx,1\n"), write(t, "a.csv", "who,at\nx,1\n"), write(t, "a.csv", "who,at\ny,1\n")
	typed := shop
	typed.Types = map[string]Kind{"at": Time}
	profiles := Plan{Mode: Profiles, ID: "who"}
	if id(shop, "", a) != id(typed, "", moved) {
		t.Error("moving a file changes its source")
	}
	if id(shop, "", a) == id(shop, "", other) || id(shop, "", a) == id(profiles, "", a) {
		t.Error("other content or another meaning has the same source")
	}
	column := profiles
	column.Keep = []string{"at"}
	if id(profiles, "", a) == id(column, "", a) {
		t.Error("other columns of the same profiles have the same source")
	}
	if id(shop, "n", a) != id(shop, "n", other) {
		t.Error("--source does not replace name and checksum")
	}
}

// TestImportCancelled checks that an import which is canceled during the checksum sends nothing.
func TestImportCancelled(t *testing.T) {
	n := &node{stored: map[string]bool{}}
	server := httptest.NewServer(n)
	defer server.Close()
	config := Config{Files: []string{write(t, "shop.csv", "who,at\na,1\n")}, Plan: shop, Client: &api.Client{BaseURL: server.URL}}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := config.Import(ctx, config.Files[0]); !errors.Is(err, context.Canceled) || n.requests > 0 {
		t.Errorf("error %v after %d requests", err, n.requests)
	}
}

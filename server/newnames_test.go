package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
)

// openNode has a catalog whose schema says how much room there is.
type openNode struct {
	fakeNode
	catalog *catalog.State
}

func (o *openNode) Schema() query.Schema { return o.catalog.Schema() }

// from sends a body as somebody at an address.
func from(s *Server, address, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, text(body))
	r.RemoteAddr = address
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func eventsNamed(from, to int) string {
	var items []string
	for i := from; i < to; i++ {
		items = append(items, fmt.Sprintf(`{"type":"track","messageId":"m%d","userId":"u","event":"E%d"}`, i, i))
	}
	return `{"batch":[` + strings.Join(items, ",") + `]}`
}

// TestNewNamesAreBounded: one sender does not take the names of all: what it brings beyond its allowance
// stays in the history and is told, and is taken later. Others, and who imports a file on the node's own
// machine, are not touched.
func TestNewNamesAreBounded(t *testing.T) {
	now := at
	node := &openNode{catalog: catalog.New(nil)}
	s := newTestServer(t, node, func(c *Config) {
		c.NewNames, c.NewNamesEach, c.Now = 20, 60, func() time.Time { return now }
		c.Origins = []string{"https://shop.example"}
		c.OpenIdentity = true // pages of other sites may import, and are bounded all the same
	})
	named := func(w *httptest.ResponseRecorder) (named, dropped int) {
		t.Helper()
		var r api.IngestResult
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Code != 200 || r.Rejected > 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, m := range node.got() {
			if !m.Unnamed {
				named++
			} else if m.Event == "" || len(m.Fields) > 0 {
				t.Errorf("%+v", m)
			}
		}
		node.mu.got, node.mu.seen = nil, nil
		return named, int(r.Dropped)
	}
	for _, c := range []struct {
		what, address, path, body string
		headers                   []string
		named, dropped            int
	}{
		{"a first sender", "10.0.0.1:1", "/v1/batch", eventsNamed(0, 30), nil, 20, 10},
		{"it again", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 110), nil, 0, 10},
		{"another key of it", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 130), []string{"Authorization", "Basic a2V5Og=="}, 20, 10},
		{"a third", "10.0.0.1:2", "/v1/batch?writeKey=k", eventsNamed(100, 200), nil, 20, 80},
		{"a fourth", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 200), []string{"X-Write-Key", "k4"}, 20, 80},
		{"a fifth", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 200), []string{"X-Write-Key", "k5"}, 0, 100},
		{"another address", "10.0.0.2:2", "/v1/batch", eventsNamed(0, 10), nil, 10, 0},
		{"a subnet", "[2001:db8::1]:2", "/v1/batch", eventsNamed(0, 20), nil, 20, 0},
		{"the same subnet", "[2001:db8::2]:2", "/v1/batch", eventsNamed(0, 20), nil, 0, 20},
		{"an import here", "127.0.0.1:2", "/v1/events?source=f", importLines(eventsNamed(0, 300)), nil, 300, 0},
		{"a page of a site that may", "127.0.0.1:2", "/v1/events?source=f", importLines(eventsNamed(0, 300)), []string{"Origin", "https://shop.example"}, 300, 0},
		{"an import from elsewhere", "10.0.0.3:2", "/v1/events?source=f", importLines(eventsNamed(0, 300)), nil, 20, 280},
	} {
		if n, dropped := named(from(s, c.address, c.path, c.body, c.headers...)); n != c.named || dropped != c.dropped {
			t.Errorf("%s: %d named and %d dropped, want %d and %d", c.what, n, dropped, c.named, c.dropped)
		}
	}
	if r := s.rejects.page(0, 1).Rejects[0]; r.Code != api.CodeNewNames || !r.Dropped || !strings.Contains(r.Reason, `"E299"`) {
		t.Errorf("%+v", r)
	}
	now = now.Add(5 * time.Second)
	if n, _ := named(from(s, "10.0.0.1:1", "/v1/batch", eventsNamed(100, 110))); n != 5 {
		t.Errorf("5 s later: %d named", n)
	}
	now = now.Add(time.Hour)
	if n, _ := named(from(s, "10.0.0.1:1", "/v1/batch", eventsNamed(0, 30))); n != 20 {
		t.Errorf("an hour later: %d named", n)
	}
}

// importLines makes lines of an import of a batch.
func importLines(batch string) string {
	text := strings.TrimSuffix(strings.TrimPrefix(batch, `{"batch":[`), `]}`)
	var out strings.Builder
	for i, item := range strings.Split(text, "},") {
		fmt.Fprintf(&out, "%s,\"_line\":%d}\n", strings.TrimSuffix(item, "}"), i+1)
	}
	return out.String()
}

// TestNewPropertiesAreBounded: attributes and properties too; a known name costs nothing.
func TestNewPropertiesAreBounded(t *testing.T) {
	many := func(n int) string {
		var fields []string
		for i := range n {
			fields = append(fields, fmt.Sprintf(`"p%d":%d`, i, i))
		}
		return strings.Join(fields, ",")
	}
	names := []catalog.Name{{Kind: query.EventName, Name: "Known"}}
	state, err := catalog.New(nil).Apply(catalog.Change{Kind: catalog.DefineNames, Version: 1, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		body string
		kept int
	}{
		{`{"type":"identify","userId":"u","traits":{` + many(60) + `}}`, 40},
		{`{"type":"track","userId":"u","event":"Known","properties":{` + many(300) + `}}`, 10},
		{`{"type":"page","userId":"u","properties":{` + many(300) + `}}`, 10},
	} {
		node := &openNode{catalog: state}
		s := newTestServer(t, node, func(c *Config) { c.NewNames = 40 })
		w := from(s, "10.0.0.1:1", "/v1/batch", `{"batch":[`+c.body+`]}`)
		m := node.got()[0]
		var rest struct{ Mismatched map[string]any }
		if err := json.Unmarshal(m.Context, &rest); err != nil {
			t.Fatal(err)
		}
		last := m.Fields[len(m.Fields)-1]
		if w.Code != 200 || m.Unnamed || len(m.Fields) != c.kept || last.Name != fmt.Sprintf("p%d", c.kept-1) || rest.Mismatched[last.Name] != nil || rest.Mismatched[fmt.Sprintf("p%d", c.kept)] == nil {
			t.Errorf("%.40s: %d columns of %s, %s", c.body, len(m.Fields), w.Body, m.Context)
		}
	}
}

// TestSendersAreBounded: the allowances of ever new senders take no more memory; those that share one
// have some of it.
func TestSendersAreBounded(t *testing.T) {
	now := at
	n := newNewNames(10, 60, func() time.Time { return now })
	took := 0
	for i := range 3 * maxSenders {
		if n.take(nameSender{"k", fmt.Sprint(i)}, "") {
			took++
		}
	}
	if len(n.mu.senders) > maxSenders+2 || took < maxSenders/2 || took > maxSenders {
		t.Errorf("%d senders are known, %d names taken", len(n.mu.senders), took)
	}
	now = now.Add(time.Minute)
	if !n.take(nameSender{"k", "new"}, "E") || len(n.mu.senders) > 10 {
		t.Errorf("after they have filled up %d are known", len(n.mu.senders))
	}
	if unbounded := newNewNames(-1, 60, time.Now); unbounded.sender(httptest.NewRequest("POST", "/v1/t", nil), false) != (nameSender{}) {
		t.Error("without a bound there are senders")
	}
}

// TestNoEventNameLeft: a message whose event has no name left is taken, with all it says in the history's
// part of it, also where the names run out while it is on its way.
func TestNoEventNameLeft(t *testing.T) {
	names := make([]catalog.Name, catalog.MaxEvents-1)
	for i := range names {
		names[i] = catalog.Name{Kind: query.EventName, Name: fmt.Sprint("e", i)}
	}
	state, err := catalog.New(nil).Apply(catalog.Change{Kind: catalog.DefineNames, Version: 1, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	node := &openNode{catalog: state}
	s := newTestServer(t, node, nil)
	w := ask(s, "POST", "/v1/batch", text(`{"batch":[{"type":"track","userId":"u","event":"last","properties":{"a":1}},
		{"type":"track","userId":"u","event":"beyond","properties":{"b":2,"c":"x"},"context":{"ip":"::1"}},{"type":"track","userId":"u","event":"e7"},{"type":"track","userId":"u","event":"a\u0000b"}]}`))
	if w.Body.String() != "{\"success\":true,\"dropped\":2}\n" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := node.got()
	if got[0].Unnamed || string(got[0].Unplaced) != `{"mismatched":{"a":1}}` || got[2].Unnamed || got[2].Unplaced != nil {
		t.Errorf("%+v\n%+v", got[0], got[2])
	}
	if m := got[1]; !m.Unnamed || m.Event != "beyond" || len(m.Fields) > 0 || string(m.Context) != `{"mismatched":{"b":2,"c":"x"},"context":{"ip":"::1"}}` {
		t.Errorf("%+v", m)
	}
	if page := s.rejects.page(0, 10).Rejects; page[0].Code != "refused" || page[1].Code != "too_many_names" || !page[1].Dropped || page[1].Line != 2 {
		t.Errorf("%+v", page)
	}
	node.ingest = func(_ context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		return []engine.Outcome{{Status: engine.Accepted, Unnamed: true}}, nil
	}
	if w := ask(s, "POST", "/v1/track", text(`{"userId":"u","event":"last"}`)); w.Body.String() != "{\"success\":true,\"dropped\":1}\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

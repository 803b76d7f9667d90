package server

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
)

// from sends a body from an address.
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

// TestNewNamesAreLimited: a sender cannot use up all names. A name beyond its allowance is dropped and
// reported, and accepted later. Other senders, and imports on the node's own machine, are not affected.
func TestNewNamesAreLimited(t *testing.T) {
	now := at
	named := 0
	fake := &fakeIngester{resolve: func(m *engine.Incoming, mayName func(catalog.Name) bool) []engine.Dropped {
		name := catalog.Name{Kind: query.EventName, Name: m.Event}
		if mayName != nil && !mayName(name) {
			return []engine.Dropped{{Reason: engine.NameWithheld, Name: name}}
		}
		named++
		return nil
	}}
	s := newTestServer(t, &Node{Ingest: fake}, func(c *Config) {
		c.NewNames, c.NewNamesEach, c.Now = 20, 60, func() time.Time { return now }
		c.Origins = []string{"https://shop.example"}
		c.OpenIdentity = true // pages of other sites may import, but are still limited
	})
	send := func(w *httptest.ResponseRecorder) (int, int) {
		t.Helper()
		var r api.IngestResult
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || w.Code != 200 || r.Rejected > 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		n := named
		named = 0
		return n, int(r.Dropped)
	}
	for _, c := range []struct {
		what, address, path, body string
		headers                   []string
		named, dropped            int
	}{
		{"a first sender", "10.0.0.1:1", "/v1/batch", eventsNamed(0, 30), nil, 20, 10},
		{"the same sender again", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 110), nil, 0, 10},
		{"another key of it", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 130), []string{"Authorization", "Basic a2V5Og=="}, 20, 10},
		{"a third", "10.0.0.1:2", "/v1/batch?writeKey=k", eventsNamed(100, 200), nil, 20, 80},
		{"a fourth", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 200), []string{"X-Write-Key", "k4"}, 20, 80},
		{"a fifth", "10.0.0.1:2", "/v1/batch", eventsNamed(100, 200), []string{"X-Write-Key", "k5"}, 0, 100},
		{"another address", "10.0.0.2:2", "/v1/batch", eventsNamed(0, 10), nil, 10, 0},
		{"a subnet", "[2001:db8::1]:2", "/v1/batch", eventsNamed(0, 20), nil, 20, 0},
		{"the same subnet", "[2001:db8::2]:2", "/v1/batch", eventsNamed(0, 20), nil, 0, 20},
		{"an import here", "127.0.0.1:2", "/v1/events?source=f", importLines(eventsNamed(0, 300)), nil, 300, 0},
		{"a page of an allowed site", "127.0.0.1:2", "/v1/events?source=f", importLines(eventsNamed(0, 300)), []string{"Origin", "https://shop.example"}, 300, 0},
		{"an import from elsewhere", "10.0.0.3:2", "/v1/events?source=f", importLines(eventsNamed(0, 300)), nil, 20, 280},
	} {
		if n, dropped := send(from(s, c.address, c.path, c.body, c.headers...)); n != c.named || dropped != c.dropped {
			t.Errorf("%s: %d named and %d dropped, want %d and %d", c.what, n, dropped, c.named, c.dropped)
		}
	}
	if r := s.rejects.page(0, 1).Rejects[0]; r.Code != codes.TooManyNewNames || !r.Dropped || !strings.Contains(r.Reason, `"E299"`) {
		t.Errorf("%+v", r)
	}
	now = now.Add(5 * time.Second)
	if n, _ := send(from(s, "10.0.0.1:1", "/v1/batch", eventsNamed(100, 110))); n != 5 {
		t.Errorf("5 s later: %d named", n)
	}
	now = now.Add(time.Hour)
	if n, _ := send(from(s, "10.0.0.1:1", "/v1/batch", eventsNamed(0, 30))); n != 20 {
		t.Errorf("an hour later: %d named", n)
	}
}

// importLines returns a batch as lines of an import.
func importLines(batch string) string {
	text := strings.TrimSuffix(strings.TrimPrefix(batch, `{"batch":[`), `]}`)
	var out strings.Builder
	for i, item := range strings.Split(text, "},") {
		fmt.Fprintf(&out, "%s,\"_line\":%d}\n", strings.TrimSuffix(item, "}"), i+1)
	}
	return out.String()
}

// TestNewPropertiesAreLimited: a property costs a tenth of an attribute, and one event gets at most a
// quarter of the allowance.
func TestNewPropertiesAreLimited(t *testing.T) {
	for _, c := range []struct {
		name catalog.Name
		want int
	}{
		{catalog.Name{Kind: query.AttributeName}, 40},
		{catalog.Name{Kind: query.EventName}, 40},
		{catalog.Name{Kind: query.PropertyName, Event: "Known"}, 10},
	} {
		may := newNameLimits(40, 60, func() time.Time { return at }).checkFor(httptest.NewRequest("POST", "/v1/t", nil), false)
		took := 0
		for i := range 300 {
			c.name.Name = fmt.Sprint("p", i)
			if may(c.name) {
				took++
			}
		}
		if took != c.want {
			t.Errorf("%+v: %d may be added, want %d", c.name, took, c.want)
		}
	}
}

// TestSendersAreLimited: a growing number of senders takes bounded memory, and those that share an
// allowance get some names.
func TestSendersAreLimited(t *testing.T) {
	now := at
	n := newNameLimits(10, 60, func() time.Time { return now })
	took := 0
	for i := range 3 * maxSenders {
		if n.take(nameSender{"k", fmt.Sprint(i)}, "") {
			took++
		}
	}
	if len(n.mu.senders) > maxSenders+2 || took < maxSenders/2 || took > maxSenders {
		t.Errorf("%d senders are known, %d names added", len(n.mu.senders), took)
	}
	now = now.Add(time.Minute)
	if !n.take(nameSender{"k", "new"}, "E") || len(n.mu.senders) > 10 {
		t.Errorf("after the allowances have refilled, %d senders are known", len(n.mu.senders))
	}
	if unbounded := newNameLimits(-1, 60, time.Now); unbounded.sender(httptest.NewRequest("POST", "/v1/t", nil), false) != (nameSender{}) {
		t.Error("without a limit there are senders")
	}
}

// TestDroppedIsReported: what the node drops is counted and listed in the rejects, with its line and
// reason, also for a message that is sent again.
func TestDroppedIsReported(t *testing.T) {
	fake := &fakeIngester{resolve: func(m *engine.Incoming, _ func(catalog.Name) bool) (dropped []engine.Dropped) {
		switch m.Event {
		case "beyond":
			return []engine.Dropped{{Reason: engine.NameLimit, Name: catalog.Name{Kind: query.EventName, Name: m.Event}}}
		case "typed":
			for i, why := range []engine.DropReason{engine.TypeMismatch, engine.NameInvalid, engine.NameReserved, engine.NameLimit, engine.NameWithheld} {
				dropped = append(dropped, engine.Dropped{Reason: why, Name: catalog.Name{Kind: query.PropertyName, Event: m.Event, Name: fmt.Sprint("p", i)}})
			}
		}
		return dropped
	}}
	s := newTestServer(t, &Node{Ingest: fake}, nil)
	const body = `{"batch":[{"type":"track","userId":"u","messageId":"1","event":"whole"},{"type":"track","userId":"u","messageId":"2","event":"typed"},{"type":"track","userId":"u","messageId":"3","event":"beyond"}]}`
	for range 2 {
		if w := ask(s, "POST", "/v1/batch", text(body)); w.Body.String() != "{\"success\":true,\"dropped\":6}\n" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	page := s.rejects.page(0, 100)
	var got []string
	for _, r := range page.Rejects[:6] {
		got = append(got, fmt.Sprint(r.Line, r.Code, r.Dropped, ": ", r.Reason))
	}
	want := []string{
		`3too_many_namestrue: there are too many names to add "beyond": the message is kept in history only`,
		`2too_many_new_namestrue: the sender adds new names too fast, so "p4" is not added now: the value is kept in history only; later values are accepted`,
		`2too_many_namestrue: there are too many names to add "p3": the value is kept in history only`,
		`2reserved_nametrue: p2 is built in and cannot be set: the value is kept in history only`,
		`2refusedtrue: "p1" cannot be a name: the value is kept in history only`,
		`2wrong_typetrue: p0 has another type than its column: the value is kept in history only`,
	}
	if page.Total != 12 || !slices.Equal(got, want) {
		t.Errorf("%d: %s", page.Total, strings.Join(got, "\n"))
	}
}

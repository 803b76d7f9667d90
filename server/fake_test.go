package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// at is the current time in all tests.
var at = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

// fakeIngester is an Ingester made of functions. If ingest is nil, it accepts every message once and
// records it.
type fakeIngester struct {
	begin   func(msgs []engine.Incoming) (finished func(), err error) // may refuse; finished is called by Wait
	resolve func(m *engine.Incoming, mayName func(catalog.Name) bool) []engine.Dropped
	ingest  func(ctx context.Context, msgs []engine.Incoming) ([]engine.Outcome, error)

	mu struct {
		sync.Mutex
		got  []engine.Incoming
		seen map[string]bool
	}
}

// fakeDelivery is a delivery that has already been decided.
type fakeDelivery func() ([]engine.Outcome, error)

func (f fakeDelivery) Wait() ([]engine.Outcome, error) { return f() }

// take calls ingest, or records the messages.
func (f *fakeIngester) take(ctx context.Context, msgs []engine.Incoming) ([]engine.Outcome, error) {
	if f.ingest != nil {
		return f.ingest(ctx, msgs)
	}
	return f.keep(msgs), nil
}

// Begin accepts the messages, and Wait returns the outcomes. begin may refuse them, and resolve returns
// what is dropped.
func (f *fakeIngester) Begin(ctx context.Context, msgs []engine.Incoming, mayName func(catalog.Name) bool) (node.Delivery, error) {
	finished := func() {}
	if f.begin != nil {
		var err error
		if finished, err = f.begin(msgs); err != nil {
			return nil, err
		}
	}
	outcomes, err := f.take(ctx, msgs)
	for i := range outcomes {
		if f.resolve != nil {
			outcomes[i].Dropped = f.resolve(&msgs[i], mayName)
		}
	}
	return fakeDelivery(func() ([]engine.Outcome, error) { finished(); return outcomes, err }), nil
}

func (f *fakeIngester) keep(msgs []engine.Incoming) []engine.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.seen == nil {
		f.mu.seen = make(map[string]bool)
	}
	out := make([]engine.Outcome, len(msgs))
	for i, m := range msgs {
		key := m.MessageID
		if m.Source != "" {
			key = m.Source + "\x00" + string(rune(m.Line))
		}
		out[i].Status = engine.Accepted
		if f.mu.seen[key] {
			out[i].Status = engine.Duplicate
			continue
		}
		f.mu.seen[key] = true
		f.mu.got = append(f.mu.got, copied(m))
	}
	return out
}

// copied returns a message that shares no memory with m, whose memory is reused after the request.
func copied(m engine.Incoming) engine.Incoming {
	for _, s := range []*string{&m.MessageID, &m.Source, &m.UserID, &m.AnonymousID, &m.PreviousID, &m.GroupID, &m.Event} {
		*s = strings.Clone(*s)
	}
	m.Context, m.Fields = bytes.Clone(m.Context), slices.Clone(m.Fields)
	for i := range m.Fields {
		m.Fields[i].Name, m.Fields[i].Value = strings.Clone(m.Fields[i].Name), copiedValue(m.Fields[i].Value)
	}
	return m
}

func copiedValue(v tree.Value) tree.Value {
	v.Str, v.List = strings.Clone(v.Str), slices.Clone(v.List)
	for i := range v.List {
		v.List[i] = copiedValue(v.List[i])
	}
	return v
}

func (f *fakeIngester) got() []engine.Incoming {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.got
}

// fakeAsker is an Asker made of a function.
type fakeAsker struct {
	query func(ctx context.Context, ask node.Ask) (*query.Answer, error)
}

func (f fakeAsker) Query(ctx context.Context, ask node.Ask) (*query.Answer, error) {
	return f.query(ctx, ask)
}

// answering returns an Asker with one answer to everything.
func answering(a *query.Answer) Asker {
	return fakeAsker{func(context.Context, node.Ask) (*query.Answer, error) { return a, nil }}
}

// fakeCatalog is a Catalog with a schema and fixed names.
type fakeCatalog struct{ schema func() query.Schema }

func (f fakeCatalog) Schema() query.Schema { return f.schema() }
func (f fakeCatalog) Names(_ context.Context, kind query.NameKind) ([]query.NameInfo, error) {
	switch kind {
	case query.AttributeName:
		return []query.NameInfo{{Name: "plan", Type: tree.StringType, Cardinality: 2, Count: 7, Examples: []tree.Value{tree.Str("free"), tree.Str("pro")}, MemoryBytes: 64}}, nil
	case query.EventName:
		return []query.NameInfo{{Name: "Order Completed", Count: 3, FirstSeen: at.UnixMilli(), LastSeen: at.UnixMilli(), Properties: []query.NameInfo{{Name: "amount", Type: tree.NumberType, Cardinality: -1, Examples: []tree.Value{num("12.5")}}}}}, nil
	}
	return []query.NameInfo{{Name: "VIP", Count: 1}}, nil
}

// fakeProfiles has one profile, u1. Its People has a person of any name except gone.
type fakeProfiles struct{}

func (fakeProfiles) About(_ context.Context, id string) (*engine.About, error) {
	if id != "u1" && id != "a/1" {
		return nil, node.ErrNoProfile
	}
	return &engine.About{ID: "u1", UserID: "u1", AnonymousIDs: []string{"a/1"}, Attributes: []engine.NamedField{{Name: "plan", Value: tree.Str("pro")}, {Name: "ltv", Value: num("10.50")}, {Name: "tags", Value: tree.ListOf(tree.Str("x"), tree.NumInt(2))}},
		Events: []engine.EventCount{{Name: "Order Completed", Count: 3, First: at.UnixMilli() - 5, Last: at.UnixMilli()}}, FirstSeen: at.UnixMilli() - 5, LastSeen: at.UnixMilli(), Segments: []string{"Rich"}, Building: []string{"Old", "VIP"}, Shard: 3, Seq: 99}, nil
}

func (fakeProfiles) Timeline(_ context.Context, id, before string, limit int) ([]engine.Received, string, error) {
	m := engine.Incoming{Kind: engine.Track, MessageID: "m1", UserID: "u1", Event: "E", Time: at.UnixMilli(), ReceivedAt: at.UnixMilli(), Fields: []engine.NamedField{{Name: "a.b", Value: num("1.5")}}, Context: []byte(`{"context":{"ip":"::1"}}`)}
	return []engine.Received{{Incoming: m, Shard: 1, Seq: 7}}, "older-than-" + before, nil
}

func (fakeProfiles) People(_ context.Context, ids, names []string) ([]*node.Person, error) {
	people := make([]*node.Person, len(ids))
	for i, id := range ids {
		if id == "gone" {
			continue
		}
		people[i] = &node.Person{UserID: id, AnonymousIDs: []string{"anon-" + id}, Fields: []engine.NamedField{}}
		for _, name := range names {
			people[i].Fields = append(people[i].Fields, engine.NamedField{Name: name, Value: tree.Str(name + " of " + id)})
		}
	}
	return people, nil
}

// fakeSegments keeps segments in memory.
type fakeSegments struct {
	mu       sync.Mutex
	segments []node.SegmentText
}

// segmentsOf returns Segments with these segments.
func segmentsOf(segments ...node.SegmentText) *fakeSegments { return &fakeSegments{segments: segments} }

func (f *fakeSegments) PutSegment(_ context.Context, t node.SegmentText, replace, allowUnknown bool) ([]tree.Diagnostic, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.segments {
		if f.segments[i].Name == t.Name {
			if !replace {
				return nil, &node.Error{Code: codes.SegmentExists, Text: "there is a segment of this name"}
			}
			f.segments[i] = t
			return []tree.Diagnostic{{Code: "unknown_attribute", Message: "no attribute is called x", Line: 1, Column: 2, Length: 1}}, nil
		}
	}
	f.segments = append(f.segments, t)
	return nil, nil
}

func (f *fakeSegments) DropSegment(context.Context, string) error { return nil }

func (f *fakeSegments) Segments(context.Context) ([]node.SegmentText, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.segments), nil
}

func (f *fakeSegments) Segment(_ context.Context, name string) (node.SegmentText, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.segments, func(t node.SegmentText) bool { return t.Name == name })
	if i < 0 {
		return node.SegmentText{}, false, nil
	}
	return f.segments[i], true, nil
}

// fakeMembers is Members made of a function. Every profile is in VIP and in no other segment.
type fakeMembers struct {
	members func(predicate, after string, limit int, fn func(id, position string) bool) (query.Stats, error)
}

func (f *fakeMembers) Members(_ context.Context, predicate, after string, limit int, fn func(id, position string) bool) (query.Stats, error) {
	return f.members(predicate, after, limit, fn)
}

func (f *fakeMembers) MemberOf(_ context.Context, segment, id string) (bool, error) {
	return segment == "VIP", nil
}

// fakeLists accepts every edit.
type fakeLists struct{}

func (fakeLists) ListEdit(context.Context, string, []string, []string) error { return nil }
func (fakeLists) DropList(context.Context, string) error                     { return nil }

// fakeHealth is a Health with a fixed status.
type fakeHealth struct{ status node.Status }

func (f fakeHealth) Status(context.Context) node.Status { return f.status }

type fakeSchema struct{ query.Schema }

func (fakeSchema) Event(name string) (uint32, bool) { return 1, name == "Typed" }
func (fakeSchema) Property(_ uint32, name string) (uint32, tree.Type, bool) {
	switch name {
	case "amount":
		return 1, tree.NumberType, true
	case "due":
		return 2, tree.TimeType, true
	}
	return 0, tree.NoType, false
}
func (fakeSchema) Attribute(name string) (uint32, tree.Type, bool) {
	return 16, tree.BoolType, name == "group.paying" || name == "opt_in"
}

func (fakeSchema) Names(kind query.NameKind, event string, yield func(string, tree.Type) bool) {
	if kind == query.ListName {
		yield("newsletter", tree.NoType)
	}
	if kind == query.AttributeName {
		yield("country", tree.StringType)
	}
}

func num(text string) tree.Value {
	n, ok := tree.ParseNumber(text)
	if !ok {
		panic(text)
	}
	return tree.Num(n)
}

// newTestServer returns a server attached to n, with fakes for the parts that n lacks. If n is nil it has
// no node.
func newTestServer(t testing.TB, n *Node, change func(*Config)) *Server {
	t.Helper()
	cfg := Config{Now: func() time.Time { return at }}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n != nil {
		s.Attach(withFakes(*n))
	}
	return s
}

// withFakes adds fakes for the parts that a node lacks; Query stays nil.
func withFakes(n Node) Node {
	if n.Ingest == nil {
		n.Ingest = &fakeIngester{}
	}
	if n.Catalog == nil {
		n.Catalog = fakeCatalog{func() query.Schema { return fakeSchema{} }}
	}
	if n.Profiles == nil {
		n.Profiles = fakeProfiles{}
	}
	if n.Segments == nil {
		n.Segments = segmentsOf()
	}
	if n.Members == nil {
		n.Members = &fakeMembers{}
	}
	if n.Lists == nil {
		n.Lists = fakeLists{}
	}
	if n.Health == nil {
		n.Health = fakeHealth{}
	}
	return n
}

// ask sends a request to a handler. headers are pairs of name and value.
func ask(s http.Handler, method, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// problemOf returns the problem that an answer must have.
func problemOf(t testing.TB, w *httptest.ResponseRecorder, status int, code string) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("not a problem: %v: %s", err, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != api.ProblemType {
		t.Errorf("a problem of type %q", got)
	}
	if w.Code != status || p.Status != status || p.Code != code {
		t.Fatalf("got %d %s (%s), want %d %s", w.Code, p.Code, p.Detail, status, code)
	}
	return p
}

func text(s string) io.Reader { return strings.NewReader(s) }

// resultOf returns the result of POST /v1/events.
func resultOf(t testing.TB, w *httptest.ResponseRecorder) api.IngestResult {
	t.Helper()
	var r api.IngestResult
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&r); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s (%v)", w.Code, w.Body, err)
	}
	return r
}

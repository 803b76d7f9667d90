package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
)

// TestClient: the Go client and the server agree on every call.
func TestClient(t *testing.T) {
	fake := &Node{Query: fakeAsker{func(context.Context, node.Ask) (*query.Answer, error) { return fullAnswer(), nil }}, Segments: segmentsOf(node.SegmentText{Name: "VIP", Predicate: "age > 3"}), Members: &fakeMembers{twoMembers}, Health: fakeHealth{fullStatus()}}
	s := newTestServer(t, fake, nil)
	c := &api.Client{BaseURL: "http://" + serve(t, s) + "/"}
	ctx := t.Context()
	must := func(what string, got any, err error) any {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return got
	}
	a, err := c.Query(ctx, api.QueryRequest{Query: "count"})
	must("query", a, err)
	if a.Rows[0][6] != json.Number("9007199254740993") || a.Rows[2][0] != nil || !reflect.DeepEqual(a.Rows[0][4], []any{"a", json.Number("2")}) || a.Warnings[0].Column != 2 {
		t.Errorf("%+v", a)
	}
	body, err := c.QueryAs(ctx, api.QueryRequest{Query: "count"}, "text/csv")
	must("query as", body, err)
	if table, err := io.ReadAll(body); err != nil || !strings.HasPrefix(string(table), "user_id,ltv") {
		t.Errorf("%v %s", err, table)
	}
	parsed, err := c.Parse(ctx, "count where age > 3")
	must("parse", parsed, err)
	formatted, err := c.Format(ctx, parsed.Tree)
	if must("format", formatted, err); formatted.Text != "count where age > 3" {
		t.Errorf("%+v", formatted)
	}
	p, err := c.Profile(ctx, "a/1")
	if must("profile", p, err); p.ID != "u1" {
		t.Errorf("%+v", p)
	}
	for what, call := range map[string]func() (any, error){
		"timeline": func() (any, error) { return c.Timeline(ctx, "u1", "p/1", 5) }, "segments": func() (any, error) { return c.Segments(ctx) },
		"segment": func() (any, error) { return c.Segment(ctx, "VIP") }, "put": func() (any, error) {
			return c.PutSegment(ctx, "New one", api.SegmentRequest{Predicate: "x = 1"}, true)
		}, "members": func() (any, error) { return c.Members(ctx, "VIP", "", 5) }, "membersAs": func() (any, error) { return c.MembersAs(ctx, "VIP", "text/csv") },
		"lists": func() (any, error) { return c.Lists(ctx) }, "edit": func() (any, error) { return c.EditList(ctx, "l", []string{"u"}, nil) },
		"catalog": func() (any, error) { return c.Catalog(ctx) }, "rejects": func() (any, error) { return c.Rejects(ctx, 5, 5) }, "health": func() (any, error) { return c.Health(ctx) },
		"batch": func() (any, error) { return c.Batch(ctx, []json.RawMessage{json.RawMessage(oneTrack)}) },
		"drop":  func() (any, error) { return nil, c.DropSegment(ctx, "VIP") },
	} {
		got, err := call()
		must(what, got, err)
	}
	if in, err := c.Member(ctx, "New one", "u1"); err != nil || in {
		t.Errorf("%v %v", in, err)
	}
	r, err := c.Events(ctx, strings.NewReader(track(100)+"\n{\n"), "")
	if must("events", r, err); r.Accepted != 1 || r.Rejected != 1 || r.Problems[0].Line != 2 {
		t.Errorf("%+v", r)
	}
	var problem *api.Problem
	if _, err := c.Profile(ctx, "nobody"); !errors.As(err, &problem) || problem.Code != "no_profile" || problem.Status != 404 {
		t.Errorf("%v", err)
	}
	if _, err := c.Events(ctx, io.MultiReader(strings.NewReader(track(2)+"\n"), strings.NewReader("{")), "file"); err != nil {
		t.Errorf("%v", err)
	}
}

// TestClientPatience: the client retries when the server is busy, but not forever.
func TestClientPatience(t *testing.T) {
	var calls atomic.Int64
	fake := &fakeIngester{}
	fake.ingest = func(_ context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		if calls.Add(1) < 2 {
			return nil, &node.Error{Code: codes.Overloaded, Text: "the queue is full", Retry: time.Second}
		}
		return fake.keep(m), nil
	}
	c := &api.Client{BaseURL: "http://" + serve(t, newTestServer(t, &Node{Ingest: fake}, nil))}
	if _, err := c.Batch(t.Context(), []json.RawMessage{json.RawMessage(oneTrack)}); err != nil || calls.Load() != 2 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
	calls.Store(-1 << 30)
	c.Patience = -1
	var problem *api.Problem
	if _, err := c.Batch(t.Context(), []json.RawMessage{json.RawMessage(oneTrack)}); !errors.As(err, &problem) || problem.Status != http.StatusTooManyRequests || problem.RetryAfter != time.Second {
		t.Errorf("%v", err)
	}
	c.Patience = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Batch(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

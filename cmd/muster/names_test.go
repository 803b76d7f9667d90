package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/server/webhook"
)

// misleadingNames are not shown as they are: they have control characters, invisible characters, or are too long.
var misleadingNames = []string{
	" ", "\u00a0", "a\nb", "a\rb", "a\tb", "\x1b]0;title\x07", "a\x7f", "a\u009bm", "a\u202eb", "a\u2066b", "V\u200bIP", "\ufeffVIP", "VIP\U000e0041", strings.Repeat("n", 257),
}

// TestMisleadingNamesAreRefused tries to give misleading names to everything that can be named, over HTTP and in
// statements.
func TestMisleadingNamesAreRefused(t *testing.T) {
	n := newLiveNode(t)
	if err := n.server.Load().StartWebhooks(nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stopWebhooks)
	n.query(`create segment "Pro" as everyone`)
	wantRefused := func(what, name string, err error) {
		t.Helper()
		var p *api.Problem
		if !errors.As(err, &p) || p.Code != codes.BadName {
			t.Errorf("%s %q: %v, want code %s", what, name, err, codes.BadName)
		}
	}
	for _, name := range misleadingNames {
		_, err := n.api.PutSegment(t.Context(), name, api.SegmentRequest{Predicate: "everyone"}, true)
		wantRefused("segment", name, err)
		wantRefused("list", name, n.put("/v1/lists/"+url.PathEscape(name), api.ListRequest{Add: []string{"u1"}}))
		wantRefused("webhook", name, n.put("/v1/webhooks/"+url.PathEscape(name), api.WebhookRequest{Segment: "Pro", URL: "https://example.com/"}))
		if !strings.ContainsAny(name, "\x07\x1b") { // a statement cannot contain these
			_, err = n.api.Query(t.Context(), api.QueryRequest{Query: "create segment " + quoted(name) + " as everyone"})
			var p *api.Problem
			if !errors.As(err, &p) || p.Code != codes.BadName && p.Code != "syntax" {
				t.Errorf("create segment %q: %v", name, err)
			}
		}
		if strings.TrimSpace(name) != "" && len(name) < 300 {
			_, err = n.api.Events(t.Context(), strings.NewReader(`{"type":"track","event":"E","userId":"u1","_line":1}`), name+strings.Repeat("s", 300))
			wantRefused("source", name, err)
		}
	}
	for what, described := range map[string]string{"long": strings.Repeat("d", 4097), "with an escape": "a\x1b[m", "with an override": "a\u202eb"} {
		_, err := n.api.PutSegment(t.Context(), "S", api.SegmentRequest{Predicate: "everyone", Described: described}, true)
		var p *api.Problem
		if !errors.As(err, &p) || p.Status != 422 {
			t.Errorf("a description that is %s: %v", what, err)
		}
	}
	if _, err := n.api.PutSegment(t.Context(), "S", api.SegmentRequest{Predicate: "everyone", Described: strings.Repeat("d\n", 2048)}, true); err != nil {
		t.Errorf("a description of 4 KiB: %v", err)
	}
	if got, err := n.api.Segments(t.Context()); err != nil || len(got.Segments) != 2 {
		t.Errorf("segments: %v, %v", got, err)
	}
}

func (n *liveNode) stopWebhooks() {
	if err := n.server.Load().StopWebhooks(context.Background()); err != nil {
		n.t.Error(err)
	}
}

// put sends a JSON value and returns the problem in the answer, or nil.
func (n *liveNode) put(path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return n.request("PUT", path, string(text))
}

// TestOldMisleadingNames checks that an existing webhook with a misleading name can be shown, changed and removed.
func TestOldMisleadingNames(t *testing.T) {
	n := newLiveNode(t)
	n.query(`create segment "Pro" as everyone`)
	table := memoryTable{}
	for i, name := range misleadingNames {
		hook, err := json.Marshal(webhook.Hook{Name: name, Segment: "Pro", URL: "https://example.com/", Format: "native", Secret: "whsec_" + strings.Repeat("AAAA", 8), Epoch: fmt.Sprint(i), Disabled: "for the test"})
		if err != nil {
			t.Fatal(err)
		}
		table["hook/"+name] = hook
	}
	if err := n.server.Load().StartWebhooks(nil, table); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stopWebhooks)
	for _, name := range misleadingNames {
		path := "/v1/webhooks/" + url.PathEscape(name)
		if err := n.request("GET", path, ""); err != nil {
			t.Errorf("get %q: %v", name, err)
		}
		if err := n.put(path, api.WebhookRequest{Segment: "Pro", URL: "https://example.com/2"}); err != nil {
			t.Errorf("change %q: %v", name, err)
		}
		if err := n.request("DELETE", path, ""); err != nil {
			t.Errorf("remove %q: %v", name, err)
		}
	}
	if len(table) != 0 {
		t.Errorf("left over: %v", table)
	}
}

// memoryTable is a disk.Table.
type memoryTable map[string][]byte

// All implements disk.Table.
func (m memoryTable) All(fn func(key string, value []byte) error) error {
	for key, value := range m {
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

// Put implements disk.Table.
func (m memoryTable) Put(values map[string][]byte) error {
	for key, value := range values {
		if m[key] = value; value == nil {
			delete(m, key)
		}
	}
	return nil
}

package main

import (
	"fmt"
	"testing"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

func TestNodeShowsItsCatalog(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	var msgs []engine.Incoming
	for i := range 40 {
		user := fmt.Sprint("user-", i)
		msgs = append(msgs, identify(fmt.Sprint("i", i), user, field("plan", tree.Str([]string{"free", "pro"}[i%2]))),
			track(fmt.Sprint("t", i), user, "Search", field("term", tree.Str("shoes")), field("hits", tree.NumInt(3))))
	}
	ingest(t, n, engine.Accepted, msgs...)
	queryValue(t, n, `create segment "Pros" described "who pay" as plan = "pro" in timezone "Europe/Berlin"`)
	queryValue(t, n, `create segment "Searching" as in segment "Pros" and did "Search"`)

	for _, c := range []struct {
		text, first string
		rows        int
	}{
		{"show segments", "Pros", 2}, {"show events", "Search", 1}, {"describe event Search", "hits", 2},
		{"describe attribute plan", "plan", 1}, {`describe segment "Pros"`, "Pros", 1},
	} {
		answer, err := n.Query(t.Context(), node.Ask{Text: c.text})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if len(answer.Rows) != c.rows || answer.Rows[0][0].Str != c.first || len(answer.Columns) != len(answer.Rows[0]) {
			t.Errorf("%s: %d rows of %v, want %d beginning with %s", c.text, len(answer.Rows), answer.Rows, c.rows, c.first)
		}
		if len(answer.Stats.Shards) != 8 || answer.Stats.Now == 0 {
			t.Errorf("%s: stats %+v, want 8 shards and a time", c.text, answer.Stats)
		}
	}
	infos, err := n.Names(t.Context(), query.EventName)
	if err != nil || len(infos) != 1 || infos[0].Count != 40 || len(infos[0].Properties) != 2 || infos[0].Properties[0].Count != 40 {
		t.Errorf("names of events: %+v, %v", infos, err)
	}
	for text, want := range map[string]string{
		`describe event "Serch"`:   "not_found",
		`drop segment "none"`:      "no_segment",
		`describe segment "none"`:  "no_segment",
		`drop segment "Pros"`:      "in_use",
		`count where in list "no"`: "unknown_list",
	} {
		_, err := n.Query(t.Context(), node.Ask{Text: text})
		d, ok := err.(*tree.Diagnostic)
		if !ok || d.Line != 1 {
			t.Errorf("%s: %v, want a located diagnostic %s", text, err, want)
		} else if d.Code != want {
			t.Errorf("%s: code %s, want %s", text, d.Code, want)
		}
	}
	_, err = n.Query(t.Context(), node.Ask{Text: `create or replace segment "Pros" as in segment "Searching"`})
	if err == nil {
		t.Error("a cycle of segments was saved")
	}
	if _, err := n.Query(t.Context(), node.Ask{Text: "count", Consistency: "linearizable"}); err != nil {
		t.Errorf("linearizable: %v", err)
	}
	_, err = n.Query(t.Context(), node.Ask{Text: "count", Consistency: "eventual"})
	wantCode(t, err, "bad_request")
}

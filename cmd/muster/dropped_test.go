package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query/tree"
)

// TestFirstValuesOfANewNameMayDisagree: the first message of a request gives a name its type, what disagrees with it
// is told and kept, and who sends the message again hears the same.
func TestFirstValuesOfANewNameMayDisagree(t *testing.T) {
	n := newLiveNode(t)
	const body = `{"batch":[
		{"type":"track","messageId":"1","userId":"u1","event":"New","properties":{"amount":1,"due":"2026-01-01"}},
		{"type":"track","messageId":"2","userId":"u2","event":"New","properties":{"amount":"lots","due":"soon"},"context":{"ip":"::1"}},
		{"type":"identify","messageId":"3","userId":"u3","traits":{"age":[1.50,"x"]}},
		{"type":"identify","messageId":"4","userId":"u4","traits":{"age":7}}]}`
	for range 2 {
		if err := n.request("POST", "/v1/batch", body); err != nil {
			t.Fatal(err)
		}
		rejects, err := n.api.Rejects(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		lines := ""
		for _, r := range rejects.Rejects[:3] {
			lines += fmt.Sprint(r.Line, " ", r.Code, " ", r.Dropped, ", ")
		}
		if lines != "4 wrong_type true, 2 wrong_type true, 2 wrong_type true, " {
			t.Errorf("rejects: %s", lines)
		}
	}
	for user, want := range map[string]string{"u1": "", "u2": `{"mismatched":{"amount":"lots","due":"soon"},"context":{"ip":"::1"}}`, "u3": "", "u4": `{"mismatched":{"age":7}}`} {
		line, err := n.api.Timeline(t.Context(), user, "", 10)
		if err != nil || len(line.Events) != 1 || string(line.Events[0].Rest) != want {
			t.Errorf("%s: %+v, %v, want %s", user, line, err, want)
		}
	}
}

// TestNamesMadeAtTheSameTime: of requests that bring one new name with values of different types, one gives it its
// type; the others are told what they lost, so that as many values are counted as are not told.
func TestNamesMadeAtTheSameTime(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	const senders, names = 8, 20
	var taken [names]atomic.Int64
	var work sync.WaitGroup
	for s := range senders {
		work.Go(func() {
			for i := range names {
				value := tree.NumInt(1)
				if s%2 == 1 {
					value = tree.Str("one")
				}
				outcomes, err := n.Ingest(t.Context(), []engine.Incoming{identify(fmt.Sprintf("%d-%d", s, i), fmt.Sprint("u", s), field(fmt.Sprint("a", i), value))})
				switch {
				case err != nil || outcomes[0].Status != engine.Accepted:
					t.Errorf("%+v, %v", outcomes, err)
				case len(outcomes[0].Dropped) == 0:
					taken[i].Add(1)
				case outcomes[0].Dropped[0].Reason != engine.TypeMismatch:
					t.Errorf("%+v", outcomes[0].Dropped)
				}
			}
		})
	}
	work.Wait()
	for i := range names {
		wantAnswer(t, n, fmt.Sprintf("count where a%d is set", i), fmt.Sprint(taken[i].Load()))
		if taken[i].Load() != senders/2 {
			t.Errorf("a%d: %d values were taken", i, taken[i].Load())
		}
	}
}

// TestSendersBoundNames: names that a sender may not bring become none, their values are kept and told; names that
// others have made cost nothing.
func TestSendersBoundNames(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	ingest(t, n, engine.Accepted, track("0", "u", "Known", field("p", tree.NumInt(1))))
	asked := ""
	send := func(msgs ...engine.Incoming) string {
		t.Helper()
		delivery, err := n.Begin(t.Context(), msgs, func(name catalog.Name) bool {
			asked += name.Event + "." + name.Name + " "
			return strings.HasPrefix(name.Name, "may")
		})
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := delivery.Wait()
		if err != nil {
			t.Fatal(err)
		}
		told := ""
		for i, o := range outcomes {
			for _, d := range o.Dropped {
				told += fmt.Sprintf("%d:%d %s, ", i, d.Reason, d.Name.Name)
			}
		}
		return told
	}
	msgs := []engine.Incoming{
		track("1", "u", "Known", field("p", tree.NumInt(1)), field("may", tree.NumInt(1)), field("not", tree.NumInt(1))),
		track("2", "v", "Not", field("may", tree.NumInt(1))), track("3", "w", "may", field("q", tree.NumInt(1))), track("4", "u", "Not"),
	}
	if got, want := send(msgs...), "0:6 not, 1:6 Not, 2:6 q, 3:6 Not, "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if want := "Known.may Known.not .Not .may may.q "; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
	wantAnswer(t, n, `stats count of "Known"`, "2")
	wantAnswer(t, n, `stats count of "may"`, "1")
	events, _, err := n.Timeline(t.Context(), "v", "", 10)
	if err != nil || len(events) != 1 || events[0].Event != "Not" || string(events[0].Context) != `{"mismatched":{"may":1}}` {
		t.Errorf("%+v, %v", events, err)
	}
	ingest(t, n, engine.Accepted, track("5", "x", "Not", field("may", tree.NumInt(1))))
	asked = ""
	if got := send(track("6", "u", "Not", field("may", tree.NumInt(2)))); got != "" || asked != "" {
		t.Errorf("%s, asked %s", got, asked)
	}
}

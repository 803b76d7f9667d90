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

// TestFirstValuesOfANewNameMayDisagree checks that the first message of a request determines the type of a new
// name. Values of another type are reported as rejects and kept in the history. Sending the request again gives
// the same result.
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

// TestNamesMadeAtTheSameTime sends requests concurrently that use the same new names with values of different
// types. Each name gets the type of one of them. Every value is either counted or reported as dropped.
func TestNamesMadeAtTheSameTime(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	const senders, names = 8, 20
	var counted [names]atomic.Int64
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
					counted[i].Add(1)
				case outcomes[0].Dropped[0].Reason != engine.TypeMismatch:
					t.Errorf("%+v", outcomes[0].Dropped)
				}
			}
		})
	}
	work.Wait()
	for i := range names {
		wantAnswer(t, n, fmt.Sprintf("count where a%d is set", i), fmt.Sprint(counted[i].Load()))
		if counted[i].Load() != senders/2 {
			t.Errorf("a%d: %d values were counted, want %d", i, counted[i].Load(), senders/2)
		}
	}
}

// TestNameLimitOfSender checks that names which a sender may not introduce are not created, and that their values
// are reported and kept in the history. The sender may use names that others have introduced.
func TestNameLimitOfSender(t *testing.T) {
	n := openTest(t, testConfig(t.TempDir()))
	ingest(t, n, engine.Accepted, track("0", "u", "Known", field("p", tree.NumInt(1))))
	requested := "" // the new names for which permission was requested
	send := func(msgs ...engine.Incoming) string {
		t.Helper()
		delivery, err := n.Begin(t.Context(), msgs, func(name catalog.Name) bool {
			requested += name.Event + "." + name.Name + " "
			return strings.HasPrefix(name.Name, "may")
		})
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := delivery.Wait()
		if err != nil {
			t.Fatal(err)
		}
		reported := ""
		for i, o := range outcomes {
			for _, d := range o.Dropped {
				reported += fmt.Sprintf("%d:%d %s, ", i, d.Reason, d.Name.Name)
			}
		}
		return reported
	}
	msgs := []engine.Incoming{
		track("1", "u", "Known", field("p", tree.NumInt(1)), field("may", tree.NumInt(1)), field("not", tree.NumInt(1))),
		track("2", "v", "Not", field("may", tree.NumInt(1))), track("3", "w", "may", field("q", tree.NumInt(1))), track("4", "u", "Not"),
	}
	if got, want := send(msgs...), "0:6 not, 1:6 Not, 2:6 q, 3:6 Not, "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if want := "Known.may Known.not .Not .may may.q "; requested != want {
		t.Errorf("requested %s, want %s", requested, want)
	}
	wantAnswer(t, n, `stats count of "Known"`, "2")
	wantAnswer(t, n, `stats count of "may"`, "1")
	events, _, err := n.Timeline(t.Context(), "v", "", 10)
	if err != nil || len(events) != 1 || events[0].Event != "Not" || string(events[0].Context) != `{"mismatched":{"may":1}}` {
		t.Errorf("%+v, %v", events, err)
	}
	ingest(t, n, engine.Accepted, track("5", "x", "Not", field("may", tree.NumInt(1))))
	requested = ""
	if got := send(track("6", "u", "Not", field("may", tree.NumInt(2)))); got != "" || requested != "" {
		t.Errorf("dropped %q, requested %q, want neither", got, requested)
	}
}

package main

import (
	"fmt"
	"testing"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query/tree"
)

// TestEventsBeyondNameLimit checks that when the limit of event names is reached, events with an existing name are
// counted as before, and events with a new name are kept in the history, also after restarts.
func TestEventsBeyondNameLimit(t *testing.T) {
	config := testConfig(t.TempDir())
	config.Shards = 2
	config.Tune = func(c *cluster.Config) { c.SnapshotBytes = 20 << 10 }
	for restart := range 3 {
		n, err := openCluster(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if restart == 0 {
			var msgs []engine.Incoming
			for i := range catalog.MaxEvents {
				msgs = append(msgs, track(fmt.Sprint("m", i), fmt.Sprint("u", i%50), fmt.Sprint("event ", i), field("n", tree.NumInt(1))))
			}
			ingest(t, n, engine.Accepted, msgs...)
			beyond := track("beyond", "u1", "event beyond", field("n", tree.NumInt(1)))
			beyond.Context = []byte(`{"x":2}`)
			known := track("known", "u1", "event 7", field("n", tree.NumInt(2)))
			outcomes, err := n.Ingest(t.Context(), []engine.Incoming{beyond, known, {Kind: engine.Track, MessageID: "alone", UserID: "nobody else", Event: "event far beyond", Time: testTime, ReceivedAt: testTime}})
			if err != nil {
				t.Fatal(err)
			}
			for i, unnamed := range []bool{true, false, true} {
				dropped := outcomes[i].Dropped
				if outcomes[i].Status != engine.Accepted || (len(dropped) == 1 && dropped[0].WholeMessage() && dropped[0].Reason == engine.NameLimit) != unnamed {
					t.Errorf("message %d: %+v", i, outcomes[i])
				}
			}
			ingest(t, n, engine.Duplicate, beyond)
		}
		wantAnswer(t, n, `stats count of "event 7"`, "2")
		wantAnswer(t, n, "count", "51")
		events, _, err := n.Timeline(t.Context(), "u1", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range events {
			if e.MessageID == "beyond" {
				found = e.Event == "event beyond" && string(e.Context) == `{"mismatched":{"n":1},"x":2}`
			}
		}
		if !found {
			t.Errorf("start %d: the message is not among the %d in the history", restart, len(events))
		}
		if about, err := n.About(t.Context(), "nobody else"); err != nil || len(about.Events) != 0 {
			t.Errorf("start %d: %+v, %v", restart, about, err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

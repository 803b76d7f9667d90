package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/musterdb/muster/bench/gen"
)

// TestNextMidnight checks that within every hour of a day there is a zone whose day ends, and when.
func TestNextMidnight(t *testing.T) {
	for at := time.Date(2026, 11, 22, 0, 0, 1, 0, time.UTC); at.Day() == 22; at = at.Add(7 * time.Minute) {
		zone, due := nextMidnight(at)
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if wait := due.Sub(at); wait <= 0 || wait > time.Hour {
			t.Errorf("at %s the next midnight is in %s", at, wait)
		}
		if h, m, s := due.In(loc).Clock(); h+m+s != 0 {
			t.Errorf("%s in %s is not midnight", due, zone)
		}
	}
}

// TestShopBodies checks that bodies are messages of the shop's customers, each with its own id and the time of
// sending, and that every sender gets some.
func TestShopBodies(t *testing.T) {
	shop, err := gen.New(gen.Config{Users: 500, Events: 5000, Seed: 1, End: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	c := TrafficConfig{Batch: 50, Senders: 4}
	ids, next, now := map[string]bool{}, uint64(1), time.Now()
	events := 0
	for _, f := range shopBodies(c, shop) {
		if len(f.all) == 0 {
			t.Fatal("a sender has nothing to send")
		}
		for range f.all {
			body := f.next().fill(next, now)
			next += uint64(c.Batch)
			for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); events++ {
				var m tracked
				if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
					t.Fatalf("%s: %v", lines.Text(), err)
				}
				if m.UserID == "" || m.Event == "" || !m.isFresh() || ids[m.MessageID] {
					t.Errorf("%s", lines.Text())
				}
				ids[m.MessageID] = true
			}
		}
	}
	if events != 5000 {
		t.Errorf("%d of 5,000 events", events)
	}
}

// TestAfter checks which texts a listener extracts from a message.
func TestAfter(t *testing.T) {
	text := []byte(`{"op":"enter","id":"s0","segment":"Probe","profile":"probe-17","at":"2026-11-22T05:01:10.996Z","cause":"event","cursor":"AhOp"}`)
	for what, want := range map[string]string{`"op":"`: "enter", `"profile":"`: "probe-17", `"at":"`: "2026-11-22T05:01:10.996Z", `"cursor":"`: "AhOp", `"nothing":"`: ""} {
		if got := string(after(text, what)); got != want {
			t.Errorf("after %s: %q, want %q", what, got, want)
		}
	}
}

package gen

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"
)

var end = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func text(t testing.TB, c Config) []byte {
	t.Helper()
	shop, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for p := range shop.Profiles() {
		out = p.AppendMessage(out)
	}
	for e := range shop.Events() {
		out = e.AppendMessage(out)
	}
	return out
}

// TestSame checks that a seed always makes the same shop, and another seed another shop.
func TestSame(t *testing.T) {
	c := Config{Users: 100, Events: 1000, Seed: 7, End: end}
	first := text(t, c)
	if !bytes.Equal(first, text(t, c)) {
		t.Error("the same seed made two shops")
	}
	c.Seed = 8
	if bytes.Equal(first, text(t, c)) {
		t.Error("two seeds made the same shop")
	}
}

func TestLines(t *testing.T) {
	lines := bytes.Split(bytes.TrimSpace(text(t, Config{Users: 500, Events: 2000, Seed: 1, End: end})), []byte("\n"))
	if len(lines) != 2500 {
		t.Fatalf("%d lines, want 2500", len(lines))
	}
	for _, line := range lines {
		if !json.Valid(line) {
			t.Fatalf("not JSON: %s", line)
		}
	}
}

// TestShape checks the properties of the shop that benchmarks rely on.
func TestShape(t *testing.T) {
	shop, err := New(Config{Users: 5000, Events: 100_000, Seed: 3, End: end})
	if err != nil {
		t.Fatal(err)
	}
	perUser, names, used := map[int]int{}, map[string]int{}, map[string]bool{}
	last := int64(0)
	for e := range shop.Events() {
		if e.Time < last {
			t.Fatalf("time goes back from %d to %d", last, e.Time)
		}
		last = e.Time
		if e.Time > end.UnixMilli() || e.Time < end.AddDate(0, 0, -90).UnixMilli() {
			t.Fatalf("%d is outside the 90 days", e.Time)
		}
		perUser[e.User]++
		names[e.Name]++
		used[e.Category] = true
	}
	if len(names) != 8 || len(used) != 21 {
		t.Errorf("%d names and %d categories (one of them none), want 8 and 21", len(names), len(used))
	}
	var counts []int
	for _, n := range perUser {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	median, most := counts[len(counts)/2], counts[len(counts)-1]
	if median > 20 || most < 50*median {
		t.Errorf("median %d and maximum %d events: no heavy tail", median, most)
	}
	found := map[string]int{}
	for p := range shop.Profiles() {
		found[p.Country]++
	}
	if len(found) != 50 || found["US"] < 5*found["UY"] {
		t.Errorf("%d countries, US %d, UY %d: no Zipf", len(found), found["US"], found["UY"])
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []Config{{Users: 0, End: end}, {Users: 1}, {Users: 1, Events: -1, End: end}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func BenchmarkEvents(b *testing.B) {
	shop, err := New(Config{Users: 1_000_000, Events: b.N, Seed: 1, End: end})
	if err != nil {
		b.Fatal(err)
	}
	var line []byte
	for e := range shop.Events() {
		line = e.AppendMessage(line[:0])
	}
	b.SetBytes(int64(len(line)))
}

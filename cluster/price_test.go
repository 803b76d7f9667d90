package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
)

// pricedNode returns a node without shards that prices segments, with one event in its catalog.
func pricedNode(t *testing.T, c Config) (*Node, *catalog.State) {
	t.Helper()
	n := &Node{config: c.withDefaults(), watch: &watch{}}
	n.registry = newRegistry(parsePredicate, nil, func(uint64) {})
	n.prices = newPrices(n)
	state, err := catalog.New(parsePredicate).Apply(catalog.Change{Version: 1, Kind: catalog.DefineNames,
		Names: []catalog.Name{{Kind: query.EventName, Name: "A"}}})
	if err != nil {
		t.Fatal(err)
	}
	n.registry.state.Store(state)
	return n, state
}

func put(name, text string) catalog.Change {
	return catalog.Change{Kind: catalog.PutSegment, Segment: catalog.Segment{Name: name, Text: text}}
}

func windows(from, n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("did A in last %d days", from+i))
	}
	return strings.Join(all, " or ")
}

// TestAdmit: a segment above a quarter of a budget is refused with the figure. Of many smaller ones, the
// first to exceed the whole budget is refused. Shared parts cost nothing more, and a refusal changes
// nothing.
func TestAdmit(t *testing.T) {
	n, state := pricedNode(t, Config{SegmentEvent: 80 * time.Microsecond})
	admit := func(name, text string) error {
		t.Helper()
		change := put(name, text)
		if err := n.prices.admit(state, change); err != nil {
			var coded *node.Error
			if !errors.As(err, &coded) || coded.Code != "segment_too_expensive" || !strings.Contains(err.Error(), "µs") {
				t.Fatalf("%s: %v", name, err)
			}
			return err
		}
		change.Version = state.Version() + 1
		if a, ok := n.registry.Apply(&raft.Log{Data: change.Encode()}).(applied); !ok || a.err != nil {
			t.Fatalf("apply %s: %+v", name, a)
		}
		state = n.registry.state.Load()
		return nil
	}
	if admit("large", windows(1, 200)) == nil {
		t.Error("a segment of 200 windows was accepted")
	}
	taken := 0
	for i := 0; i < 20 && admit(fmt.Sprint("s", i), windows(1+i*20, 20)) == nil; i++ {
		taken++
	}
	if taken < 4 || taken == 20 {
		t.Errorf("%d segments of 20 windows each were accepted", taken)
	}
	before := n.prices.mu.book.Total()
	if admit("again", windows(1000, 40)) == nil {
		t.Error("a segment above the budget was accepted")
	}
	if now := n.prices.mu.book.Total(); now != before {
		t.Errorf("all segments cost %+v after a refusal, %+v before", now, before)
	}
	if err := admit("shared", windows(1, 20)); err != nil {
		t.Errorf("a segment whose parts exist already: %v", err)
	}
}

// TestAdmitLost: a segment that was admitted and did not get into the catalog is not charged.
func TestAdmitLost(t *testing.T) {
	n, state := pricedNode(t, Config{})
	if err := n.prices.admit(state, put("lost", windows(1, 20))); err != nil {
		t.Fatal(err)
	}
	other := put("other", "did A")
	other.Version = state.Version() + 1
	if a, ok := n.registry.Apply(&raft.Log{Data: other.Encode()}).(applied); !ok || a.err != nil {
		t.Fatalf("apply: %+v", a)
	}
	if p := n.prices.priceOf("lost", "other"); p["lost"].Event != 0 || p["other"].Event == 0 {
		t.Errorf("prices are %+v", p)
	}
	n.prices.withdraw("lost")
	if n.prices.reserved() != 0 {
		t.Error("memory stays reserved")
	}
}

// TestAdmitMemory: memory reserved for segments being built is not given to others, and used memory
// counts.
func TestAdmitMemory(t *testing.T) {
	n, state := pricedNode(t, Config{MemoryLimit: 1 << 30})
	n.watch.used.Store(1<<30 + 100)
	err := n.prices.admit(state, put("x", windows(1, 3)))
	if err == nil || !strings.Contains(err.Error(), " 0 bytes are left") {
		t.Errorf("with nothing left: %v", err)
	}
	n.watch.used.Store(0)
	n.prices.reservations.built["other"] = building{version: 99, bytes: 1<<30 + 1}
	if err := n.prices.admit(state, put("x", windows(1, 3))); err == nil {
		t.Error("reserved memory was given to another segment")
	}
}

// TestDropWhenFull: segments can be dropped, and ticks are written, while memory is full.
func TestDropWhenFull(t *testing.T) {
	w := &watch{failed: func() error { return nil }}
	w.memoryFull.Store(true)
	n := &Node{watch: w}
	if n.refusedChange(catalog.DropSegment) != nil || (&shard{watch: w}).refused() != nil {
		t.Error("nothing can be dropped while memory is full")
	}
	if n.refusedChange(catalog.PutSegment) == nil {
		t.Error("a segment is accepted while memory is full")
	}
	w.diskLow.Store(true)
	if n.refusedChange(catalog.DropSegment) == nil {
		t.Error("a drop is written to a full disk")
	}
}

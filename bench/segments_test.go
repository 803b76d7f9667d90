package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/musterdb/muster/bench/gen"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// shopCatalog has the names that segments of the shop use.
func shopCatalog(t *testing.T) *catalog.State {
	t.Helper()
	var names []catalog.Name
	for _, event := range []string{"App Opened", "Product Viewed", "Search", "Product Added", "Checkout Started", "Order Completed", "Email Clicked", "Order Returned"} {
		names = append(names, catalog.Name{Kind: query.PropertyName, Event: event, Name: "amount", Type: tree.NumberType},
			catalog.Name{Kind: query.PropertyName, Event: event, Name: "category", Type: tree.StringType})
	}
	for name, of := range map[string]tree.Type{"country": tree.StringType, "plan": tree.StringType, "age": tree.NumberType, "ltv": tree.NumberType} {
		names = append(names, catalog.Name{Kind: query.AttributeName, Name: name, Type: of})
	}
	state, err := catalog.New(syntax.ParseSaved).Apply(catalog.Change{Version: 1, Kind: catalog.DefineNames, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestSegmentsAreAffordable checks the 10,000 segments that live membership is measured with, on 200,000
// profiles, and the first 1,000 on a million: none may exceed the default limit for one segment on a machine
// with 8 GiB, and together they may not exceed their budget.
func TestSegmentsAreAffordable(t *testing.T) {
	const memory, event, second, build = 2 << 30, 500 * time.Microsecond, 250 * time.Millisecond, 8 * time.Minute
	within := func(p engine.Price, part int64) bool {
		return p.Memory <= memory/part && int64(p.Event) <= int64(event)/part && int64(p.Second) <= int64(second)/part && int64(p.Build) <= int64(build)/part && p.Stop <= time.Second
	}
	for _, size := range []struct{ segments, profiles int }{{10_000, 200_000}, {1_000, 1_000_000}} {
		now := time.Now().UnixMilli()
		look := func(to *engine.Load, events []uint32) {
			const shards, spans = 8, 90
			if to.Shards == 0 {
				to.Shards, to.Chunks, to.Profiles, to.Rows = shards, shards*(1+size.profiles/shards>>16), int64(size.profiles), int64(5*size.profiles)
			}
			var ever query.Bits
			for pos := range uint16(size.profiles / 2 / spans) {
				ever.Set(pos)
			}
			for _, id := range events { // a third of all events, more than any name has
				for i := range spans {
					b := &query.Block{Rows: 5 * size.profiles / 3 / spans, Sorted: true, Max: now - int64(i)*86_400_000, Min: now - int64(i+1)*86_400_000}
					to.Add(id, query.Series{Rows: b.Rows, Blocks: []*query.Block{b}, Ever: ever.Holders()})
				}
			}
		}
		state := shopCatalog(t)
		book := engine.NewPriceBook(state, 600_000, now, look)
		for i, text := range gen.Segments(1, size.segments) {
			change := catalog.Change{Version: state.Version() + 1, Kind: catalog.PutSegment, Segment: catalog.Segment{Name: fmt.Sprint("s", i), Text: text}}
			after, err := state.Apply(change)
			if err != nil {
				t.Fatal(err)
			}
			added, _ := book.Quote(change, after)
			if state = after; !within(added, 4) {
				t.Errorf("%d profiles: %s adds %+v", size.profiles, text, added)
			}
		}
		if all := book.Total(); !within(all, 1) || all.Event < 10*time.Microsecond {
			t.Errorf("%d segments on %d profiles cost %+v", size.segments, size.profiles, all)
		} else {
			t.Logf("%d segments on %d profiles cost %+v", size.segments, size.profiles, all)
		}
	}
}

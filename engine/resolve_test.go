package engine

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestResolverReuse checks that a resolver whose memory is reused resolves like a new one, whatever
// the order of the fields, and does not change messages it has resolved since the last Reuse.
func TestResolverReuse(t *testing.T) {
	c := catalog.New(nil)
	var all []NamedField
	for i := range 9 {
		all = append(all, NamedField{Name: fmt.Sprint("p", i), Value: tree.NumInt(int64(i))})
	}
	_, missing, err := Resolve(c, &Incoming{Kind: Identify, UserID: "u", Fields: all})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.Apply(catalog.Change{Version: 1, Kind: catalog.DefineNames, Names: missing}); err != nil {
		t.Fatal(err)
	}
	var used Resolver
	for round := range 4 {
		used.Reuse()
		const messages = 700 // more than one slab of fields
		got, want := make([]Message, messages), make([]Message, messages)
		for i := range messages {
			in := Incoming{Kind: Identify, UserID: fmt.Sprint("u", round, i)}
			for k := range i % 8 {
				in.Fields = append(in.Fields, all[(i*7+k*(i%5))%len(all)]) // ascending, descending and repeated
			}
			if want[i], _, err = Resolve(c, &in); err != nil {
				t.Fatal(err)
			}
			if _, err := used.Resolve(c, &in, &got[i]); err != nil {
				t.Fatal(err)
			}
		}
		for i := range messages {
			if !reflect.DeepEqual(got[i], want[i]) || !ascending(got[i].Fields) {
				t.Fatalf("round %d: %+v, want %+v", round, got[i], want[i])
			}
		}
	}
}

// TestResolveReportsDropped checks that every value that a message loses is reported with its reason,
// and is in the context. A missing value is in neither.
func TestResolveReportsDropped(t *testing.T) {
	c, err := catalog.New(nil).Apply(catalog.Change{Version: 1, Kind: catalog.DefineNames, Names: []catalog.Name{
		{Kind: query.AttributeName, Name: "age", Type: tree.NumberType}, {Kind: query.AttributeName, Name: "group.since", Type: tree.TimeType},
		{Kind: query.AttributeName, Name: "group_id", Type: tree.NumberType}, {Kind: query.PropertyName, Event: "Typed", Name: "amount", Type: tree.NumberType},
		{Kind: query.PropertyName, Event: "Typed", Name: "due", Type: tree.TimeType},
	}})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("n", catalog.MaxNameBytes)
	one, some, none := tree.NumInt(1), tree.Str("lots"), tree.Value{}
	for _, k := range []struct {
		in      Incoming
		fields  int
		dropped string
		rest    string
	}{
		{Incoming{Kind: Track, Event: "Typed", Fields: []NamedField{{Name: "amount", Value: one}, {Name: "due", Value: tree.Str("2026-01-01")}}}, 2, "", `{"x":2}`},
		{Incoming{Kind: Track, Event: "Typed", Fields: []NamedField{{Name: "amount", Value: some}, {Name: "new", Value: one}, {Name: "none", Value: none}}}, 0, "1 amount, 4 new", `{"mismatched":{"amount":"lots","new":1},"x":2}`},
		{Incoming{Kind: Track, Event: "Else", Fields: []NamedField{{Name: "q", Value: one}, {Name: "a\x00b", Value: one}}}, 0, "4 Else, 4 q, 2 a\x00b", `{"mismatched":{"q":1,"a\u0000b":1},"x":2}`},
		{Incoming{Kind: Page, Event: "a\x00b", Fields: []NamedField{{Name: "q", Value: one}}}, 0, "2 a\x00b", `{"mismatched":{"q":1},"x":2}`},
		{Incoming{Kind: Screen, Event: "Else"}, 0, "4 Else", `{"x":2}`},
		{Incoming{Kind: Identify, Fields: []NamedField{{Name: "age", Value: some}, {Name: "user_id", Value: some}, {Name: "", Value: one}, {Name: "tags", Value: tree.ListOf(one, some)}}}, 0, "1 age, 3 user_id, 2 , 4 tags", `{"mismatched":{"age":"lots","user_id":"lots","":1,"tags":[1,"lots"]},"x":2}`},
		{Incoming{Kind: Group, GroupID: "g", Fields: []NamedField{{Name: "since", Value: one}, {Name: long, Value: one}}}, 0, "1 group_id, 1 group.since, 2 group." + long, `{"mismatched":{"group_id":"g","since":1,"` + long + `":1},"x":2}`},
	} {
		var r Resolver
		var m Message
		k.in.UserID, k.in.Context = "u", []byte(`{"x":2}`)
		for range 2 { // a message leaves nothing behind for the next
			dropped, err := r.Resolve(c, &k.in, &m)
			if err != nil {
				t.Fatal(err)
			}
			var reasons []string
			mismatched := 0
			for _, d := range dropped {
				reasons = append(reasons, fmt.Sprint(d.Reason, " ", d.Name.Name))
				if d.Reason == TypeMismatch {
					mismatched++
				}
			}
			if got := strings.Join(reasons, ", "); got != k.dropped || string(m.Context) != k.rest || len(m.Fields) != k.fields || int(m.Mismatched) != mismatched {
				t.Errorf("%s %q: %q, %d fields, %d mismatched, %s\nwant %q, %d fields, %s", k.in.Kind, k.in.Event, got, len(m.Fields), m.Mismatched, m.Context, k.dropped, k.fields, k.rest)
			}
			if len(dropped) > 0 && dropped[0].WholeMessage() != (m.EventName != "") {
				t.Errorf("%q: %+v", k.in.Event, dropped[0])
			}
		}
	}
	if m, _, _ := Resolve(c, &Incoming{Kind: Track, UserID: "u", Event: "Typed", Fields: []NamedField{{Name: "amount", Value: some}}}); string(m.Context) != `{"mismatched":{"amount":"lots"}}` {
		t.Errorf("without a rest: %s", m.Context)
	}
}

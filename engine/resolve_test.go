package engine

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query/tree"
)

// TestResolverReuse: a resolver whose memory is used again resolves as a new one does, whatever the order in
// which fields come, and leaves alone what it has resolved since.
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
				in.Fields = append(in.Fields, all[(i*7+k*(i%5))%len(all)]) // up, down and twice the same
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

package cluster

import (
	"slices"
	"testing"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestUnknownNamesAreThoseOfTheFirstMessage: whichever shard a message goes to, the first message of the
// request with a name determines the name's type.
func TestUnknownNamesAreThoseOfTheFirstMessage(t *testing.T) {
	age := func(t tree.Type) catalog.Name {
		return catalog.Name{Kind: query.AttributeName, Name: "age", Type: t}
	}
	bought := catalog.Name{Kind: query.EventName, Name: "Bought"}
	amount := catalog.Name{Kind: query.PropertyName, Event: "Bought", Name: "amount", Type: tree.NumberType}
	var u unknownNames
	add := func(message int32, names ...catalog.Name) {
		dropped := []engine.Dropped{{Reason: engine.TypeMismatch, Name: catalog.Name{Name: "known"}}}
		for _, name := range names {
			dropped = append(dropped, engine.Dropped{Reason: engine.NameUnknown, Name: name})
		}
		if u.addUnknown(message, dropped) != (len(names) > 0) {
			t.Errorf("message %d", message)
		}
	}
	add(7, age(tree.StringType))
	add(9, amount, bought)
	add(2, age(tree.NumberType))
	add(3)
	add(8, age(tree.StringType), bought, amount)
	want := []catalog.Name{age(tree.NumberType), bought, amount}
	if got := u.inOrder(); !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

// TestWantedNames: the unknown names that are defined are those the catalog has space for and the sender
// may bring. mayName is called once for each name, and the properties of a withheld event are withheld
// too.
func TestWantedNames(t *testing.T) {
	name := func(kind query.NameKind, event, name string) catalog.Name {
		return catalog.Name{Kind: kind, Event: event, Name: name, Type: tree.NumberType}
	}
	var u unknownNames
	var o engine.Outcome
	for _, n := range []catalog.Name{
		name(query.EventName, "", "E"), name(query.PropertyName, "E", "p"), name(query.AttributeName, "", "a"), name(query.AttributeName, "", "late"),
		name(query.EventName, "", "F"), name(query.PropertyName, "F", "p"), name(query.PropertyName, "F", "p"), name(query.PropertyName, "F", "bad"),
	} {
		o.Dropped = append(o.Dropped, engine.Dropped{Reason: engine.NameUnknown, Name: n})
	}
	u.addUnknown(0, o.Dropped)
	full := make([]catalog.Name, catalog.MaxAttributes-1)
	for i := range full {
		full[i] = name(query.AttributeName, "", string(rune(0x4e00+i)))
	}
	state, err := catalog.New(nil).Apply(catalog.Change{Kind: catalog.DefineNames, Version: 1, Names: full})
	if err != nil {
		t.Fatal(err)
	}
	var asked []catalog.Name
	wanted, withheld := u.wanted(state, func(n catalog.Name) bool {
		asked = append(asked, n)
		return n.Name != "E" && n.Name != "bad"
	})
	if want := []catalog.Name{name(query.AttributeName, "", "a"), name(query.EventName, "", "F"), name(query.PropertyName, "F", "p")}; !slices.Equal(wanted, want) {
		t.Errorf("%v, want %v", wanted, want)
	}
	if len(asked) != 5 || len(withheld) != 3 {
		t.Errorf("mayName was called for %v, %v is withheld", asked, withheld)
	}
	if wanted, _ := u.wanted(state, nil); len(wanted) != 6 {
		t.Errorf("without mayName %v is wanted", wanted)
	}
	explainUnknown(&o, withheld)
	if len(o.Dropped) != 1 || o.Dropped[0].Reason != engine.NameWithheld {
		t.Errorf("%v", o.Dropped)
	}
	o.Dropped = []engine.Dropped{{Reason: engine.NameUnknown, Name: full[0]}, {Reason: engine.NameInvalid, Name: full[1]}}
	explainUnknown(&o, withheld)
	if o.Dropped[0].Reason != engine.NameLimit || o.Dropped[1].Reason != engine.NameInvalid {
		t.Errorf("%v", o.Dropped)
	}
}

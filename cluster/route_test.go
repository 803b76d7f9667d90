package cluster

import (
	"slices"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestMissingNamesAreThoseOfTheFirstMessage: whichever shard a message goes to, the first of the request
// to mention a name gives it its type.
func TestMissingNamesAreThoseOfTheFirstMessage(t *testing.T) {
	age := func(t tree.Type) catalog.Name {
		return catalog.Name{Kind: query.AttributeName, Name: "age", Type: t}
	}
	bought := catalog.Name{Kind: query.EventName, Name: "Bought"}
	amount := catalog.Name{Kind: query.PropertyName, Event: "Bought", Name: "amount", Type: tree.NumberType}
	m := missingNames{}
	m.add(7, []catalog.Name{age(tree.StringType)})
	m.add(9, []catalog.Name{amount, bought})
	m.add(2, []catalog.Name{age(tree.NumberType)})
	m.add(8, []catalog.Name{age(tree.NumberType), bought, amount})
	want := []catalog.Name{age(tree.NumberType), age(tree.StringType), bought, amount}
	if got := m.inOrder(); !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

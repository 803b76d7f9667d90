package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// fullCatalog has room for one attribute, and for one property of "Full".
func fullCatalog(t *testing.T) *catalog.State {
	t.Helper()
	names := []catalog.Name{{Kind: query.EventName, Name: "Full"}}
	for i := range catalog.MaxAttributes - 1 {
		names = append(names, catalog.Name{Kind: query.AttributeName, Name: fmt.Sprint("a", i), Type: tree.NumberType})
	}
	for i := range catalog.MaxProperties - 1 {
		names = append(names, catalog.Name{Kind: query.PropertyName, Event: "Full", Name: fmt.Sprint("p", i), Type: tree.NumberType})
	}
	s, err := catalog.New(nil).Apply(catalog.Change{Kind: catalog.DefineNames, Version: 1, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNamesWithoutRoomAreKeptAndTold shows that values whose names the catalog cannot take are told
// and stay in the history, and that those it can take are not.
func TestNamesWithoutRoomAreKeptAndTold(t *testing.T) {
	f := misfits{schema: fullCatalog(t).Schema()}
	long := strings.Repeat("n", catalog.MaxNameBytes)
	for _, c := range []struct {
		kind   engine.Kind
		event  string
		fields []string
		codes  string
		rest   string
	}{
		{engine.Identify, "", []string{"a1", "new", "newer"}, api.CodeTooManyNames, `{"mismatched":{"newer":1},"x":2}`},
		{engine.Identify, "", []string{"new"}, "", `{"x":2}`},
		{engine.Track, "Full", []string{"p1", "q", "r"}, api.CodeTooManyNames, `{"mismatched":{"r":1},"x":2}`},
		{engine.Track, "Else", []string{"q", "r", "a\x00b"}, api.CodeRefused, `{"mismatched":{"a\u0000b":1},"x":2}`},
		{engine.Group, "", []string{long}, api.CodeRefused, `{"mismatched":{"` + long + `":1},"x":2}`},
	} {
		m := engine.Incoming{Kind: c.kind, Event: c.event, Context: []byte(`{"x":2}`)}
		for _, name := range c.fields {
			m.Fields = append(m.Fields, engine.NamedField{Name: name, Value: tree.NumInt(1)})
		}
		var codes []string
		for _, why := range f.of(&m) {
			codes = append(codes, why.code)
		}
		if got := strings.Join(codes, " "); got != c.codes || string(m.Context) != c.rest {
			t.Errorf("%s of %.20q: %q and %s, want %q and %s", c.kind, c.fields, got, m.Context, c.codes, c.rest)
		}
	}
}

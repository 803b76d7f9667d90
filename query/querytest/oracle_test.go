package querytest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

func at(t *testing.T, text string) int64 {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixMilli()
}

// TestOracleCalendar compares windows of the oracle with instants worked out by hand.
func TestOracleCalendar(t *testing.T) {
	for _, c := range []struct {
		zone, now   string
		window      tree.Window
		first, next string
	}{
		{"UTC", "2026-05-31T12:00:00Z", tree.Window{Kind: tree.InLast, Last: tree.Duration{N: 3, Unit: tree.Month}}, "2026-02-28T12:00:00.001Z", "2026-05-31T12:00:00.001Z"},
		{"America/Sao_Paulo", "2018-11-04T15:00:00Z", tree.Window{Kind: tree.Today}, "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		{"Europe/Berlin", "2026-03-29T10:00:00Z", tree.Window{Kind: tree.Today}, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"America/St_Johns", "2006-10-29T02:31:30Z", tree.Window{Kind: tree.Today}, "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z"},
		{"Asia/Kathmandu", "2026-01-01T00:00:00Z", tree.Window{Kind: tree.LastUnit, Unit: tree.Quarter}, "2025-09-30T18:15:00Z", "2025-12-31T18:15:00Z"},
		{"UTC", "2026-01-04T00:00:00Z", tree.Window{Kind: tree.This, Unit: tree.Week}, "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"},
		{"UTC", "2026-01-04T00:00:00Z", tree.Window{Kind: tree.Between, From: tree.When{Date: true, Y: 2026, M: 1, D: 1}, To: tree.When{Date: true, Y: 2026, M: 1, D: 2}}, "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"},
	} {
		o, err := NewOracle(&History{}, at(t, c.now), c.zone)
		if err != nil {
			t.Fatal(err)
		}
		got := o.window(c.window)
		if got.first != at(t, c.first) || got.last+1 != at(t, c.next) {
			t.Errorf("%s %s %v: %s to %s", c.zone, c.now, c.window.Kind, time.UnixMilli(got.first).UTC(), time.UnixMilli(got.last+1).UTC())
		}
	}
}

// TestGenReachesEveryForm checks that the generator draws every form of predicate and expression. Otherwise the
// tests that compare evaluators would miss some.
func TestGenReachesEveryForm(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(20) {
		g := NewGen(rand.New(rand.NewPCG(seed, 1)), 20)
		o, err := NewOracle(g.History, g.Now, g.Zone)
		if err != nil {
			t.Fatal(err)
		}
		for range 150 {
			p := g.Pred(2)
			visit(reflect.ValueOf(p), seen)
			n := len(o.Members(p))
			if n > 0 && n < len(g.History.Profiles) {
				seen["splits"]++
			}
		}
	}
	for _, form := range append(formsOfTree(t), "Previous", "Absent") {
		if seen[form] < 5 {
			t.Errorf("%s was drawn %d times", form, seen[form])
		}
	}
	if seen["splits"] < 1000 {
		t.Errorf("only %d of 3000 predicates hold for some profiles and not for others", seen["splits"])
	}
}

// formsOfTree returns the names of the predicate and expression types of package tree. WasIn is left out: a
// history has no past memberships.
func formsOfTree(t *testing.T) (forms []string) {
	files, err := filepath.Glob("../tree/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "pred" && f.Name.Name != "expr" {
				continue
			}
			if form := f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name; form != "WasIn" {
				forms = append(forms, form)
			}
		}
	}
	if len(forms) < 20 {
		t.Fatalf("found only the forms %v in package tree", forms)
	}
	return forms
}

func visit(v reflect.Value, seen map[string]int) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			visit(v.Elem(), seen)
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), seen)
		}
	case reflect.Struct:
		seen[v.Type().Name()]++
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).Kind() == reflect.Bool && v.Field(i).Bool() {
				seen[name]++
			}
			visit(v.Field(i), seen)
		}
	}
}

// TestSourceHoldsItsHistory checks that a Source returns its history in every encoding.
func TestSourceHoldsItsHistory(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 2))
		g := NewGen(rng, 20)
		schema := NewSchema(g.History)
		found := 0
		for _, src := range NewSources(g.History, schema, 1+int(seed%3), rng) {
			for ordinal, p := range src.at {
				found++
				if err := checkProfile(src, schema, ordinal, p); err != nil {
					t.Fatalf("seed %d, %s: %v", seed, p.ID(), err)
				}
			}
		}
		if found != len(g.History.Profiles) {
			t.Fatalf("seed %d: %d of %d profiles", seed, found, len(g.History.Profiles))
		}
	}
}

func checkProfile(src *Source, schema *Schema, ordinal uint32, p *Profile) error {
	chunk, pos := int(ordinal>>query.ChunkBits), int(ordinal&(query.ChunkSize-1))
	for name, id := range schema.attrs {
		if id < query.FirstAttribute {
			continue
		}
		var got tree.Value
		if pages := src.Attribute(id, chunk); pos/query.PageRows < len(pages) {
			if page := pages[pos/query.PageRows]; pos%query.PageRows < page.Rows {
				got = page.Value(pos % query.PageRows)
			}
		}
		if !got.Equal(p.Attrs[name]) {
			return fmt.Errorf("attribute %s: %v, want %v", name, got, p.Attrs[name])
		}
	}
	rows := 0
	for _, event := range src.Events(chunk) {
		for _, b := range src.Series(event, chunk).Blocks {
			for i := range b.Rows {
				if int(b.Pos[i]) == pos {
					rows++
				}
			}
		}
	}
	if rows != len(p.Events) {
		return fmt.Errorf("%d events, want %d", rows, len(p.Events))
	}
	return nil
}

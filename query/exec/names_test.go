package exec_test

import (
	"reflect"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

// describedSource is a source that can only describe its names.
type describedSource struct {
	query.Source
	infos []query.NameInfo
}

func (d describedSource) NameInfo(query.NameKind) []query.NameInfo { return d.infos }

// Merging the names of shards does not depend on the order of the partials, nor on whether they were encoded.
func TestNamesMerge(t *testing.T) {
	text := func(all ...string) (values []tree.Value) {
		for _, s := range all {
			values = append(values, tree.Str(s))
		}
		return values
	}
	sources := []query.Source{
		describedSource{infos: []query.NameInfo{
			{Name: "plan", Type: tree.StringType, Cardinality: 2, Hashes: []uint64{3, 9}, Examples: text("free", "pro"), Count: 7, MemoryBytes: 64},
			{Name: "Order", Cardinality: -1, FirstSeen: -5, LastSeen: 90, Count: 3, Properties: []query.NameInfo{{Name: "amount", Type: tree.NumberType, Cardinality: -1, Count: 3}}},
			{Name: "Never", Cardinality: -1},
		}},
		describedSource{infos: []query.NameInfo{
			{Name: "Never", Cardinality: -1},
			{Name: "Order", Cardinality: -1, FirstSeen: 4, LastSeen: 99, Count: 2, Properties: []query.NameInfo{
				{Name: "amount", Type: tree.NumberType, Cardinality: -1, Count: 1, Overflowed: true}, {Name: "sku", Type: tree.StringType, Cardinality: -1, Mismatched: 2}}},
			{Name: "plan", Type: tree.StringType, Cardinality: 2, Hashes: []uint64{9, 12}, Examples: text("pro", "team", "a", "b", "c"), Count: 1, MemoryBytes: 6},
		}},
	}
	want := []query.NameInfo{
		{Name: "Never", Cardinality: -1},
		{Name: "Order", Cardinality: -1, FirstSeen: -5, LastSeen: 99, Count: 5, Properties: []query.NameInfo{
			{Name: "amount", Type: tree.NumberType, Cardinality: -1, Count: 4, Overflowed: true}, {Name: "sku", Type: tree.StringType, Cardinality: -1, Mismatched: 2}}},
		{Name: "plan", Type: tree.StringType, Cardinality: 3, Hashes: []uint64{3, 9, 12}, Examples: text("free", "pro", "team", "a", "b"), Count: 8, MemoryBytes: 70},
	}
	var parts []*exec.Partial
	for i := range sources {
		part, err := exec.NamesPartial(t.Context(), query.EventName, exec.Shard{Number: 1 - i, Source: sources[1-i]})
		if err != nil {
			t.Fatal(err)
		}
		if part, err = exec.ReadPartial(exec.AppendPartial(nil, part)); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	local, err := exec.Names(t.Context(), query.EventName, sources)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range [][]query.NameInfo{exec.MergeNames(parts), local} {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || !sameName(got[i], want[i]) {
				t.Fatalf("got %+v\nwant %+v", got, want)
			}
		}
	}
}

// sameName reports whether two descriptions are equal. It does not distinguish empty from nil.
func sameName(a, b query.NameInfo) bool {
	if len(a.Hashes) != len(b.Hashes) || len(a.Examples) != len(b.Examples) || len(a.Properties) != len(b.Properties) {
		return false
	}
	for i := range a.Properties {
		if !sameName(a.Properties[i], b.Properties[i]) {
			return false
		}
	}
	for i := range a.Hashes {
		if a.Hashes[i] != b.Hashes[i] {
			return false
		}
	}
	for i := range a.Examples {
		if !a.Examples[i].Equal(b.Examples[i]) {
			return false
		}
	}
	a.Hashes, a.Examples, a.Properties, b.Hashes, b.Examples, b.Properties = nil, nil, nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

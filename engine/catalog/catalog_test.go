package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

func parseAnything(text string) (tree.Pred, error) {
	if text == "bad" {
		return nil, errors.New("it is bad")
	}
	return &tree.Everyone{}, nil
}

// next applies a change as the next version.
func next(t testing.TB, s *State, c Change) *State {
	t.Helper()
	c.Version = s.Version() + 1
	n, err := s.Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func attribute(name string, typ tree.Type) Name {
	return Name{Kind: query.AttributeName, Name: name, Type: typ}
}

func property(event, name string, typ tree.Type) Name {
	return Name{Kind: query.PropertyName, Event: event, Name: name, Type: typ}
}

func TestNames(t *testing.T) {
	s := next(t, New(nil), Change{Kind: DefineNames, Names: []Name{
		attribute("country", tree.StringType), attribute("age", tree.NumberType),
		property("Order", "amount", tree.NumberType), {Kind: query.EventName, Name: "Login"},
		property("Order", "at", tree.TimeType), property("Login", "at", tree.StringType),
	}})
	old := s
	s = next(t, s, Change{Kind: DefineNames, Names: []Name{attribute("age", tree.StringType), property("Order", "sku", tree.StringType)}})
	if id, typ, ok := s.Attribute("age"); id != query.FirstAttribute+1 || typ != tree.NumberType || !ok {
		t.Errorf("age is %d, %v, %v: the first type must win", id, typ, ok)
	}
	if id, typ, ok := s.Attribute("first_seen"); id != query.AttrFirstSeen || typ != tree.TimeType || !ok {
		t.Errorf("first_seen is %d, %v, %v", id, typ, ok)
	}
	order, _ := s.Event("Order")
	if id, typ, ok := s.Property(order, "sku"); id != 2 || typ != tree.StringType || !ok {
		t.Errorf("sku is %d, %v, %v", id, typ, ok)
	}
	if _, _, ok := old.Property(order, "sku"); ok {
		t.Error("an older version has a property that was defined later")
	}
	var names []string
	s.Names(query.PropertyName, "", func(name string, typ tree.Type) bool {
		names = append(names, fmt.Sprint(name, ":", typ))
		return true
	})
	if want := []string{"amount:number", "at:time", "sku:string"}; !slices.Equal(names, want) {
		t.Errorf("properties of any event: %v", names)
	}
}

func TestSegmentsAndLists(t *testing.T) {
	s := next(t, New(parseAnything), Change{Kind: PutSegment, Segment: Segment{Name: "VIP", Text: "everyone", Zone: "Europe/Berlin"}})
	s = next(t, s, Change{Kind: PutList, Name: "a"})
	s = next(t, s, Change{Kind: PutList, Name: "b"})
	s = next(t, s, Change{Kind: DropList, Name: "a"})
	s = next(t, s, Change{Kind: PutList, Name: "a"})
	if id, ok := s.List("a"); id != 2 || !ok {
		t.Errorf("list a has id %d: ids must not be reused", id)
	}
	if segment, ok := s.Segment("VIP"); !ok || segment.Zone != "Europe/Berlin" || segment.Pred == nil {
		t.Errorf("segment is %v, %v", segment, ok)
	}
	for _, bad := range []struct {
		c    Change
		want error
	}{
		{Change{Kind: PutSegment, Segment: Segment{Name: "x", Text: "bad"}}, ErrPredicate},
		{Change{Kind: PutSegment, Segment: Segment{Name: "x", Text: strings.Repeat(" ", MaxTextBytes+1)}}, ErrPredicate},
		{Change{Kind: PutSegment, Segment: Segment{Name: "", Text: "everyone"}}, ErrName},
		{Change{Kind: DropSegment, Name: "x"}, ErrNotFound},
		{Change{Kind: DropList, Name: "x"}, ErrNotFound},
		{Change{Kind: SetZone, Zone: "Mars/Phobos"}, ErrZone},
		{Change{Kind: SetZone, Zone: "Local"}, ErrZone},
		{Change{Kind: 99}, ErrKind},
		{Change{Kind: DefineNames, Names: []Name{attribute("user_id", tree.StringType)}}, ErrReserved},
		{Change{Kind: DefineNames, Names: []Name{attribute("x", tree.NoType)}}, ErrType},
		{Change{Kind: DefineNames, Names: []Name{attribute(strings.Repeat("x", 257), tree.BoolType)}}, ErrName},
		{Change{Kind: DefineNames, Names: []Name{attribute("\xff", tree.BoolType)}}, ErrName},
	} {
		bad.c.Version = s.Version() + 1
		if _, err := s.Apply(bad.c); !errors.Is(err, bad.want) {
			t.Errorf("%+v: %v, want %v", bad.c, err, bad.want)
		}
	}
	if _, err := s.Apply(Change{Version: s.Version(), Kind: SetZone}); !errors.Is(err, ErrVersion) {
		t.Errorf("a change for another version: %v", err)
	}
}

// TestNamesOfBefore: a log may hold names that are no longer accepted. They are applied as they are, and
// can be found and dropped.
func TestNamesOfBefore(t *testing.T) {
	s := New(func(string) (tree.Pred, error) { return &tree.Everyone{}, nil })
	for _, name := range []string{"a\nb", " ", "a\u202eb", "\x1b[m"} {
		if tree.CheckName(name) == nil {
			t.Errorf("%q is accepted today", name)
		}
		s = next(t, s, Change{Kind: PutSegment, Segment: Segment{Name: name, Text: "everyone"}})
		s = next(t, s, Change{Kind: PutList, Name: name})
		if _, ok := s.Segment(name); !ok {
			t.Errorf("segment %q is missing", name)
		}
		s = next(t, s, Change{Kind: DropSegment, Name: name})
		s = next(t, s, Change{Kind: DropList, Name: name})
	}
}

// TestLimits fills the catalog. Admit refuses only the name that exceeds a limit; Apply refuses the whole
// change.
func TestLimits(t *testing.T) {
	s := New(nil)
	for from := 0; from < MaxAttributes; from += 100 {
		var names []Name
		for i := range 100 {
			names = append(names, attribute(fmt.Sprint("a", from+i), tree.BoolType))
		}
		s = next(t, s, Change{Kind: DefineNames, Names: names})
	}
	c := Change{Version: s.Version() + 1, Kind: DefineNames, Names: []Name{attribute("one more", tree.BoolType), property("e", "p", tree.BoolType), attribute("a7", tree.BoolType)}}
	if _, err := s.Apply(c); !errors.Is(err, ErrTooMany) {
		t.Errorf("one name too many: %v", err)
	}
	admitted, refused := s.Admit(c)
	if len(admitted.Names) != 1 || admitted.Names[0].Name != "p" || len(refused) != 1 || !errors.Is(refused[0].Err, ErrTooMany) {
		t.Errorf("admitted %v, refused %v", admitted.Names, refused)
	}
	s = next(t, s, admitted)
	for i := range MaxProperties - 1 {
		s = next(t, s, Change{Kind: DefineNames, Names: []Name{property("e", fmt.Sprint("p", i), tree.BoolType)}})
	}
	if _, refused := s.Admit(Change{Kind: DefineNames, Names: []Name{property("e", "q", tree.BoolType)}}); len(refused) != 1 {
		t.Error("a property beyond the limit is admitted")
	}
	for i := range MaxAttributes {
		if id, _, ok := s.Attribute(fmt.Sprint("a", i)); !ok || id != query.FirstAttribute+uint32(i) {
			t.Fatalf("attribute %d has id %d, %v", i, id, ok)
		}
	}
}

// TestReadersKeepTheirVersion reads old versions while newer ones are made.
func TestReadersKeepTheirVersion(t *testing.T) {
	s := New(nil)
	var readers sync.WaitGroup
	for i := range 500 {
		s = next(t, s, Change{Kind: DefineNames, Names: []Name{attribute(fmt.Sprint("a", i), tree.BoolType), property("e", fmt.Sprint("p", i), tree.BoolType)}})
		if version := s; i%50 == 0 {
			readers.Go(func() {
				for range 100 {
					_, _, old := version.Attribute(fmt.Sprint("a", i))
					_, _, later := version.Attribute(fmt.Sprint("a", i+1))
					if !old || later || version.Attributes() != i+1 {
						t.Errorf("version %d has changed", i)
						return
					}
				}
			})
		}
	}
	readers.Wait()
}

func testState(t testing.TB) *State {
	s := next(t, New(parseAnything), Change{Kind: DefineNames, Names: []Name{attribute("age", tree.NumberType), property("e", "p", tree.ListType), {Kind: query.EventName, Name: "f"}}})
	s = next(t, s, Change{Kind: PutSegment, Segment: Segment{Name: "s", Described: "d", Text: "everyone", Canonical: "everyone", Zone: "UTC", Refresh: tree.Duration{N: 5, Unit: tree.Minute}}})
	s = next(t, s, Change{Kind: PutList, Name: "l"})
	return next(t, s, Change{Kind: SetZone, Zone: "Asia/Kathmandu"})
}

func TestStateComesBack(t *testing.T) {
	s := testState(t)
	again, err := Decode(s.Encode(), parseAnything)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Encode(), s.Encode()) || again.Version() != s.Version() || again.Zone() != "Asia/Kathmandu" {
		t.Error("the state does not survive encoding")
	}
	a, _ := s.SegmentText("s")
	b, _ := again.SegmentText("s")
	if a.Version != b.Version || a.Refresh != b.Refresh || b.Tree() == nil {
		t.Errorf("segment %+v is decoded as %+v", a, b)
	}
}

// TestKeptSetsAreNoLists: a kept set is not a list. It has an id, is not among the names, and survives
// encoding. In a log or a snapshot of a version that stored kept sets as lists, they are recognized by
// their names.
func TestKeptSetsAreNoLists(t *testing.T) {
	const name = `was in segment "s" at 2026-01-01T00:00:00Z`
	for _, kind := range []ChangeKind{KeepSet, PutList} {
		s := next(t, testState(t), Change{Kind: kind, Name: name})
		names := []string{}
		s.Names(query.ListName, "", func(name string, _ tree.Type) bool { names = append(names, name); return true })
		if _, ok := s.List(name); !ok || !s.IsKept(name) || s.IsKept("l") || !slices.Equal(names, []string{"l"}) {
			t.Errorf("kind %d: found %t, kept %t, names %q", kind, ok, s.IsKept(name), names)
		}
		encoded := s.Encode()
		old := append([]byte{oldStateFormat}, encoded[1:]...) // without the byte that ends each list
		first := bytes.LastIndex(old, append([]byte{1}, 'l')) + 2
		old = append(append([]byte{}, old[:first]...), old[first+1:len(old)-1]...)
		for _, data := range [][]byte{encoded, old} {
			again, err := Decode(data, parseAnything)
			if err != nil {
				t.Fatalf("kind %d, format %d: %v", kind, data[0], err)
			}
			if !bytes.Equal(again.Encode(), encoded) || len(again.Lists()) != 1 || len(again.Kept()) != 1 || len(again.AllLists()) != 2 {
				t.Errorf("kind %d, format %d: is decoded as lists %v, kept %v", kind, data[0], again.Lists(), again.Kept())
			}
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add(testState(f).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data, parseAnything)
		if err != nil {
			return
		}
		again, err := Decode(s.Encode(), parseAnything)
		if err != nil || !bytes.Equal(again.Encode(), s.Encode()) {
			t.Fatalf("state does not survive encoding: %v", err)
		}
	})
}

func FuzzChange(f *testing.F) {
	f.Add(Change{Version: 1, Kind: DefineNames, Names: []Name{attribute("a", tree.BoolType), property("e", "p", tree.TimeType)}}.Encode())
	f.Add(Change{Version: 1, Kind: PutSegment, Segment: Segment{Name: "s", Text: "t", Zone: "UTC"}}.Encode())
	f.Add(Change{Version: 1, Kind: PutList, Name: "l"}.Encode())
	f.Add(Change{Version: 1, Kind: SetZone, Zone: "UTC"}.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeChange(data)
		if err != nil {
			return
		}
		if again, err := DecodeChange(c.Encode()); err != nil || !bytes.Equal(again.Encode(), c.Encode()) {
			t.Fatalf("change does not survive encoding: %v", err)
		}
		if s, err := New(parseAnything).Apply(c); err == nil {
			if _, err := Decode(s.Encode(), parseAnything); err != nil {
				t.Fatalf("an encoded state cannot be decoded: %v", err)
			}
		}
	})
}

// BenchmarkDefine adds one name to ten thousand.
func BenchmarkDefine(b *testing.B) {
	s := New(nil)
	var names []Name
	for i := range MaxAttributes - 1 {
		names = append(names, attribute(fmt.Sprint("a", i), tree.BoolType))
	}
	s = next(b, s, Change{Kind: DefineNames, Names: names})
	for b.Loop() {
		next(b, s, Change{Kind: DefineNames, Names: []Name{attribute("another", tree.BoolType)}})
	}
}

// TestDirectory: segments that are put and dropped by the hundreds equal those of a plain map, and an older
// state does not change.
func TestDirectory(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s, want := New(parseAnything), map[string]uint64{}
	var old *State
	var oldWant map[string]uint64
	check := func(s *State, want map[string]uint64) {
		t.Helper()
		all := s.Segments()
		if len(all) != len(want) || !slices.IsSortedFunc(all, func(a, b *Segment) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatalf("%d segments, want %d in order", len(all), len(want))
		}
		for _, segment := range all {
			if got, ok := s.SegmentText(segment.Name); !ok || got.Version != want[segment.Name] {
				t.Fatalf("segment %s has version %d, want %d", segment.Name, got.Version, want[segment.Name])
			}
		}
	}
	for i := range 2000 {
		name := fmt.Sprint("s", r.IntN(900))
		if _, had := want[name]; had && r.IntN(2) == 0 {
			s = next(t, s, Change{Kind: DropSegment, Name: name})
			delete(want, name)
			if _, ok := s.Segment(name); ok {
				t.Fatalf("segment %s is still there after being dropped", name)
			}
		} else {
			s = next(t, s, Change{Kind: PutSegment, Segment: Segment{Name: name, Text: "everyone"}})
			want[name] = s.Version()
		}
		if i == 1000 {
			old, oldWant = s, maps.Clone(want)
		}
		if i%100 == 0 {
			check(s, want)
		}
	}
	check(s, want)
	check(old, oldWant)
}

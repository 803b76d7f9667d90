package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestCells writes random numbers to a page and to a map, with rescaling, widening, falling values,
// floats and clearing. A copy must stay as it was.
func TestCells(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 4))
		var c cells
		twin := map[int]tree.Number{}
		magnitude := int64(1) << (1 + rng.IntN(60))
		for i := range 400 {
			row := rng.IntN(64)
			n := tree.Decimal(rng.Int64N(magnitude)-magnitude/2-int64(i), int8(rng.IntN(1+int(seed%4))))
			switch {
			case seed%7 == 0 && rng.IntN(100) == 0:
				n, _ = tree.FromFloat(rng.Float64() * math.Pow(10, float64(rng.IntN(600)-300)))
			case seed%5 == 0 && rng.IntN(50) == 0:
				n = tree.Decimal(1, 18)
			}
			if rng.IntN(6) == 0 {
				c.clear(row)
				delete(twin, row)
			} else {
				c.setNumber(row, n, 64)
				twin[row] = n
			}
		}
		copied := c.clone()
		for range 50 {
			c.setNumber(rng.IntN(64), tree.Int(rng.Int64()), 64)
		}
		v := copied.vec(tree.NumberType, nil, 64)
		for row := range 64 {
			n, ok := copied.number(row)
			want, wanted := twin[row]
			if ok != wanted || n != want {
				t.Fatalf("seed %d, row %d: %v %v, not %v %v", seed, row, n, ok, want, wanted)
			}
			if raw, has := v.Raw(row); v.Rows > 0 && has && v.Bounded && (raw < v.Lo || raw > v.Hi) {
				t.Fatalf("seed %d, row %d: %d is not between %d and %d", seed, row, raw, v.Lo, v.Hi)
			}
			if v.Rows > 0 && wanted && !v.Value(row).Equal(tree.Num(want)) {
				t.Fatalf("seed %d, row %d: the vector has %v, not %v", seed, row, v.Value(row), want)
			}
		}
	}
}

func track(user, id string) Message { return Message{Kind: Track, UserID: user, MessageID: id} }

// TestDedupWindow checks that a messageId is remembered for the whole window, also over a restart,
// and forgotten after it, and that the cap forgets the oldest first.
func TestDedupWindow(t *testing.T) {
	s, err := New(Config{DedupWindow: 3_600_000, DedupCap: 1600})
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, 1, EncodeCatalog(0, testChanges()[0]))
	seq := uint64(1)
	send := func(now int64, id string) Status {
		seq++
		return mustApply(t, s, seq, EncodeMessages(1, now, []Message{track("u", id)})).Outcomes[0].Status
	}
	if send(0, "a") != Accepted || send(1_800_000, "b") != Accepted || send(3_599_999, "a") != Duplicate {
		t.Error("inside the window")
	}
	restored, err := Restore(Config{DedupWindow: 3_600_000, DedupCap: 1600}, snapshotOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	s = restored
	if send(3_600_000, "b") != Duplicate || s.root.dedup.gens[0].start != 0 {
		t.Error("after a restart")
	}
	if send(9_000_000, "a") != Accepted || send(9_000_000, "b") != Accepted || send(9_000_000, "b") != Duplicate {
		t.Error("after the window")
	}
	for i := range 2000 {
		send(9_000_001, fmt.Sprint(i))
	}
	if send(9_000_001, "1999") != Duplicate || send(9_000_001, "700") != Duplicate {
		t.Error("the cap forgot too much")
	}
	if send(9_000_001, "3") != Accepted {
		t.Error("the cap forgot nothing")
	}
}

// TestImportedLines checks that a line of a source takes effect once, however often the import is run.
func TestImportedLines(t *testing.T) {
	s := newTestShard(t)
	lines := []uint64{0, 1, 65_535, 65_536, 1 << 40, 7, 1<<64 - 1}
	var msgs []Message
	for _, source := range []string{"a.csv", "b.csv"} {
		for _, line := range lines {
			msgs = append(msgs, Message{Kind: Track, UserID: "u", Source: source, Line: line})
		}
	}
	if r := mustApply(t, s, 4, EncodeMessages(3, 0, msgs)); r.Accepted != len(msgs) {
		t.Errorf("%d of %d accepted", r.Accepted, len(msgs))
	}
	s = restoreCopy(t, s)
	if r := mustApply(t, s, 5, EncodeMessages(3, 0, msgs)); r.Duplicates != len(msgs) {
		t.Errorf("%d of %d known again", r.Duplicates, len(msgs))
	}
}

// TestSeveralChunks reads a shard with more profiles than fit into a chunk.
func TestSeveralChunks(t *testing.T) {
	const profiles = query.ChunkSize + 700
	s := newTestShard(t)
	var msgs []Message
	for i := range profiles {
		msgs = append(msgs, Message{Kind: Identify, UserID: fmt.Sprint("u", i), Fields: []Field{{query.FirstAttribute + 1, tree.NumInt(int64(i))}}})
		if i%97 == 0 {
			msgs = append(msgs, Message{Kind: Track, UserID: fmt.Sprint("u", i), Event: 2, Time: int64(i)})
		}
	}
	seq := uint64(3)
	for from := 0; from < len(msgs); from += 5000 {
		seq++
		mustApply(t, s, seq, EncodeMessages(3, 0, msgs[from:min(from+5000, len(msgs))]))
	}
	s = restoreCopy(t, s)
	v := s.View()
	defer v.Release()
	if v.Chunks() != 2 || v.Series(2, 1).Rows != 7 || len(v.Events(1)) != 1 {
		t.Errorf("%d chunks, %d events in the second", v.Chunks(), v.Series(2, 1).Rows)
	}
	for _, i := range []int{0, 65_535, 65_536, profiles - 1} {
		ordinal, ok := v.Find(fmt.Sprint("u", i))
		if !ok || ordinal != uint32(i) || v.ID(ordinal) != fmt.Sprint("u", i) {
			t.Fatalf("profile %d is %d, %v", i, ordinal, ok)
		}
		row := i % query.ChunkSize
		if got := v.Attribute(query.FirstAttribute+1, i>>query.ChunkBits)[row/query.PageRows].Value(row % query.PageRows); !got.Equal(tree.NumInt(int64(i))) {
			t.Errorf("attribute of profile %d is %v", i, got)
		}
	}
}

// TestDictCap checks that a property with more values than are kept is reported, on a restored shard
// too.
func TestDictCap(t *testing.T) {
	config := Config{DictCap: 10}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, 1, EncodeCatalog(0, testChanges()[0]))
	for i := range 12 {
		v := s.View()
		if v.Overflowed(0, 2) != (i > 10) {
			t.Errorf("overflowed after %d values: %v", i, v.Overflowed(0, 2))
		}
		v.Release()
		m := Message{Kind: Track, UserID: "u", Fields: []Field{{2, tree.Str(fmt.Sprint(i))}}}
		mustApply(t, s, uint64(i+2), EncodeMessages(1, 0, []Message{m}))
	}
	restored, err := Restore(config, snapshotOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	v := restored.View()
	defer v.Release()
	if !v.Overflowed(0, 2) || v.Overflowed(0, 4) || restored.Check() != nil {
		t.Error("a restored shard forgets that values are missing")
	}
}

func TestResolve(t *testing.T) {
	c := catalog.New(nil)
	in := Incoming{Kind: Group, UserID: "u", GroupID: "g", Fields: []NamedField{
		{Name: "size", Value: tree.NumInt(5)}, {Name: "since", Value: tree.Str("2026-01-31T10:00:00Z")},
		{Name: "code", Value: tree.Str("2026-01-31"), Exact: true}, {Name: "day", Value: tree.Str("2026-02-30")},
	}}
	m, missing, err := Resolve(c, &in)
	if err != nil || len(missing) != 5 || len(m.Fields) != 0 {
		t.Fatalf("%v is missing, %v, %v", missing, m.Fields, err)
	}
	c, err = c.Apply(catalog.Change{Version: 1, Kind: catalog.DefineNames, Names: missing})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]tree.Type{"group_id": tree.StringType, "group.size": tree.NumberType,
		"group.since": tree.TimeType, "group.code": tree.StringType, "group.day": tree.StringType} {
		if _, typ, _ := c.Attribute(name); typ != want {
			t.Errorf("%s is a %v", name, typ)
		}
	}
	in.Fields = append(in.Fields, NamedField{Name: "size", Value: tree.Str("large")}, NamedField{Name: "since", Value: tree.Str("2026-02-01")})
	m, missing, err = Resolve(c, &in)
	if err != nil || len(missing) != 0 || len(m.Fields) != 5 || m.Mismatched != 1 {
		t.Fatalf("%v, missing %v, %d mismatched, %v", m.Fields, missing, m.Mismatched, err)
	}
	since, _, _ := c.Attribute("group.since")
	if got := m.Fields[since-query.FirstAttribute].Value; got.Int != 1_769_904_000_000 {
		t.Errorf("the last of two values must win, not %v", got)
	}
	for _, bad := range []Incoming{
		{Kind: Track, UserID: "u"}, {Kind: Track, Event: "e"}, {Kind: Alias, UserID: "u"}, {Kind: 99, UserID: "u"},
	} {
		if _, _, err := Resolve(c, &bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newTestShard(t)
	for i, m := range []Message{
		{Kind: Track, UserID: "u", Event: 3},
		{Kind: Track, UserID: "u", Fields: []Field{{5, tree.NumInt(1)}}},
		{Kind: Identify, UserID: "u", Fields: []Field{{query.FirstAttribute + 5, tree.NumInt(1)}}},
		{Kind: Track, UserID: "u", Time: math.MaxInt64},
		{Kind: Track},
	} {
		r, err := s.Apply(uint64(4+i), EncodeMessages(3, 0, []Message{m}))
		if err != nil || r.Outcomes[0].Status != Refused || r.Outcomes[0].Reason == "" {
			t.Errorf("%+v: %+v, %v", m, r, err)
		}
	}
	r, err := s.Apply(9, EncodeMessages(4, 0, []Message{track("u", "1")}))
	if err != nil || r.Outcomes[0].Reason != ReasonCatalog {
		t.Errorf("a later catalog: %+v, %v", r, err)
	}
	if _, err := s.Apply(9, EncodeTick(1)); err == nil {
		t.Error("an entry is applied twice")
	}
}

func TestDescriptions(t *testing.T) {
	s := newTestShard(t)
	first := query.FirstAttribute
	mustApply(t, s, 4, EncodeMessages(3, 0, []Message{
		{Kind: Track, UserID: "u", Event: 1, Time: 7, Fields: []Field{{1, tree.NumInt(5)}, {2, tree.Str("a")}}},
		{Kind: Track, UserID: "v", Event: 1, Time: 5, Fields: []Field{{2, tree.Str("b")}}},
		{Kind: Identify, UserID: "u", Fields: []Field{{first + 1, tree.NumInt(1)}, {first + 2, tree.Str("x")}}},
	}))
	v := s.View()
	defer v.Release()
	event := v.NameInfo(query.EventName)[1]
	if event.Name != "event1" || event.Count != 2 || event.FirstSeen != 5 || event.LastSeen != 7 || event.MemoryBytes <= 0 {
		t.Errorf("event %+v", event)
	}
	if p := event.Properties[1]; p.Count != 1 || len(p.Examples) != 1 || p.Cardinality != -1 {
		t.Errorf("number %+v", p)
	}
	if p := event.Properties[2]; p.Count != 2 || p.Cardinality != 2 || len(p.Examples) != 2 {
		t.Errorf("string %+v", p)
	}
	if a := v.NameInfo(query.AttributeName)[2]; a.Name != "attribute2" || a.Count != 1 || a.Cardinality != 1 || a.Examples[0].Str != "x" {
		t.Errorf("attribute %+v", a)
	}
	about, ok := v.About("u")
	if !ok || about.UserID != "u" || len(about.Attributes) != 2 || about.Events[0] != (EventCount{"event1", 1, 7, 7}) || about.FirstSeen != 7 {
		t.Errorf("profile %+v", about)
	}
	total := int64(0)
	for _, line := range s.Memory() {
		total += line.Bytes
	}
	if total <= 0 {
		t.Error("no memory is used")
	}
}

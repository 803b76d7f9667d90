package member

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// world is the simplest possible shard: all profiles and facts in plain lists, from which columns and
// blocks are made whenever they are read. The same facts are a history for the oracle.
type world struct {
	t       *testing.T
	schema  *querytest.Schema
	history *querytest.History // the first profile defines the types and is never queried
	at      []uint32           // the ordinal of each profile of the history
	exists  []bool
	chunks  int
	members map[int]*fakeMembers

	trackers []*Tracker // notified when the facts change

	version int // of the facts
	made    map[[3]int]any
	madeAt  int
	dict    *fakeDict
}

var _ Host = (*world)(nil)

// places are ordinals at the edges of words, pages and chunks, beginning with the second profile.
var places = []uint32{
	0, 0, 1, 63, 64, 511, 512, 513, query.ChunkSize, query.ChunkSize + 1, query.ChunkSize + 512,
	2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
}

// newWorld returns a world without profiles, with the names of a history whose first profile has all of them.
func newWorld(t *testing.T, names *querytest.History) *world {
	w := &world{
		t: t, schema: querytest.NewSchema(names), chunks: 2, members: map[int]*fakeMembers{},
		history: &querytest.History{Profiles: make([]querytest.Profile, len(names.Profiles)), Lists: map[string][]string{}, Segments: names.Segments, Zone: names.Zone},
		at:      places[:len(names.Profiles)], exists: make([]bool, len(names.Profiles)), made: map[[3]int]any{}, dict: &fakeDict{codes: map[string]uint32{}},
	}
	w.history.Profiles[0] = names.Profiles[0]
	for name := range names.Lists {
		w.history.Lists[name] = nil
	}
	return w
}

// parse parses and checks a predicate.
func (w *world) parse(text string) tree.Pred {
	w.t.Helper()
	p, err := syntax.ParsePred(text, syntax.Limits{})
	if err == nil {
		p, _, err = check.Predicate(p, w.schema)
	}
	if err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	return p
}

// indexAt returns the index of the profile with an ordinal, 0 if there is none.
func (w *world) indexAt(ordinal uint32) int {
	for i := 1; i < len(w.at); i++ {
		if w.at[i] == ordinal && w.exists[i] {
			return i
		}
	}
	return 0
}

func (w *world) ordinals() []uint32 {
	var all []uint32
	for i := 1; i < len(w.at); i++ {
		if w.exists[i] {
			all = append(all, w.at[i])
		}
	}
	slices.Sort(all)
	return all
}

// add, set, do, list, name and erase change the facts, and notify the trackers as a shard does.
func (w *world) add(i int, userID string, anonymous ...string) {
	w.relist(func() {
		w.history.Profiles[i] = querytest.Profile{UserID: userID, Anonymous: anonymous, Attrs: map[string]tree.Value{}}
		w.exists[i] = true
		w.version++
		for _, t := range w.trackers {
			t.Profile(w.at[i])
			t.IDs(w.at[i])
		}
	})
}

// relist calls change, which adds or removes ids, and reports every profile whose place on a list has
// changed: an id on a list may refer to another profile once it is a user id.
func (w *world) relist(change func()) {
	type place struct{ list, ordinal uint32 }
	listed := func() map[place]bool {
		all := map[place]bool{}
		for name, ids := range w.history.Lists {
			list, _ := w.schema.List(name)
			for _, id := range ids {
				if ordinal, ok := w.Source().Find(id); ok {
					all[place{list, ordinal}] = true
				}
			}
		}
		return all
	}
	was := listed()
	change()
	is := listed()
	for name := range w.history.Lists {
		list, _ := w.schema.List(name)
		for i := 1; i < len(w.at); i++ {
			if at := (place{list, w.at[i]}); w.exists[i] && was[at] != is[at] {
				for _, t := range w.trackers {
					t.Listed(w.at[i], list)
				}
			}
		}
	}
}

func (w *world) set(i int, name string, v tree.Value) {
	id, typ, _ := w.schema.Attribute(name)
	if v.Type != typ && !v.Missing() {
		return
	}
	was := w.history.Profiles[i].Attrs[name]
	w.history.Profiles[i].Attrs[name] = v
	if v.Missing() {
		delete(w.history.Profiles[i].Attrs, name)
	}
	w.version++
	for _, t := range w.trackers {
		t.Attribute(w.at[i], id, was, v)
	}
}

func (w *world) do(i int, e querytest.Event) {
	p := &w.history.Profiles[i]
	p.Events = append(p.Events, e)
	w.version++
	id, _ := w.schema.Event(e.Name)
	pos := uint16(w.at[i])
	var block *query.Block
	row := 0
	for _, b := range w.Source().Series(id, int(w.at[i]>>query.ChunkBits)).Blocks {
		for k := range b.Rows {
			if b.Pos[k] == pos { // the last one is the newest
				block, row = b, k
			}
		}
	}
	for _, t := range w.trackers {
		t.Event(w.at[i], id, e.Time, block, row)
	}
}

func (w *world) list(name string, ids ...string) {
	w.history.Lists[name] = append(w.history.Lists[name], ids...)
	w.version++
	id, _ := w.schema.List(name)
	for i := 1; i < len(w.at); i++ {
		p := &w.history.Profiles[i]
		if w.exists[i] && slices.ContainsFunc(ids, func(x string) bool { return x == p.UserID || slices.Contains(p.Anonymous, x) }) {
			for _, t := range w.trackers {
				t.Listed(w.at[i], id)
			}
		}
	}
}

func (w *world) erase(i int) {
	w.relist(func() {
		w.history.Profiles[i] = querytest.Profile{}
		w.exists[i] = false
		w.version++
		for _, t := range w.trackers {
			t.Gone(w.at[i])
		}
	})
}

// name gives a profile a user id.
func (w *world) name(i int, userID string) {
	w.relist(func() {
		w.history.Profiles[i].UserID = userID
		w.version++
		for _, t := range w.trackers {
			t.IDs(w.at[i])
		}
	})
}

// Source implements Host.
func (w *world) Source() query.Source { return facts{w: w} }

// Profile implements Host.
func (w *world) Profile(uint32) query.Source { return facts{w: w} }

// Exists implements Host.
func (w *world) Exists(ordinal uint32) bool { return w.indexAt(ordinal) > 0 }

// Rows implements Host.
func (w *world) Rows(ordinal, event uint32, from, to int64, into []Row) []Row {
	for _, b := range w.Source().Series(event, int(ordinal>>query.ChunkBits)).Blocks {
		for row := range b.Rows {
			if at := b.Time(row); b.Pos[row] == uint16(ordinal) && from <= at && at <= to {
				into = append(into, Row{at, b, row})
			}
		}
	}
	return into
}

// Members implements Host.
func (w *world) Members(slot int) Members {
	if w.members[slot] == nil {
		w.members[slot] = &fakeMembers{w: w, in: map[uint32]bool{}}
	}
	return w.members[slot]
}

// fakeMembers is a membership as a map that checks what Put requires.
type fakeMembers struct {
	w  *world
	in map[uint32]bool
}

func (m *fakeMembers) Has(ordinal uint32) bool { return m.in[ordinal] }

func (m *fakeMembers) Fill(chunk int, out *query.Bits) {
	*out = query.Bits{}
	for ordinal := range m.in {
		if int(ordinal>>query.ChunkBits) == chunk {
			out.Set(uint16(ordinal))
		}
	}
}

func (m *fakeMembers) Put(ordinals []uint32, member bool) {
	for i, ordinal := range ordinals {
		if m.in[ordinal] == member || i > 0 && ordinals[i-1] >= ordinal {
			m.w.t.Fatalf("put %v: %d changes nothing or is out of order", ordinals, ordinal)
		}
		if m.in[ordinal] = member; !member {
			delete(m.in, ordinal)
		}
	}
}

// list returns the members, ascending.
func (m *fakeMembers) list() []uint32 { return slices.Sorted(maps.Keys(m.in)) }

// facts is a world as a query.Source. The embedded noFacts implements the methods it does not need.
type facts struct {
	noFacts
	w *world
}

// made returns a cached value, computing it if the facts have changed since.
func made[T any](w *world, what, id, chunk int, make func() T) T {
	if w.madeAt != w.version {
		clear(w.made)
		w.madeAt = w.version
	}
	key := [3]int{what, id, chunk}
	x, ok := w.made[key].(T)
	if !ok {
		x = make()
		w.made[key] = x
	}
	return x
}

func (f facts) Chunks() int { return f.w.chunks }

func (f facts) Profiles(chunk int, out *query.Bits) int {
	*out = query.Bits{}
	for _, ordinal := range f.w.ordinals() {
		if int(ordinal>>query.ChunkBits) == chunk {
			out.Set(uint16(ordinal))
		}
	}
	return out.Count()
}

func (f facts) Attribute(id uint32, chunk int) []query.Vec {
	return made(f.w, 0, int(id), chunk, func() []query.Vec {
		values := map[int]tree.Value{}
		typ := tree.TimeType
		for i := range f.w.at {
			if !f.w.exists[i] || int(f.w.at[i]>>query.ChunkBits) != chunk {
				continue
			}
			pos := int(f.w.at[i] % query.ChunkSize)
			for name, v := range f.w.history.Profiles[i].Attrs {
				if known, t, _ := f.w.schema.Attribute(name); known == id {
					values[pos], typ = v, t
				}
			}
			for _, e := range f.w.history.Profiles[i].Events {
				v, first := values[pos], id == query.AttrFirstSeen
				if (first || id == query.AttrLastSeen) && (v.Missing() || first == (e.Time < v.Int)) {
					values[pos] = tree.Time(e.Time)
				}
			}
		}
		var pages []query.Vec
		for page := range query.ChunkSize / query.PageRows {
			of := make([]tree.Value, query.PageRows)
			some := false
			for pos, v := range values {
				if pos/query.PageRows == page {
					of[pos%query.PageRows], some = v, true
				}
			}
			if !some {
				of = nil
			}
			pages = append(pages, f.w.dict.column(of, typ))
		}
		return pages[:2]
	})
}

func (f facts) Events(chunk int) (ids []uint32) {
	f.w.schema.Names(query.EventName, "", func(name string, _ tree.Type) bool {
		if id, _ := f.w.schema.Event(name); f.Series(id, chunk).Rows > 0 {
			ids = append(ids, id)
		}
		return true
	})
	slices.Sort(ids)
	return ids
}

// blockRows is the number of events in a block: few, so that most profiles have events in several.
const blockRows = 5

func (f facts) Series(event uint32, chunk int) query.Series {
	return made(f.w, 1, int(event), chunk, func() query.Series {
		name := ""
		f.w.schema.Names(query.EventName, "", func(n string, _ tree.Type) bool {
			if id, _ := f.w.schema.Event(n); id == event {
				name = n
			}
			return true
		})
		s := query.Series{Min: math.MaxInt64, Max: math.MinInt64}
		var ever query.Bits
		var events []querytest.Event
		var pos []uint16
		for i := range f.w.at {
			for _, e := range f.w.history.Profiles[i].Events {
				if f.w.exists[i] && e.Name == name && int(f.w.at[i]>>query.ChunkBits) == chunk {
					events, pos = append(events, e), append(pos, uint16(f.w.at[i]))
					ever.Set(uint16(f.w.at[i]))
					s.Min, s.Max = min(s.Min, e.Time), max(s.Max, e.Time)
				}
			}
		}
		for from := 0; from < len(events); from += blockRows {
			to := min(from+blockRows, len(events))
			s.Blocks = append(s.Blocks, f.w.block(event, name, events[from:to], pos[from:to]))
		}
		s.Rows, s.Ever = len(events), ever.Holders()
		return s
	})
}

func (w *world) block(event uint32, name string, events []querytest.Event, pos []uint16) *query.Block {
	b := &query.Block{Rows: len(events), Pos: pos, Min: math.MaxInt64, Max: math.MinInt64}
	for _, e := range events {
		b.Times = append(b.Times, e.Time)
		b.Min, b.Max = min(b.Min, e.Time), max(b.Max, e.Time)
	}
	w.schema.Names(query.PropertyName, name, func(prop string, typ tree.Type) bool {
		id, _, _ := w.schema.Property(event, prop)
		values := make([]tree.Value, len(events))
		some := false
		for i, e := range events {
			if v := e.Props[prop]; v.Type == typ {
				values[i], some = v, true
			}
		}
		for len(b.Cols) <= int(id) {
			b.Cols = append(b.Cols, nil)
		}
		if some {
			column := w.dict.column(values, typ)
			b.Cols[id] = &column
		}
		return true
	})
	return b
}

func (f facts) profile(ordinal uint32) *querytest.Profile {
	return &f.w.history.Profiles[f.w.indexAt(ordinal)]
}

func (f facts) ID(ordinal uint32) string { return f.profile(ordinal).ID() }

func (f facts) UserID(ordinal uint32) (string, bool) {
	id := f.profile(ordinal).UserID
	return id, id != ""
}

func (f facts) AnonymousID(ordinal uint32) (string, bool) {
	if all := f.profile(ordinal).Anonymous; len(all) > 0 {
		return all[0], true
	}
	return "", false
}

func (f facts) Find(id string) (uint32, bool) {
	for _, user := range []bool{true, false} {
		for i := 1; i < len(f.w.at); i++ {
			p := &f.w.history.Profiles[i]
			if f.w.exists[i] && (user && p.UserID == id || !user && slices.Contains(p.Anonymous, id)) {
				return f.w.at[i], true
			}
		}
	}
	return 0, false
}

func (f facts) InList(list uint32, chunk int, out *query.Bits) {
	*out = query.Bits{}
	for name, ids := range f.w.history.Lists {
		if id, _ := f.w.schema.List(name); id != list {
			continue
		}
		for _, id := range ids {
			if ordinal, ok := f.Find(id); ok && int(ordinal>>query.ChunkBits) == chunk {
				out.Set(uint16(ordinal))
			}
		}
	}
}

// fakeDict is one dictionary for all columns.
type fakeDict struct {
	values []tree.Value
	codes  map[string]uint32
}

func (d *fakeDict) Len() int { return len(d.values) }

func (d *fakeDict) Value(code uint32) tree.Value { return d.values[code] }

func (d *fakeDict) Find(v tree.Value) (uint32, bool) {
	code, ok := d.codes[fmt.Sprint(v)]
	return code, ok
}

// column encodes values: numbers with at most two decimals at a common scale, others with a scale per row.
func (d *fakeDict) column(values []tree.Value, typ tree.Type) query.Vec {
	v := query.Vec{Rows: len(values), Type: typ, I64: make([]int64, len(values))}
	if typ == tree.StringType || typ == tree.ListType {
		v.Dict = d
	}
	v.Scale = 2
	for _, x := range values {
		if x.Type == tree.NumberType && (x.Scale > 2 || x.Int > math.MaxInt64/100 || x.Int < -math.MaxInt64/100) {
			v.Scale, v.Scales = 0, make([]int8, len(values))
			break
		}
	}
	for i, x := range values {
		switch {
		case x.Missing():
			v.I64[i] = query.VecMissing
		case v.Dict != nil:
			code, ok := d.Find(x)
			if !ok {
				code = uint32(len(d.values))
				d.values, d.codes[fmt.Sprint(x)] = append(d.values, x), code
			}
			v.I64[i] = int64(code)
		case typ == tree.NumberType && v.Scales != nil:
			v.I64[i], v.Scales[i] = x.Int, x.Scale
		case typ == tree.NumberType:
			v.I64[i] = x.Int * tree.Pow10(2-x.Scale)
		default:
			v.I64[i] = x.Int
		}
	}
	return v
}

package engine

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// twin is the simplest implementation of a shard: maps of strings.
type twin struct {
	profiles map[string]*twinProfile // by "u:" + user id or "a:" + anonymous id
	seen     map[string]bool         // messageIds and source lines
	lists    map[uint32]map[string]bool
}

type twinProfile struct {
	attributes map[uint32]tree.Value
	events     []string
}

func newTwin() *twin {
	return &twin{profiles: map[string]*twinProfile{}, seen: map[string]bool{}, lists: map[uint32]map[string]bool{}}
}

func (w *twin) apply(m *Message) Status {
	key := "m:" + m.MessageID
	if m.MessageID == "" && m.Source != "" {
		key = fmt.Sprintf("l:%s:%d", m.Source, m.Line)
	}
	if key != "m:" && w.seen[key] {
		return Duplicate
	}
	w.seen[key] = key != "m:"
	id := "a:" + m.AnonymousID
	if m.UserID != "" {
		id = "u:" + m.UserID
	}
	p := w.profiles[id]
	if p == nil {
		p = &twinProfile{attributes: map[uint32]tree.Value{}}
		w.profiles[id] = p
	}
	if m.Event == NoEvent {
		return Accepted
	}
	if m.Kind.HasEvent() {
		p.events = append(p.events, describeEvent(m.Event, m.Time, m.Fields))
		return Accepted
	}
	for _, f := range m.Fields {
		p.attributes[f.ID] = f.Value
	}
	return Accepted
}

func describeEvent(event uint32, time int64, fields []Field) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d@%d", event, time)
	for _, f := range fields {
		fmt.Fprintf(&b, " %d=%s", f.ID, describeValue(f.Value))
	}
	return b.String()
}

func describeValue(v tree.Value) string {
	switch v.Type {
	case tree.NumberType:
		return v.Number().String()
	case tree.StringType:
		return fmt.Sprintf("%q", v.Str)
	case tree.ListType:
		var items []string
		for _, item := range v.List {
			items = append(items, describeValue(item))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return fmt.Sprintf("%s:%d", v.Type, v.Int)
}

// describe returns a twin as lines that can be compared with those of a view.
func (w *twin) describe() []string {
	var lines []string
	for id, p := range w.profiles {
		line := id
		for _, attribute := range sortedIDs(p.attributes) {
			line += fmt.Sprintf(" a%d=%s", attribute, describeValue(p.attributes[attribute]))
		}
		slices.Sort(p.events)
		lines = append(lines, line+" | "+strings.Join(p.events, "; "))
		for list, ids := range w.lists {
			if ids[id[2:]] && (id[0] == 'u' || w.profiles["u:"+id[2:]] == nil) {
				lines = append(lines, fmt.Sprintf("list %d has %s", list, id))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func sortedIDs(m map[uint32]tree.Value) []uint32 {
	var ids []uint32
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare)
	return ids
}

// describeView returns the contents of a view in the same form, read only through query.Source.
func describeView(v *View) []string {
	var lines []string
	for chunk := range v.Chunks() {
		var positions query.Bits
		v.Profiles(chunk, &positions)
		attributes := make([][]query.Vec, v.Catalog().Attributes())
		for i := range attributes {
			attributes[i] = v.Attribute(query.FirstAttribute+uint32(i), chunk)
		}
		events := eventsByPosition(v, chunk)
		for pos := range positions.All {
			ordinal := uint32(chunk<<query.ChunkBits) | uint32(pos)
			id, named := v.UserID(ordinal)
			line := "u:" + id
			if !named {
				id, _ = v.AnonymousID(ordinal)
				line = "a:" + id
			}
			key := line
			for i, vecs := range attributes {
				page, row := int(pos)/query.PageRows, int(pos)%query.PageRows
				if page < len(vecs) && row < vecs[page].Rows {
					if value := vecs[page].Value(row); !value.Missing() {
						line += fmt.Sprintf(" a%d=%s", int(query.FirstAttribute)+i, describeValue(value))
					}
				}
			}
			slices.Sort(events[pos])
			lines = append(lines, line+" | "+strings.Join(events[pos], "; "))
			for _, l := range v.Catalog().Lists() {
				var members query.Bits
				if v.InList(l.ID, chunk, &members); members.Has(pos) {
					lines = append(lines, fmt.Sprintf("list %d has %s", l.ID, key))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func eventsByPosition(v *View, chunk int) map[uint16][]string {
	events := map[uint16][]string{}
	for _, event := range v.Events(chunk) {
		for _, b := range v.Series(event, chunk).Blocks {
			for row := range b.Rows {
				var fields []Field
				for id := range b.Cols {
					if col := b.Col(uint32(id)); col != nil {
						if value := col.Value(row); !value.Missing() {
							fields = append(fields, Field{uint32(id), value})
						}
					}
				}
				events[b.Pos[row]] = append(events[b.Pos[row]], describeEvent(event, b.Time(row), fields))
			}
		}
	}
	return events
}

// testChanges returns a catalog of five attributes, and three events with five properties each, one
// of every type.
func testChanges() []catalog.Change {
	types := []tree.Type{tree.BoolType, tree.NumberType, tree.StringType, tree.TimeType, tree.ListType}
	var names []catalog.Name
	for i, t := range types {
		names = append(names, catalog.Name{Kind: query.AttributeName, Name: fmt.Sprintf("attribute%d", i), Type: t})
	}
	for e := range 3 {
		event := fmt.Sprintf("event%d", e)
		names = append(names, catalog.Name{Kind: query.EventName, Name: event})
		for i, t := range types {
			names = append(names, catalog.Name{Kind: query.PropertyName, Event: event, Name: fmt.Sprintf("property%d", i), Type: t})
		}
	}
	return []catalog.Change{
		{Version: 1, Kind: catalog.DefineNames, Names: names},
		{Version: 2, Kind: catalog.PutList, Name: "first"},
		{Version: 3, Kind: catalog.PutList, Name: "second"},
	}
}

const testStart = 1_700_000_000_000

// script generates a random log.
type script struct {
	rng   *rand.Rand
	now   int64
	ids   int  // number of profiles
	next  int  // number of the last new messageId
	named bool // the catalog has every event's name
}

func newScript(seed uint64, ids int) *script {
	return &script{rng: rand.New(rand.NewPCG(seed, 1)), now: testStart, ids: ids}
}

func (s *script) message() Message {
	rng := s.rng
	m := Message{Kind: Track, ReceivedAt: s.now}
	id := fmt.Sprintf("id-%d", rng.IntN(s.ids))
	if rng.IntN(4) == 0 {
		m.AnonymousID = id
	} else {
		m.UserID = id
	}
	switch rng.IntN(10) {
	case 0:
	case 1:
		m.Source, m.Line = fmt.Sprintf("file-%d", rng.IntN(2)), uint64(rng.IntN(200_000))
	case 2:
		m.MessageID = fmt.Sprintf("m-%d", rng.IntN(s.next+1))
	default:
		s.next++
		m.MessageID = fmt.Sprintf("m-%d", s.next)
	}
	if rng.IntN(5) == 0 {
		m.Kind = Identify
		for i := range 5 {
			if rng.IntN(3) == 0 {
				m.Fields = append(m.Fields, Field{query.FirstAttribute + uint32(i), s.value(i)})
			}
		}
		return m
	}
	m.Event = uint32(rng.IntN(10) / 5)
	m.Time = s.time()
	if !s.named && rng.IntN(50) == 0 {
		m.Event, m.EventName, m.Mismatched = NoEvent, "nameless", 3
		return m
	}
	for i := range 5 {
		if rng.IntN(3) > 0 {
			m.Fields = append(m.Fields, Field{uint32(i), s.value(i)})
		}
	}
	return m
}

// time returns a time that is mostly about now, sometimes late, in the future, or far away.
func (s *script) time() int64 {
	switch s.rng.IntN(30) {
	case 0:
		return s.now - s.rng.Int64N(90*86_400_000)
	case 1:
		return s.now + s.rng.Int64N(86_400_000)
	case 2:
		return []int64{0, -62_135_596_800_000, 253_402_300_799_999, 1, maxTime, -maxTime}[s.rng.IntN(6)]
	}
	return s.now - s.rng.Int64N(60_000)
}

var testNumbers = []string{"0", "1", "-1", "0.5", "19.99", "1000000", "9223372036854775807", "-9223372036854775808",
	"0.000000000000000001", "1e300", "123456789012345678901234567890", "-0.25", "922337203685477580.7"}

func (s *script) value(kind int) tree.Value {
	rng := s.rng
	switch kind {
	case 0:
		return tree.Bool(rng.IntN(2) == 0)
	case 1:
		if rng.IntN(20) == 0 {
			n, ok := tree.ParseNumber(testNumbers[rng.IntN(len(testNumbers))])
			if !ok {
				panic("bad test number")
			}
			return tree.Num(n)
		}
		return tree.Num(tree.Decimal(rng.Int64N(100_000), int8(rng.IntN(3))))
	case 2:
		return tree.Str(fmt.Sprintf("väl-%d", rng.IntN(1+rng.IntN(3000))))
	case 3:
		return tree.Time(s.now - rng.Int64N(1<<40))
	}
	items := make([]tree.Value, 1+rng.IntN(3))
	for i := range items {
		items[i] = tree.Str(fmt.Sprint("tag", rng.IntN(9)))
	}
	return tree.ListOf(items...)
}

// step returns the next entry and applies it to w if that is not nil.
func (s *script) step(w *twin) []byte {
	s.now += s.rng.Int64N(5000)
	switch s.rng.IntN(12) {
	case 0:
		return EncodeTick(s.now)
	case 1:
		update := ListUpdate{List: uint32(s.rng.IntN(2))}
		for range s.rng.IntN(5) {
			update.Add = append(update.Add, fmt.Sprintf("id-%d", s.rng.IntN(2*s.ids)))
			update.Remove = append(update.Remove, fmt.Sprintf("id-%d", s.rng.IntN(2*s.ids)))
		}
		w.update(update)
		return EncodeListUpdate(s.now, update)
	}
	msgs := make([]Message, s.rng.IntN(200))
	for i := range msgs {
		msgs[i] = s.message()
		if w != nil {
			w.apply(&msgs[i])
		}
	}
	return EncodeMessages(3, s.now, msgs)
}

func (w *twin) update(u ListUpdate) {
	if w == nil {
		return
	}
	if w.lists[u.List] == nil {
		w.lists[u.List] = map[string]bool{}
	}
	for _, id := range u.Add {
		w.lists[u.List][id] = true
	}
	for _, id := range u.Remove {
		delete(w.lists[u.List], id)
	}
}

// newTestShard returns a shard with the catalog of testChanges, which entries 1 to 3 defined.
func newTestShard(t testing.TB) *Shard {
	t.Helper()
	s, err := New(Config{Key: 42})
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range testChanges() {
		mustApply(t, s, uint64(i+1), EncodeCatalog(testStart, change))
	}
	return s
}

func mustApply(t testing.TB, s *Shard, seq uint64, entry []byte) Result {
	t.Helper()
	r, err := s.Apply(seq, entry)
	if err != nil {
		t.Fatal(err)
	}
	if r.Reason != "" || r.Refused > 0 {
		t.Fatalf("entry %d: %d refused: %s %v", seq, r.Refused, r.Reason, r.Outcomes)
	}
	return r
}

func diffLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			line := func(lines []string) string {
				if i < len(lines) {
					return lines[i]
				}
				return "(nothing)"
			}
			t.Fatalf("%s: line %d of %d and %d\n got %s\nwant %s", what, i, len(got), len(want), line(got), line(want))
		}
	}
}

package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// forget makes a dictionary unable to find a value that it has, like an index that was split with too
// few bits. When the value is added again, it gets a second code.
func (d *dictionary) forget(lost uint32) {
	var found []uint32
	for code := range d.n.Load() {
		if at, ok := d.find(d.text(code), xxh3.Hash(d.bytes(code))); ok && at == code && code != lost {
			found = append(found, code)
		}
	}
	d.index = codeIndex{}
	for _, code := range found {
		d.index.add(xxh3.Hash(d.bytes(code)), code, func(code uint32) uint64 { return xxh3.Hash(d.bytes(code)) })
	}
}

// forgetful is a fleet with dictionaries that forget values, and a sound fleet with the same log.
type forgetful struct {
	t           *testing.T
	rng         *rand.Rand
	sound, sick *fleet
	n           int
	set         map[string]tree.Value // last value that a message set, by id and attribute
}

func newForgetful(t *testing.T, seed uint64, shards int) *forgetful {
	w := &forgetful{t: t, rng: rand.New(rand.NewPCG(seed, 9)), sound: liveFleet(t, shards), sick: liveFleet(t, shards), set: map[string]tree.Value{}}
	for i, text := range []string{`attribute2 = "gold"`, `count of "event0" >= 4`, `did "event0" where (property2 = "sku-3")`, `in list "first"`} {
		change := catalog.Change{Version: uint64(4 + i), Kind: catalog.PutSegment, Segment: catalog.Segment{Name: fmt.Sprint("segment", i), Text: text}}
		for _, f := range []*fleet{w.sound, w.sick} {
			for shard := range f.shards {
				f.apply(shard, EncodeCatalog(testStart, change))
			}
		}
	}
	return w
}

// liveFleet returns a fleet whose shards can have segments.
func liveFleet(t *testing.T, n int) *fleet {
	f := &fleet{t: t}
	for range n {
		s, err := New(Config{Key: 42, Parse: parsePred, TailRows: 16})
		if err != nil {
			t.Fatal(err)
		}
		for i, change := range testChanges() {
			mustApply(t, s, uint64(i+1), EncodeCatalog(testStart, change))
		}
		f.shards, f.seqs = append(f.shards, s), append(f.seqs, 3)
	}
	return f
}

func (w *forgetful) send(m Message) {
	w.n++
	m.MessageID = fmt.Sprint("m", w.n)
	if w.n%7 == 0 {
		m.MessageID, m.Source, m.Line = "", "file", uint64(w.n*977)
	}
	for _, f := range m.Fields {
		if m.Kind == Identify {
			w.set[fmt.Sprint(canonicalRef(&m), f.ID)] = f.Value
		}
	}
	w.sound.send(m)
	w.sick.send(m)
}

// latest returns the last value that a message set for the first of ids that has one.
func (w *forgetful) latest(ids []identity.Ref, attribute uint32) (v tree.Value, ok bool) {
	for _, ref := range ids {
		if v, ok = w.set[fmt.Sprint(ref, attribute)]; ok {
			return v, true
		}
	}
	return v, false
}

// step does something random to both fleets.
func (w *forgetful) step() {
	rng := w.rng
	person := rng.IntN(25)
	user, anon := fmt.Sprint("user-", person), fmt.Sprintf("anon-%d-%d", person, rng.IntN(3))
	first := query.FirstAttribute
	m := Message{Kind: Track, Time: testStart + int64(w.n), Fields: []Field{{2, tree.Str(fmt.Sprint("sku-", rng.IntN(6)))}}}
	switch rng.IntN(9) {
	case 0:
		m.UserID, m.Kind = user, Identify
		m.Fields = []Field{{first + 1, tree.NumInt(int64(w.n))}, {first + 2, tree.Str([]string{"gold", "silver", "tin"}[rng.IntN(3)])}}
	case 1:
		m.AnonymousID, m.Kind = anon, Identify
		m.Fields = []Field{{first + 4, tree.ListOf(tree.Str(fmt.Sprint("tag-", person)))}}
	case 2, 3:
		m.AnonymousID = anon
	case 4, 5:
		m.UserID, m.AnonymousID = user, anon
	case 6:
		for _, f := range []*fleet{w.sound, w.sick} {
			for shard := range f.shards {
				f.apply(shard, EncodeListUpdate(testStart, ListUpdate{List: 0, Add: []string{user, anon}}))
			}
		}
		return
	case 7:
		w.sound.settle()
		w.sick.settle()
		return
	default:
		m.UserID = user
	}
	w.send(m)
}

// forget makes a dictionary of the sick fleet forget one of its values.
func (w *forgetful) forget() {
	s := w.sick.shards[w.rng.IntN(len(w.sick.shards))]
	var dicts []*dictionary
	s.root.eachDictionary(func(_ string, d *dictionary, _ int) {
		if d.Len() > 0 {
			dicts = append(dicts, d)
		}
	})
	if len(dicts) > 0 {
		d := dicts[w.rng.IntN(len(dicts))]
		d.forget(uint32(w.rng.IntN(d.Len())))
	}
}

// rebuild rebuilds every sick shard from a snapshot of its damaged state.
func (w *forgetful) rebuild() (joined, duplicates, strays int) {
	var all []Stray
	for i, s := range w.sick.shards {
		damaged, err := RestoreDamaged(s.config, snapshotOf(w.t, s))
		if err != nil {
			w.t.Fatal(err)
		}
		rebuilt, err := damaged.Rebuild(w.latest)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(rebuilt.Lost) > 0 {
			w.t.Errorf("lost: %v", rebuilt.Lost)
		}
		w.sick.shards[i] = rebuilt.Shard
		all = append(all, rebuilt.Strays...)
		joined, duplicates = joined+rebuilt.Joined, duplicates+rebuilt.Duplicates
	}
	for _, stray := range all {
		owner := stray.Owner
		for home := (identity.Home{State: identity.Moved, To: owner}); home.State > identity.Live; home = w.sick.shards[w.sick.home(owner)].Home(owner) {
			owner = home.To
		}
		stray.Owner = owner
		w.sick.shards[w.sick.home(owner)].Absorb(stray, w.latest)
	}
	for _, s := range w.sick.shards {
		if err := s.Check(); err != nil {
			w.t.Error(err)
		}
		if _, err := Restore(s.config, snapshotOf(w.t, s)); err != nil {
			w.t.Error(err)
		}
	}
	return joined, duplicates, len(all)
}

func describeFleet(f *fleet) (lines []string) {
	for _, s := range f.shards {
		v := s.View()
		lines = append(lines, describeView(v)...)
		for _, segment := range v.Segments() {
			for chunk := range v.Chunks() {
				var members query.Bits
				segment.Fill(chunk, &members)
				for pos := range members.All {
					lines = append(lines, fmt.Sprintf("%s has %s", segment.Name, v.ID(uint32(chunk<<query.ChunkBits)|uint32(pos))))
				}
			}
		}
		v.Release()
	}
	slices.Sort(lines)
	return lines
}

// TestRebuild checks that whatever values dictionaries forget (ids of users and of devices,
// attributes, properties and lists), while profiles merge and segments are live, rebuilding gives the
// state of shards whose dictionaries forgot nothing.
func TestRebuild(t *testing.T) {
	total := [3]int{}
	for seed := range uint64(30) {
		w := newForgetful(t, seed, 1+int(seed)%3)
		for i := range 400 {
			w.step()
			if i > 50 && i%6 == 0 {
				w.forget()
			}
		}
		if seed%2 == 0 {
			w.sound.settle()
			w.sick.settle()
		}
		joined, duplicates, strays := w.rebuild()
		total[0], total[1], total[2] = total[0]+joined, total[1]+duplicates, total[2]+strays
		w.sound.settle()
		w.sick.settle()
		diffLines(t, fmt.Sprint("rebuilt with seed ", seed), describeFleet(w.sick), describeFleet(w.sound))
		for n := 1; n <= w.n; n++ { // every message is known
			m := Message{Kind: Track, UserID: "somebody", MessageID: fmt.Sprint("m", n)}
			if n%7 == 0 {
				m.MessageID, m.Source, m.Line = "", "file", uint64(n*977)
			}
			known := false
			for _, s := range w.sick.shards {
				known = known || m.Source != "" && s.seenLine(m.Source, m.Line) || m.Source == "" && s.seenMessage(s.messageHash(m.MessageID))
			}
			if !known {
				t.Errorf("seed %d: message %d is forgotten", seed, n)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if total[0] == 0 || total[1] == 0 || total[2] == 0 {
		t.Errorf("%d profiles joined, %d duplicates, %d strays: the test does not cover them all", total[0], total[1], total[2])
	}
	t.Logf("%d profiles joined, %d duplicates, %d strays", total[0], total[1], total[2])
}

package engine

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

var (
	predicates = flag.Int("predicates", 1000, "number of random predicates to compare the engine and the oracle with")
	firstSeed  = flag.Uint64("seed", 1, "seed of the first random history")
)

// TestEngineMatchesOracle loads random histories through Apply, with merges, upkeep and restores on
// the way, and evaluates random predicates on views and with the naive oracle.
func TestEngineMatchesOracle(t *testing.T) {
	failures := 0
	for i := 0; i < *predicates && failures < 5; i += 20 {
		seed := *firstSeed + uint64(i/20)
		rng := rand.New(rand.NewPCG(seed, 9))
		gen := querytest.NewGen(rng, []int{6, 60}[seed%2])
		preds := make([]tree.Pred, 20)
		for k := range preds {
			preds[k] = gen.Pred(rng.IntN(3))
		}
		f := loadHistory(t, gen.History, 1+rng.IntN(3), rng)
		oracle, err := querytest.NewOracle(gen.History, gen.Now, gen.Zone)
		if err != nil {
			t.Fatal(err)
		}
		views := make([]query.Source, len(f.shards))
		for k, s := range f.shards {
			v := s.View()
			defer v.Release()
			views[k] = v
		}
		schema := f.shards[0].Catalog().Schema()
		for k, p := range preds {
			want := map[string]bool{}
			for _, who := range oracle.Members(p) {
				want[who.ID()] = true
			}
			got, err := membersOf(views, schema, p, gen.Now, oracle, gen.Zone)
			if err != nil || !maps.Equal(got, want) {
				failures++
				t.Errorf("seed %d, predicate %d, now %d in %s:\n  %s\n got %v\nwant %v\n%v", seed, k, gen.Now, gen.Zone,
					syntax.FormatPred(p), slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)), err)
			}
		}
	}
}

func membersOf(sources []query.Source, schema query.Schema, p tree.Pred, now int64, oracle *querytest.Oracle, zone string) (map[string]bool, error) {
	q, _, err := check.Statement(&tree.Query{Stmt: &tree.CountStmt{Where: p, Limit: -1}, Zone: zone}, schema)
	if err != nil {
		return nil, err
	}
	checked := q.Stmt.(*tree.CountStmt).Where
	env := &eval.Env{Schema: schema, Now: now, Zone: oracle.Zone, Cuts: map[*tree.Rank]query.Cut{}}
	if err := cutRanks(env, checked, sources); err != nil {
		return nil, err
	}
	compiled, err := eval.Compile(env, checked)
	if err != nil {
		return nil, err
	}
	members := map[string]bool{}
	for _, src := range sources {
		e := compiled.On(src)
		var all, in query.Bits
		for chunk := range src.Chunks() {
			n, counted := e.Count(chunk, src.Profiles(chunk, &all))
			e.Chunk(chunk, &all, &in)
			if counted && !src.Hides(chunk) && n != in.Count() {
				return nil, fmt.Errorf("chunk %d counts %d, and has %d", chunk, n, in.Count())
			}
			for pos := range in.All {
				members[src.ID(uint32(chunk)<<query.ChunkBits|uint32(pos))] = true
			}
		}
	}
	return members, nil
}

func cutRanks(env *eval.Env, p tree.Pred, sources []query.Source) error {
	queries, err := eval.Ranks(env, p)
	if err != nil {
		return err
	}
	for _, q := range queries {
		env.Cuts[q.Node] = cutOf(q, sources)
	}
	return nil
}

// cutOf computes the cut of a rank over all profiles.
func cutOf(q *eval.RankQuery, sources []query.Source) query.Cut {
	var total eval.RankPart
	for shard, src := range sources {
		scan := q.On(src)
		var part eval.RankPart
		var all query.Bits
		for chunk := range src.Chunks() {
			src.Profiles(chunk, &all)
			scan.Chunk(shard, chunk, &all, &part)
		}
		q.Merge(&total, &part)
	}
	end := q.End(&total)
	var ids []string
	for _, place := range end.Who {
		ids = append(ids, sources[place>>32].ID(uint32(place)))
	}
	return end.Cut(ids)
}

// heldCuts computes the cuts of a held segment over one shard.
func heldCuts(t *testing.T, v *View, segment string, now int64) []query.Cut {
	t.Helper()
	env, p, err := v.root.heldEnv(segment, now)
	if err != nil {
		t.Fatal(err)
	}
	ranks, err := eval.Ranks(env, p)
	if err != nil {
		t.Fatal(err)
	}
	cuts := make([]query.Cut, len(ranks))
	src, err := v.root.withHeld(v, env)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range ranks {
		cuts[i] = cutOf(q, []query.Source{src})
	}
	return cuts
}

// loadHistory sends a history to shards: facts in random order, under any of the ids that a profile
// may have.
func loadHistory(t *testing.T, h *querytest.History, shards int, rng *rand.Rand) *fleet {
	f := &fleet{t: t}
	parse := func(text string) (tree.Pred, error) { return syntax.ParsePred(text, syntax.Limits{}) }
	changes := historyCatalog(h)
	for range shards {
		s, err := New(Config{Key: 42, TailRows: 1 + rng.IntN(4), TotalsRows: 1 + rng.IntN(20), Parse: parse})
		if err != nil {
			t.Fatal(err)
		}
		f.shards, f.seqs = append(f.shards, s), append(f.seqs, 0)
		for _, c := range changes {
			if r := f.apply(len(f.shards)-1, EncodeCatalog(0, c)); r.Reason != "" {
				t.Fatal(r.Reason)
			}
		}
	}
	var messages []Incoming
	for i := range h.Profiles {
		p := &h.Profiles[i]
		if p.UserID == "" {
			p.Anonymous = p.Anonymous[:1] // nothing joins two anonymous ids without a user
		}
		messages = append(messages, profileMessages(p, rng)...)
	}
	rng.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	c := f.shards[0].Catalog()
	for i := range messages {
		m, missing, err := Resolve(c, &messages[i])
		if err != nil || len(missing) > 0 {
			t.Fatalf("resolve %v: missing %v, %v", messages[i], missing, err)
		}
		f.send(m)
		switch rng.IntN(8) {
		case 0:
			f.settle()
		case 1:
			f.shards[rng.IntN(shards)].Maintain(1 << 20)
		}
	}
	f.link(h)
	f.list(h, c)
	for _, s := range f.shards {
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func historyCatalog(h *querytest.History) (changes []catalog.Change) {
	types := h.Types()
	var names []catalog.Name
	for _, name := range slices.Sorted(maps.Keys(types.Attrs)) {
		if !slices.Contains(catalog.BuiltinNames(), name) {
			names = append(names, catalog.Name{Kind: query.AttributeName, Name: name, Type: types.Attrs[name]})
		}
	}
	for _, event := range slices.Sorted(maps.Keys(types.Events)) {
		names = append(names, catalog.Name{Kind: query.EventName, Name: event})
		for _, name := range slices.Sorted(maps.Keys(types.Events[event])) {
			names = append(names, catalog.Name{Kind: query.PropertyName, Event: event, Name: name, Type: types.Events[event][name]})
		}
	}
	add := func(c catalog.Change) {
		c.Version = uint64(len(changes) + 1)
		changes = append(changes, c)
	}
	add(catalog.Change{Kind: catalog.DefineNames, Names: names})
	add(catalog.Change{Kind: catalog.SetZone, Zone: h.Zone})
	for _, name := range slices.Sorted(maps.Keys(h.Lists)) {
		add(catalog.Change{Kind: catalog.PutList, Name: name})
	}
	for _, s := range h.Segments {
		add(catalog.Change{Kind: catalog.PutSegment, Segment: catalog.Segment{Name: s.Name, Zone: s.Zone, Refresh: s.Refresh, Text: syntax.FormatPred(s.Pred)}})
	}
	return changes
}

func profileMessages(p *querytest.Profile, rng *rand.Rand) (messages []Incoming) {
	add := func(m Incoming) {
		m.UserID = p.UserID
		if p.UserID == "" {
			m.AnonymousID = p.Anonymous[0]
		} else if len(p.Anonymous) > 0 && m.Kind == Track && rng.IntN(3) == 0 {
			m.UserID, m.AnonymousID = "", p.Anonymous[rng.IntN(len(p.Anonymous))] // before they were known
		}
		m.MessageID = fmt.Sprintf("%s-%d", p.ID(), len(messages))
		messages = append(messages, m)
	}
	add(Incoming{Kind: Identify})
	for name, value := range p.Attrs {
		add(Incoming{Kind: Identify, Fields: []NamedField{{Name: name, Value: value, Exact: true}}})
	}
	for _, e := range p.Events {
		m := Incoming{Kind: Track, Event: e.Name, Time: e.Time}
		for name, value := range e.Props {
			m.Fields = append(m.Fields, NamedField{Name: name, Value: value, Exact: true})
		}
		add(m)
	}
	return messages
}

// link joins the anonymous ids of every profile to its user id.
func (f *fleet) link(h *querytest.History) {
	for _, p := range h.Profiles {
		for _, anon := range p.Anonymous {
			if p.UserID != "" {
				f.send(Message{Kind: Identify, UserID: p.UserID, AnonymousID: anon})
				f.settle()
			}
		}
	}
}

// list fills the static lists, in every shard.
func (f *fleet) list(h *querytest.History, c *catalog.State) {
	for name, ids := range h.Lists {
		id, _ := c.List(name)
		for shard := range f.shards {
			f.apply(shard, EncodeListUpdate(0, ListUpdate{List: id, Add: ids}))
		}
	}
}

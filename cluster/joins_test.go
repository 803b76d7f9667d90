package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

var joinWorlds = flag.Int("joins", 2, "number of random join worlds to read at random moments")

// joinNow is the instant of all statements. All messages are older.
const joinNow = int64(1_700_000_000_000)

// joinStatements has statements of every kind.
var joinStatements = []string{
	`count`,
	`count where did "E"`,
	`count where did "E" at least 2 times or plan = "pro"`,
	`count where not did "F" ever`,
	`count where sum(n) of "E" > 3`,
	`count where did "E" then "F"`,
	`count where in list "vip"`,
	`count where in segment "buyers"`,
	`count where in top 3 by count of "E"`,
	`count where in bottom 50% by last_seen`,
	`count where in sample "s" 0% to 50%`,
	`count where user_id = "u1" or user_id = "u2"`,
	`count where first_seen < 2023-11-14`,
	`count by plan`,
	`count by favorite(s) of "E"`,
	`list user_id, anonymous_id, plan, age, count of "E", last_seen`,
	`list user_id, sum(n) of "E" order by sum(n) of "E" desc, user_id limit 4`,
	`stats count of "E", sum(n) of "E", avg(n) of "E", min(n) of "E", max(n) of "E", distinct(s) of "E", days of "F"`,
	`stats count, sum(age), distinct(plan), median(age)`,
	`stats count of "E" by plan`,
	`stats count of "E", sum(n) of "E" by s`,
	`trend "E" in last 10 days by day`,
	`trend "E" in last 10 days by day of users by plan`,
	`trend "E" in last 10 days by week of sum(n) by plan`,
	`funnel "E" then "F" within 30 days by plan`,
	`retention "E" then "F" in last 10 days by day`,
	`overlap in segment "buyers", plan = "pro", did "F"`,
	`rfm of "E" in last 60 days by n`,
	`insights where did "F"`,
	`insights where did "F" against plan is set`,
	`lookalike of did "F" top 5`,
	`count where did "E" as of 2023-11-13`,
}

// written is an entry in the log of a shard of a joinWorld.
type written struct {
	shard int
	seq   uint64
	entry []byte
	// kept says that the entry belongs to a world without unfinished joins too. joins is the pair whose
	// profile the entry absorbed.
	kept  bool
	joins identity.Pair
}

// joinWorld is a few shards with profiles that are joined, and everything that was written to their
// logs.
type joinWorld struct {
	t       *testing.T
	rng     *rand.Rand
	state   []*engine.Shard
	first   []uint64 // the last entry of each log before the first profile
	logs    [][]written
	all     []written // in the order in which they were written
	joined  map[identity.Pair]bool
	fails   int // number of steps after which the driver crashes; negative: never
	version uint64
}

var errCrash = errors.New("the driver has crashed")

func newJoinShards(t *testing.T, n int) []*engine.Shard {
	t.Helper()
	all := make([]*engine.Shard, n)
	for i := range all {
		var err error
		if all[i], err = engine.New(engine.Config{Number: i, Key: 42, Parse: parsePredicate, TailRows: 8, TotalsRows: 1}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func newJoinWorld(t *testing.T, seed uint64, shards int) *joinWorld {
	w := &joinWorld{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), state: newJoinShards(t, shards), logs: make([][]written, shards),
		joined: map[identity.Pair]bool{}, fails: -1,
	}
	for _, change := range []catalog.Change{
		{Kind: catalog.DefineNames, Names: []catalog.Name{
			{Kind: query.AttributeName, Name: "plan", Type: tree.StringType}, {Kind: query.AttributeName, Name: "age", Type: tree.NumberType},
			{Kind: query.PropertyName, Event: "E", Name: "n", Type: tree.NumberType}, {Kind: query.PropertyName, Event: "E", Name: "s", Type: tree.StringType},
			{Kind: query.EventName, Name: "F"},
		}},
		{Kind: catalog.PutList, Name: "vip"},
		{Kind: catalog.PutSegment, Segment: catalog.Segment{Name: "buyers", Text: `did "E"`, Canonical: `did "E"`, Zone: "UTC"}},
	} {
		w.version++
		change.Version = w.version
		for shard := range shards {
			w.write(shard, engine.EncodeCatalog(joinNow-10, change), written{kept: true})
		}
	}
	list, _ := w.state[0].Catalog().List("vip")
	for _, id := range []string{"u0", "u1", "a0", "a1", "a2"} {
		w.write(place(id, shards), engine.EncodeListUpdate(joinNow-10, engine.ListUpdate{List: list, Add: []string{id}}), written{kept: true})
	}
	for _, log := range w.logs {
		w.first = append(w.first, uint64(len(log)))
	}
	return w
}

// write applies an entry. It checks that one step of a join reports no profile as entering or leaving a
// segment twice.
func (w *joinWorld) write(shard int, entry []byte, x written) engine.Result {
	w.t.Helper()
	x.shard, x.seq, x.entry = shard, uint64(len(w.logs[shard])+1), entry
	result, err := w.state[shard].Apply(x.seq, entry)
	if err != nil {
		w.t.Fatal(err)
	}
	if result.Kind == engine.MessagesCommand {
		x.kept = result.Accepted > 0
	}
	if result.Kind == engine.IdentityCommand {
		reported := map[string]bool{}
		for _, change := range result.Changes {
			for _, ordinal := range slices.Concat(change.Exits, change.Enters) {
				key := fmt.Sprint(change.Segment, ordinal)
				if reported[key] {
					w.t.Errorf("profile %d changes twice in %s at entry %d of shard %d", ordinal, change.Segment, x.seq, shard)
				}
				reported[key] = true
			}
		}
	}
	w.logs[shard] = append(w.logs[shard], x)
	w.all = append(w.all, x)
	return result
}

// Step implements identity.Transport.
func (w *joinWorld) Step(_ context.Context, c identity.Command) (identity.Reply, identity.Moment, error) {
	if w.fails == 0 {
		return identity.Reply{}, identity.Moment{}, errCrash
	}
	w.fails--
	shard := place(c.At().ID, len(w.state))
	entry := engine.EncodeIdentity(joinNow-5, c)
	result := w.write(shard, entry, written{kept: c.Op == identity.SettleOp && c.Outcome != identity.Done})
	last := &w.all[len(w.all)-1]
	pair := identity.Pair{Owner: c.Owner, Target: c.Target}
	switch reply := result.Identity; {
	case c.Op == identity.AbsorbOp && reply.Done && !w.joined[pair]:
		w.joined[pair], last.joins = true, pair
	case c.Op == identity.ClaimOp:
		last.kept = reply.Answer.Verdict == identity.Reversed
	}
	if w.fails == 0 && w.rng.IntN(2) == 0 {
		return identity.Reply{}, identity.Moment{}, errCrash // after it was applied
	}
	return result.Identity, identity.Moment{Shard: shard, Seq: w.logs[shard][len(w.logs[shard])-1].seq}, nil
}

// Part implements identity.Transport.
func (w *joinWorld) Part(_ context.Context, owner, target identity.Ref, part int) ([]byte, bool, error) {
	data, ok := w.state[place(target.ID, len(w.state))].Part(owner, target, part)
	return data, ok, nil
}

// Home implements identity.Transport.
func (w *joinWorld) Home(_ context.Context, id identity.Ref) (identity.Home, error) {
	return w.state[place(id.ID, len(w.state))].Home(id), nil
}

// send sends a message, following redirects, until a shard accepts it.
func (w *joinWorld) send(in engine.Incoming) {
	w.t.Helper()
	in.MessageID, in.ReceivedAt = fmt.Sprint(len(w.all)), joinNow-5
	m, missing, err := engine.Resolve(w.state[0].Catalog(), &in)
	if err != nil || len(missing) > 0 {
		w.t.Fatal(err, missing)
	}
	for range 20 {
		to := literalID(m.UserID, m.AnonymousID)
		if m.To != "" {
			to = m.To
		}
		o := w.write(place(to, len(w.state)), engine.EncodeMessages(w.version, joinNow-5, []engine.Message{m}), written{}).Outcomes[0]
		if o.Status == engine.Accepted {
			return
		}
		if o.Status != engine.Moved {
			w.t.Fatalf("message %v: %v", m, o)
		}
		m.To = o.MoveTo
	}
	w.t.Fatal("a message goes in circles")
}

// say sends a random message about some users and anonymous ids.
func (w *joinWorld) say(users, anons int) {
	in := engine.Incoming{Kind: engine.Track, Event: "E", Time: joinNow - 1 - w.rng.Int64N(20*86_400_000)}
	user, anon := fmt.Sprint("u", w.rng.IntN(users)), fmt.Sprint("a", w.rng.IntN(anons))
	switch w.rng.IntN(3) {
	case 0:
		in.UserID = user
	case 1:
		in.AnonymousID = anon
	default:
		in.UserID, in.AnonymousID = user, anon
	}
	switch w.rng.IntN(8) {
	case 0:
		in.Kind, in.UserID, in.AnonymousID = engine.Alias, user, ""
		in.PreviousID = []string{anon, fmt.Sprint("u", w.rng.IntN(users))}[w.rng.IntN(2)]
	case 1, 2:
		in.Kind = engine.Identify
		in.Fields = []engine.NamedField{{Name: "plan", Value: tree.Str([]string{"pro", "free", "team"}[w.rng.IntN(3)])}, {Name: "age", Value: tree.NumInt(w.rng.Int64N(90))}}
	case 3:
		in.Event = "F"
	default:
		in.Fields = []engine.NamedField{{Name: "n", Value: tree.Num(tree.Decimal(w.rng.Int64N(100), 1))}, {Name: "s", Value: tree.Str(fmt.Sprint("s", w.rng.IntN(4)))}}
	}
	w.send(in)
}

// drive drives the merges of a random shard until the driver crashes, and returns how many there were.
func (w *joinWorld) drive(fails int) (left int) {
	w.fails = fails
	outbox, at := w.state[w.rng.IntN(len(w.state))].Outbox()
	for _, merge := range outbox {
		if _, err := identity.Drive(w.t.Context(), merge, at, w); err != nil && !errors.Is(err, errCrash) {
			w.t.Fatal(err)
		}
	}
	return len(outbox)
}

// live sends messages, and drives and interrupts joins in between. At the end it completes all joins.
func (w *joinWorld) live(messages, users, anons int) {
	for range messages {
		w.say(users, anons)
		if w.rng.IntN(3) == 0 {
			w.drive(w.rng.IntN(8))
		}
		if w.rng.IntN(4) == 0 {
			w.state[w.rng.IntN(len(w.state))].Maintain(1 << 20)
		}
	}
	for quiet := 0; quiet < 8*len(w.state); quiet++ {
		if w.drive(-1) > 0 {
			quiet = 0
		}
	}
}

// prefix returns a shard with the first n entries of its log.
func (w *joinWorld) prefix(shard int, n uint64) *engine.Shard {
	s := newJoinShards(w.t, len(w.state))[shard]
	for _, x := range w.logs[shard][:n] {
		if _, err := s.Apply(x.seq, x.entry); err != nil {
			w.t.Fatal(err)
		}
	}
	s.Maintain(1 << 20)
	return s
}

// read takes views of all shards at given entries and settles them as statements do.
func (w *joinWorld) read(at []uint64) *views {
	v := &views{now: joinNow}
	for shard, n := range at {
		v.all = append(v.all, w.prefix(shard, n).View())
	}
	take := func(shard int) *engine.View {
		need := v.all[shard].Seq()
		for _, view := range v.all {
			if needs := view.Needs(); shard < len(needs) {
				need = max(need, needs[shard])
			}
		}
		if w.rng.IntN(2) == 0 { // later still
			need += w.rng.Uint64N(uint64(len(w.logs[shard])) - need + 1)
		}
		return w.prefix(shard, need).View()
	}
	v.settle(take, func() []*engine.View { w.t.Fatal("views do not settle"); return nil })
	return v
}

// plain makes a world with the entries that views show, in which every join was carried out as a whole
// or never begun.
func (w *joinWorld) plain(v *views) *joinWorld {
	p := &joinWorld{t: w.t, rng: w.rng, state: newJoinShards(w.t, len(w.state)), logs: make([][]written, len(w.state)),
		joined: map[identity.Pair]bool{}, fails: -1, version: w.version}
	for _, x := range w.all {
		switch {
		case x.seq > v.all[x.shard].Seq():
		case x.joins != identity.Pair{}:
			p.join(x.joins)
		case x.kept:
			p.write(x.shard, x.entry, written{})
		}
	}
	for _, s := range p.state {
		s.Maintain(1 << 20)
	}
	return p
}

func (w *joinWorld) join(pair identity.Pair) {
	outbox, at := w.state[place(pair.Owner.ID, len(w.state))].Outbox()
	for _, merge := range outbox {
		if merge.Owner == pair.Owner && merge.Target == pair.Target {
			if settled, err := identity.Drive(w.t.Context(), merge, at, w); err != nil || !settled {
				w.t.Fatalf("join %v: %v, %v", pair, settled, err)
			}
			return
		}
	}
	w.t.Fatalf("no merge of %v is in the outbox", pair)
}

// see returns everything that views show.
func see(t *testing.T, pool *exec.Pool, texts *exec.Texts, v *views) []string {
	t.Helper()
	schema := v.all[0].Catalog().Schema()
	var seen []string
	for _, text := range joinStatements {
		parsed, err := texts.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		checked, err := texts.Check(parsed, schema)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		plan, err := exec.Prepare(checked.Query, schema, exec.Options{Now: v.now})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		answer, err := pool.Ask(t.Context(), plan, v.sources())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		rows := make([]string, len(answer.Rows))
		for i, row := range answer.Rows {
			rows[i] = fmt.Sprint(row)
		}
		seen = append(seen, text+": "+strings.Join(rows, " "))
	}
	profiles, events := int64(0), int64(0)
	names := map[string]query.NameInfo{}
	for _, view := range v.all {
		p, e := view.Size()
		profiles, events = profiles+p, events+e
	}
	for _, kind := range []query.NameKind{query.AttributeName, query.EventName} {
		infos, err := exec.Names(t.Context(), kind, v.sources())
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			names[info.Name] = info
		}
	}
	seen = append(seen, fmt.Sprintf("%d profiles, %d events", profiles, events))
	for _, name := range []string{"plan", "age", "E", "F"} {
		info := names[name]
		line := fmt.Sprint(name, info.Count, info.FirstSeen, info.LastSeen)
		for _, p := range info.Properties {
			line += fmt.Sprint(" ", p.Name, p.Count)
		}
		seen = append(seen, line)
	}
	for i := range 12 {
		for _, id := range []string{fmt.Sprint("u", i), fmt.Sprint("a", i)} {
			if shard, ordinal, ok := v.find(id); ok {
				about, _ := v.all[shard].About(id)
				about.Shard, about.Seq = 0, 0
				seen = append(seen, fmt.Sprintf("%s is %s: %+v", id, v.all[shard].ID(ordinal), *about))
			}
		}
	}
	return seen
}

// check reads the world at given entries and compares everything with a world in which joins are whole.
func (w *joinWorld) check(pool *exec.Pool, texts *exec.Texts, at []uint64) {
	w.t.Helper()
	v := w.read(at)
	defer v.release()
	plain := w.plain(v)
	twin := &views{now: joinNow}
	for _, s := range plain.state {
		twin.all = append(twin.all, s.View())
	}
	defer twin.release()
	got, want := see(w.t, pool, texts, v), see(w.t, pool, texts, twin)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			w.t.Fatalf("shards read at %v:\n got %s\nwant %s", at, got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
}

// TestJoinsAreWhole: at whatever entries the shards are read, every statement, size and profile is that
// of a world in which each join was made as a whole or not yet.
func TestJoinsAreWhole(t *testing.T) {
	pool := exec.NewPool(1)
	defer pool.Close()
	texts := &exec.Texts{}
	for seed := range uint64(*joinWorlds) {
		for _, shards := range []int{1, 2, 8} {
			t.Run(fmt.Sprintf("%d shards, seed %d", shards, seed), func(t *testing.T) {
				w := newJoinWorld(t, seed, shards)
				w.live(30, 6, 8)
				for range 20 {
					at := make([]uint64, shards)
					for i := range at {
						at[i] = w.first[i] + w.rng.Uint64N(uint64(len(w.logs[i]))-w.first[i]+1)
					}
					w.check(pool, texts, at)
				}
			})
		}
	}
}

// TestJoinsAtEveryMoment is TestJoinsAreWhole for all pairs of entries of small worlds: a join, a chain
// of two, an alias from both sides, an id with the name of another, and more.
func TestJoinsAtEveryMoment(t *testing.T) {
	pool := exec.NewPool(1)
	defer pool.Close()
	texts := &exec.Texts{}
	event := func(user, anon string) engine.Incoming {
		return engine.Incoming{Kind: engine.Track, Event: "E", UserID: user, AnonymousID: anon, Time: joinNow - 1000}
	}
	alias := func(user, previous string) engine.Incoming {
		return engine.Incoming{Kind: engine.Alias, UserID: user, PreviousID: previous, Time: joinNow - 1000}
	}
	for name, said := range map[string][]engine.Incoming{
		"a join":        {event("", "a0"), event("u1", ""), event("u1", "a0"), event("", "a0")},
		"a chain":       {event("", "a0"), event("u2", "a0"), event("u2", ""), alias("u1", "u2"), event("", "a0")},
		"aliases":       {event("u1", ""), event("u2", ""), alias("u1", "u2"), alias("u2", "u1"), event("u2", "")},
		"an id twice":   {event("", "u3"), event("u3", ""), event("u1", ""), alias("u1", "u3"), event("", "u3")},
		"a new owner":   {event("", "a0"), event("u4", "a0")},
		"an unknown id": {event("u1", "a9"), event("", "a9")},
		"two targets":   {event("", "a0"), event("", "a1"), event("u1", "a0"), event("u1", "a1")},
		"another's id":  {event("", "a0"), event("u1", "a0"), event("u2", "a0"), alias("u2", "a0")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newJoinWorld(t, 1, 2)
			for _, in := range said {
				w.send(in)
				for s := range w.state {
					outbox, at := w.state[s].Outbox()
					for _, merge := range outbox {
						if _, err := identity.Drive(t.Context(), merge, at, w); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			w.live(0, 1, 1)
			for a := w.first[0]; a <= uint64(len(w.logs[0])); a++ {
				for b := w.first[1]; b <= uint64(len(w.logs[1])); b++ {
					w.check(pool, texts, []uint64{a, b})
				}
			}
		})
	}
}

// TestViewsSettleAlways: views that need ever newer views of each other are taken together in the end,
// and entries that a shard has lost are not waited for.
func TestViewsSettleAlways(t *testing.T) {
	shards := newJoinShards(t, 2)
	seqs := [2]uint64{}
	need := func(shard int, after identity.Moment) *engine.View {
		seqs[shard]++
		step := identity.Command{Op: identity.SettleOp, Owner: identity.User("u"), Target: identity.Anon("a"), Outcome: identity.Dropped, After: after}
		if _, err := shards[shard].Apply(seqs[shard], engine.EncodeIdentity(joinNow, step)); err != nil {
			t.Fatal(err)
		}
		return shards[shard].View()
	}
	v := &views{all: []*engine.View{need(0, identity.Moment{Shard: 1, Seq: 2}), need(1, identity.Moment{})}}
	taken, together := 0, 0
	v.settle(func(shard int) *engine.View {
		taken++
		return need(shard, identity.Moment{Shard: 1 - shard, Seq: seqs[1-shard] + 1})
	}, func() []*engine.View {
		together++
		return engine.Views(shards)
	})
	v.release()
	if taken != settleRounds || together != 1 {
		t.Errorf("%d views were taken again, all together %d times", taken, together)
	}
	v = &views{all: []*engine.View{need(0, identity.Moment{Shard: 1, Seq: 1 << 40}), shards[1].View()}}
	defer v.release()
	v.settle(func(shard int) *engine.View { return shards[shard].View() }, func() []*engine.View {
		t.Error("all views were taken together because of a lost entry")
		return engine.Views(shards)
	})
}

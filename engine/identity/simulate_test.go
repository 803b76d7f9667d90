package identity

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

var seeds = flag.Int("seeds", 400, "how many simulated worlds to run")

// person is a profile of the simulation: the ids of the messages that reached it, each once.
type person struct {
	facts []string
	ids   []Ref
}

// shard is a shard of the simulation, with a simple implementation of Store.
type shard struct {
	number   int
	machine  *Machine
	past     []moment // by seq
	homes    map[Ref]Home
	people   map[Ref]*person
	linked   map[Ref]Ref // further id → the id of the profile it is attached to
	messages map[string]bool
}

func newShard() *shard {
	s := &shard{past: make([]moment, 1), homes: map[Ref]Home{}, people: map[Ref]*person{}, linked: map[Ref]Ref{}, messages: map[string]bool{}}
	s.machine = NewMachine(s)
	return s
}

func (s *shard) Home(id Ref) Home          { return s.homes[id] }
func (s *shard) SetHome(id Ref, h Home)    { s.homes[id] = h }
func (s *shard) Linked(owner, id Ref) bool { return s.linked[id] == owner && owner != Ref{} }
func (s *shard) Remove(target Ref)         { s.detach(target); delete(s.people, target) }
func (s *shard) person(id Ref) *person {
	if s.people[id] == nil {
		s.people[id] = &person{}
		s.homes[id] = Home{State: Live}
	}
	return s.people[id]
}

func (s *shard) detach(target Ref) {
	if p := s.people[target]; p != nil {
		for _, id := range p.ids {
			if s.linked[id] == target {
				delete(s.linked, id)
			}
		}
	}
}

func (s *shard) Facts(target Ref) [][]byte {
	p := s.people[target]
	if p == nil {
		return nil
	}
	parts := [][]byte{{}}
	for _, id := range p.ids {
		parts[0] = appendRef(parts[0], id)
	}
	for _, fact := range p.facts {
		parts = append(parts, []byte(fact))
	}
	return parts
}

func (s *shard) Absorb(owner, target Ref, parts [][]byte) {
	p := s.person(owner)
	ids := []Ref{target}
	if len(parts) > 0 {
		for r := newReader(parts[0]); r.Len() > 0; {
			ids = append(ids, r.ref())
		}
		for _, fact := range parts[1:] {
			p.facts = append(p.facts, string(fact))
		}
	}
	for _, id := range ids {
		s.linked[id] = owner
		p.ids = append(p.ids, id)
	}
}

var errLost = errors.New("lost")

// world is a cluster of the simulation with a network that loses, duplicates and delays.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	shards []*shard
	late   []func() // delayed and duplicated commands
	// entries has, for each message, the entry that accepted it.
	entries map[string]Moment
	faults  bool
}

func (w *world) of(id Ref) *shard {
	h := fnv.New32a()
	fmt.Fprint(h, id)
	return w.shards[h.Sum32()%uint32(len(w.shards))]
}

// send sends a command through the faulty network.
func (w *world) send(id Ref, c Command) (Reply, Moment, error) {
	decoded, err := DecodeCommand(c.Append(nil))
	if err != nil {
		w.t.Fatalf("command %+v does not survive encoding: %v", c, err)
	}
	apply := func() (Reply, Moment) {
		s := w.of(id)
		return s.machine.Apply(decoded), s.record()
	}
	if !w.faults {
		reply, at := apply()
		return reply, at, nil
	}
	switch w.rng.IntN(8) {
	case 0:
		return Reply{}, Moment{}, errLost // never arrived
	case 1:
		apply()
		return Reply{}, Moment{}, errLost // arrived, but the answer was lost
	case 2:
		w.late = append(w.late, func() { apply() }) // arrives only later
		return Reply{}, Moment{}, errLost
	case 3:
		w.late = append(w.late, func() { apply() }) // arrives now and again later
	}
	reply, at := apply()
	return reply, at, nil
}

// Step implements Transport.
func (w *world) Step(_ context.Context, c Command) (Reply, Moment, error) {
	return w.send(c.At(), c)
}

func (w *world) Part(_ context.Context, owner, target Ref, part int) ([]byte, bool, error) {
	data, ok := w.of(target).machine.Part(owner, target, part)
	return data, ok, nil
}

func (w *world) Home(_ context.Context, id Ref) (Home, error) { return w.of(id).Home(id), nil }

// moment is what a reader sees of a shard at a seq.
type moment struct {
	facts    map[Ref][]string // of each person
	homes    map[Ref]Home
	needs    []uint64
	absorbed []Pair
}

// record stores what the shard looks like after an entry, and returns the entry's moment.
func (s *shard) record() Moment {
	m := moment{facts: map[Ref][]string{}, homes: maps.Clone(s.homes), needs: s.machine.Needs(), absorbed: s.machine.Absorbed()}
	for id, p := range s.people {
		m.facts[id] = slices.Clone(p.facts)
	}
	s.past = append(s.past, m)
	return Moment{Shard: s.number, Seq: uint64(len(s.past) - 1)}
}

// checkCut reads every shard at a random moment, as statements do: shards that others need at a later
// moment are read again, and a target whose facts its owner already has is left out. Then each message that
// is in the log of a shard up to its moment must be seen exactly once.
func (w *world) checkCut() {
	at := make([]uint64, len(w.shards))
	for i, s := range w.shards {
		at[i] = uint64(w.rng.IntN(len(s.past)))
	}
	for behind := true; behind; {
		behind = false
		for i, s := range w.shards {
			for j, need := range s.past[at[i]].needs {
				if at[j] < need {
					at[j] = need + uint64(w.rng.IntN(len(w.shards[j].past)-int(need)))
					behind = true
				}
			}
		}
	}
	hidden := map[Ref]bool{}
	for i, s := range w.shards {
		for _, pair := range s.past[at[i]].absorbed {
			target := w.of(pair.Target)
			if home := target.past[at[target.number]].homes[pair.Target]; home == (Home{State: Moving, To: pair.Owner}) {
				hidden[pair.Target] = true
			}
		}
	}
	seen := map[string]int{}
	for i, s := range w.shards {
		for id, facts := range s.past[at[i]].facts {
			for _, fact := range facts {
				if !hidden[id] {
					seen[fact]++
				}
			}
		}
	}
	for id, entry := range w.entries {
		want := 0
		if at[entry.Shard] >= entry.Seq {
			want = 1
		}
		if seen[id] != want {
			w.t.Errorf("shards read at %d: message %s of entry %v is seen %d times, want %d", at, id, entry, seen[id], want)
		}
	}
}

// message is a received message of the simulation.
type message struct {
	id         string
	user, anon string
	alias      string // previousId
}

// deliver routes a message as the router does: to the id it names, then along redirects.
func (w *world) deliver(m message) {
	ref := User(m.user)
	if m.user == "" {
		ref = Anon(m.anon)
	}
	for range 100 {
		s := w.of(ref)
		if s.messages[m.id] {
			return
		}
		if home := s.Home(ref); home.State == Moving || home.State == Moved {
			ref = home.To
			continue
		}
		s.messages[m.id] = true
		p := s.person(ref)
		p.facts = append(p.facts, m.id)
		if m.user != "" && m.anon != "" {
			s.machine.Want(ref, Anon(m.anon), false)
		}
		if m.alias != "" {
			s.machine.Want(ref, User(m.alias), true)
			s.machine.Want(ref, Anon(m.alias), true)
		}
		w.entries[m.id] = s.record()
		return
	}
	w.t.Fatalf("message %s is redirected in a circle", m.id)
}

// drive works on the outbox of a shard. An error stands for a crash, after which a later call starts over.
func (w *world) drive(s *shard) {
	for _, merge := range s.machine.Outbox() {
		at := Moment{Shard: s.number, Seq: uint64(len(s.past) - 1)}
		if _, err := Drive(context.Background(), merge, at, w); err != nil && !errors.Is(err, errLost) {
			w.t.Fatal(err)
		}
	}
}

// restart replaces a shard's Machine by one restored from its state.
func (w *world) restart(s *shard) {
	machine := NewMachine(s)
	if err := machine.RestoreState(s.machine.AppendState(nil)); err != nil {
		w.t.Fatal(err)
	}
	s.machine = machine
}

func (w *world) final(ref Ref) Ref {
	for range 100 {
		home := w.of(ref).Home(ref)
		if home.State != Moving && home.State != Moved {
			return ref
		}
		ref = home.To
	}
	w.t.Fatalf("%s is redirected in a circle", ref)
	return ref
}

func randomMessage(rng *rand.Rand, i int) message {
	m := message{id: fmt.Sprintf("m%d", i)}
	user, anon := fmt.Sprintf("u%d", rng.IntN(5)), fmt.Sprintf("a%d", rng.IntN(7))
	switch rng.IntN(10) {
	case 0, 1, 2:
		m.anon = anon
	case 3, 4, 5:
		m.user = user
	case 6, 7:
		m.user, m.anon = user, anon
	default:
		m.user, m.alias = user, []string{anon, fmt.Sprintf("u%d", rng.IntN(5))}[rng.IntN(2)]
	}
	return m
}

func simulate(t *testing.T, seed uint64) {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), faults: true, entries: map[string]Moment{}}
	for i := range 1 + w.rng.IntN(4) {
		w.shards = append(w.shards, newShard())
		w.shards[i].number = i
	}
	var sent []message
	for i := range 40 {
		m := randomMessage(w.rng, i)
		sent = append(sent, m)
		w.deliver(m)
		for w.rng.IntN(2) == 0 {
			switch w.rng.IntN(4) {
			case 0:
				w.deliver(sent[w.rng.IntN(len(sent))]) // a client's retry
			case 1:
				w.restart(w.shards[w.rng.IntN(len(w.shards))])
			case 2:
				w.deliverLate()
			default:
				w.drive(w.shards[w.rng.IntN(len(w.shards))])
			}
		}
	}
	w.faults = false
	for range 200 {
		w.deliverLate()
		for _, s := range w.shards {
			w.drive(s)
		}
	}
	for _, m := range sent {
		w.deliver(m) // send everything again: all messages are known
	}
	w.check(sent)
	for range 200 {
		w.checkCut()
	}
}

func (w *world) deliverLate() {
	w.rng.Shuffle(len(w.late), func(i, j int) { w.late[i], w.late[j] = w.late[j], w.late[i] })
	n := w.rng.IntN(len(w.late) + 1)
	if !w.faults {
		n = len(w.late)
	}
	now := w.late[:n]
	w.late = slices.Clone(w.late[n:])
	for _, f := range now {
		f()
	}
}

func (w *world) check(sent []message) {
	count := map[string]int{}
	for i, s := range w.shards {
		if pending := s.machine.Outbox(); len(pending) > 0 {
			w.t.Errorf("shard %d still wants %+v", i, pending)
		}
		for id, p := range s.people {
			if state := s.homes[id].State; state != Live {
				w.t.Errorf("%s has facts in state %d", id, state)
			}
			for _, fact := range p.facts {
				count[fact]++
			}
		}
	}
	for _, m := range sent {
		if count[m.id] != 1 {
			w.t.Errorf("message %s is counted %d times", m.id, count[m.id])
		}
		user := w.final(User(m.user))
		if m.alias != "" {
			for _, previous := range []Ref{User(m.alias), Anon(m.alias)} {
				if w.final(previous) != user && previous != user {
					w.t.Errorf("alias %s of %s ended as %s, want %s", previous, m.user, w.final(previous), user)
				}
			}
		}
		if m.user != "" && m.anon != "" && w.final(Anon(m.anon)) != user && !w.conflicted(Anon(m.anon)) {
			w.t.Errorf("%s is %s, but %s is %s, and no conflict is known", Anon(m.anon), w.final(Anon(m.anon)), m.user, user)
		}
	}
}

func (w *world) conflicted(id Ref) bool {
	for _, s := range w.shards {
		for _, conflicts := range s.machine.conflicts {
			if slices.Contains(conflicts, id) {
				return true
			}
		}
	}
	return false
}

// TestSimulation runs the protocol in many small worlds whose network loses, duplicates and reorders, with
// crashes between all steps. Nothing is lost, nothing is counted twice, nothing is redirected in a circle,
// and a reader of the shards, each at a different moment, sees everything once.
func TestSimulation(t *testing.T) {
	for seed := range uint64(*seeds) {
		simulate(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Command{Op: ReleaseOp, Owner: User("u"), Target: Anon("a"), Apart: true}.Append(nil))
	f.Add(Command{Op: ReleaseOp, Owner: User("u"), Target: Anon("a"), After: Moment{Shard: 3, Seq: 300}}.Append(nil))
	f.Add(Command{Op: AbsorbOp, Owner: User("u"), Target: Anon("a"), Parts: 2, Part: 1, Data: []byte("x")}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeCommand(b); err == nil {
			if again, err := DecodeCommand(c.Append(nil)); err != nil || fmt.Sprint(again) != fmt.Sprint(c) {
				t.Fatalf("%+v became %+v, %v", c, again, err)
			}
		}
		_ = NewMachine(newShard()).RestoreState(b)
	})
}

// TestFirstVersion: commands and states written before moments existed still have their meaning.
func TestFirstVersion(t *testing.T) {
	s := newShard()
	owner, target := User("u"), Anon("a")
	s.person(owner)
	s.person(target).facts = []string{"seen"}
	s.machine.Want(owner, target, false)
	apply := func(c Command) Reply {
		t.Helper()
		c.Owner, c.Target, c.Apart = owner, target, true
		b := c.Append(nil)
		if b[0] != encodingV1 {
			t.Fatalf("version %d", b[0])
		}
		decoded, err := DecodeCommand(b)
		if err != nil {
			t.Fatal(err)
		}
		return s.machine.Apply(decoded)
	}
	if reply := apply(Command{Op: ClaimOp}); reply.Answer.Parts != 2 {
		t.Fatalf("claim: %+v", reply)
	}
	for part, data := range s.Facts(target) {
		apply(Command{Op: AbsorbOp, Part: part, Parts: 2, Data: data})
	}
	if s.Home(target).State != Moving || s.people[target] == nil {
		t.Error("the absorb has released the target")
	}
	state := s.machine.AppendState(nil)
	state[0] = encodingV1
	restored := NewMachine(s)
	if err := restored.RestoreState(state[:len(state)-1]); err != nil { // without the number of needs
		t.Fatal(err)
	}
	if s.machine = restored; !slices.Equal(s.machine.Absorbed(), []Pair{{owner, target}}) {
		t.Errorf("absorbed: %v", s.machine.Absorbed())
	}
	if reply := apply(Command{Op: ReleaseOp}); !reply.Done || s.Home(target).State != Moved || s.people[target] != nil {
		t.Errorf("release: %+v", reply)
	}
	if apply(Command{Op: SettleOp, Outcome: Done}); len(s.machine.Outbox()) > 0 || len(s.machine.Absorbed()) > 0 {
		t.Error("the merge is still there")
	}
}

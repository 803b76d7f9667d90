package identity

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
)

var seeds = flag.Int("seeds", 400, "how many simulated worlds to run")

// person is a profile of the simulation: the ids of the messages that reached it, each of them once.
type person struct {
	facts []string
	ids   []Ref
}

// shard is a shard of the simulation, and the plain twin of the engine's Store.
type shard struct {
	machine  *Machine
	homes    map[Ref]Home
	people   map[Ref]*person
	linked   map[Ref]Ref // further id → the id of the profile it is attached to
	messages map[string]bool
}

func newShard() *shard {
	s := &shard{homes: map[Ref]Home{}, people: map[Ref]*person{}, linked: map[Ref]Ref{}, messages: map[string]bool{}}
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
		for r := (reader{b: parts[0]}); len(r.b) > 0; {
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

// world is a cluster of the simulation with a network that loses, doubles and delays.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	shards []*shard
	late   []func() // doubled commands that arrive later
	faults bool
}

func (w *world) of(id Ref) *shard {
	h := fnv.New32a()
	fmt.Fprint(h, id)
	return w.shards[h.Sum32()%uint32(len(w.shards))]
}

// send carries a command through the faulty network.
func (w *world) send(id Ref, c Command) (Reply, error) {
	decoded, err := DecodeCommand(c.Append(nil))
	if err != nil {
		w.t.Fatalf("command %+v does not survive encoding: %v", c, err)
	}
	apply := func() Reply { return w.of(id).machine.Apply(decoded) }
	if !w.faults {
		return apply(), nil
	}
	switch w.rng.IntN(8) {
	case 0:
		return Reply{}, errLost // never arrived
	case 1:
		apply()
		return Reply{}, errLost // arrived, the answer was lost
	case 2:
		w.late = append(w.late, func() { apply() }) // arrives only later
		return Reply{}, errLost
	case 3:
		w.late = append(w.late, func() { apply() }) // arrives now and again later
	}
	return apply(), nil
}

func (w *world) Claim(_ context.Context, owner, target Ref, alias bool) (Answer, error) {
	reply, err := w.send(target, Command{Op: ClaimOp, Owner: owner, Target: target, Alias: alias})
	return reply.Answer, err
}

func (w *world) Part(_ context.Context, owner, target Ref, part int) ([]byte, bool, error) {
	data, ok := w.of(target).machine.Part(owner, target, part)
	return data, ok, nil
}

func (w *world) Absorb(_ context.Context, owner, target Ref, part, parts int, data []byte) (bool, error) {
	reply, err := w.send(owner, Command{Op: AbsorbOp, Owner: owner, Target: target, Part: part, Parts: parts, Data: data})
	return reply.Done, err
}

func (w *world) Release(_ context.Context, owner, target Ref) error {
	_, err := w.send(target, Command{Op: ReleaseOp, Owner: owner, Target: target})
	return err
}

func (w *world) Settle(_ context.Context, owner, target Ref, outcome Outcome, next Ref) error {
	_, err := w.send(owner, Command{Op: SettleOp, Owner: owner, Target: target, Outcome: outcome, Next: next})
	return err
}

func (w *world) Home(_ context.Context, id Ref) (Home, error) { return w.of(id).Home(id), nil }

// message is a received message of the simulation.
type message struct {
	id         string
	user, anon string
	alias      string // previousId
}

// deliver routes a message as the router does: to the id it literally names, then along redirects.
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
		return
	}
	w.t.Fatalf("message %s goes round in a circle", m.id)
}

// drive works on the outbox of a random shard; every error is a crash after which it starts anew.
func (w *world) drive(s *shard) {
	for _, merge := range s.machine.Outbox() {
		if _, err := Drive(context.Background(), merge, w); err != nil && !errors.Is(err, errLost) {
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
	w.t.Fatalf("%s goes round in a circle", ref)
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
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), faults: true}
	for range 4 {
		w.shards = append(w.shards, newShard())
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
		w.deliver(m) // everything once more: all of it is known
	}
	w.check(sent)
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
					w.t.Errorf("alias %s of %s ended as %s, not %s", previous, m.user, w.final(previous), user)
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

// TestSimulation runs the protocol in many small worlds whose network loses, doubles and reorders,
// with crashes between all steps: nothing is lost, nothing is counted twice, nothing goes in circles.
func TestSimulation(t *testing.T) {
	for seed := range uint64(*seeds) {
		simulate(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzDecode(f *testing.F) {
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

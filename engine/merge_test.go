package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// fleet is several shards with a log each, and the transport of merges between them.
type fleet struct {
	t      *testing.T
	shards []*Shard
	seqs   []uint64
}

func newFleet(t *testing.T, n int) *fleet {
	f := &fleet{t: t}
	for range n {
		f.shards = append(f.shards, newTestShard(t))
		f.seqs = append(f.seqs, 3)
	}
	return f
}

func (f *fleet) home(id identity.Ref) int { return int(xxh3.HashString(id.ID) % uint64(len(f.shards))) }

func (f *fleet) apply(shard int, entry []byte) Result {
	f.seqs[shard]++
	r, err := f.shards[shard].Apply(f.seqs[shard], entry)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// send applies a message where its id lives, and follows redirects as a router does.
func (f *fleet) send(m Message) {
	for range 10 {
		o := f.apply(f.home(canonicalRef(&m)), EncodeMessages(3, testStart, []Message{m})).Outcomes[0]
		switch o.Status {
		case Moved:
			m.To = o.MoveTo
			continue
		case Accepted, Duplicate:
			return
		}
		f.t.Fatalf("message of %v: %v", canonicalRef(&m), o)
	}
	f.t.Fatalf("message of %v is redirected forever", canonicalRef(&m))
}

// settle drives all merges to their end.
func (f *fleet) settle() {
	for round := range 50 {
		driven := 0
		for _, s := range f.shards {
			outbox, at := s.Outbox()
			for _, merge := range outbox {
				driven++
				if _, err := identity.Drive(context.Background(), merge, at, f); err != nil {
					f.t.Fatalf("round %d: drive %v for %v: %v", round, merge.Target, merge.Owner, err)
				}
			}
		}
		if driven == 0 {
			return
		}
	}
	f.t.Fatal("merges do not end")
}

func (f *fleet) Step(_ context.Context, c identity.Command) (identity.Reply, identity.Moment, error) {
	shard := f.home(c.At())
	reply := f.apply(shard, EncodeIdentity(testStart, c)).Identity
	return reply, identity.Moment{Shard: shard, Seq: f.seqs[shard]}, nil
}

func (f *fleet) Part(_ context.Context, owner, target identity.Ref, part int) ([]byte, bool, error) {
	data, ok := f.shards[f.home(target)].Part(owner, target, part)
	return data, ok, nil
}

func (f *fleet) Home(_ context.Context, id identity.Ref) (identity.Home, error) {
	return f.shards[f.home(id)].Home(id), nil
}

// TestMerge checks that what people did before they were known becomes the user's, within one shard
// and across several, and that their later messages find the user by either id.
func TestMerge(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			f := newFleet(t, shards)
			first := query.FirstAttribute
			for user := range 20 {
				anon, id := fmt.Sprint("anon-", user), fmt.Sprint("user-", user)
				f.send(Message{Kind: Track, AnonymousID: anon, MessageID: "1" + anon, Time: 10, Fields: []Field{{2, tree.Str("before")}}})
				f.send(Message{Kind: Identify, AnonymousID: anon, MessageID: "2" + anon, Fields: []Field{{first + 1, tree.NumInt(1)}, {first + 2, tree.Str("gap")}}})
				f.send(Message{Kind: Identify, UserID: id, AnonymousID: anon, MessageID: "3" + anon, Fields: []Field{{first + 1, tree.NumInt(2)}}})
				f.send(Message{Kind: Track, AnonymousID: anon, MessageID: "4" + anon, Time: 20, Event: 1})
				f.settle()
				f.send(Message{Kind: Track, AnonymousID: anon, MessageID: "5" + anon, Time: 30})
				f.send(Message{Kind: Track, AnonymousID: anon, MessageID: "1" + anon, Time: 10}) // a retry
			}
			f.settle()
			for user := range 20 {
				checkMerged(t, f, fmt.Sprint("user-", user), fmt.Sprint("anon-", user))
			}
			for _, s := range f.shards {
				if err := s.Check(); err != nil {
					t.Error(err)
				}
				restoreCopy(t, s)
			}
		})
	}
}

func checkMerged(t *testing.T, f *fleet, user, anon string) {
	t.Helper()
	v := f.shards[f.home(identity.User(user))].View()
	defer v.Release()
	about, ok := v.About(user)
	if !ok {
		t.Fatalf("%s is not found", user)
	}
	if !slices.Contains(about.AnonymousIDs, anon) {
		t.Errorf("%s has the ids %v", user, about.AnonymousIDs)
	}
	want := []EventCount{{"event0", 2, 10, 30}, {"event1", 1, 20, 20}}
	if !slices.Equal(about.Events, want) || about.FirstSeen != 10 || about.LastSeen != 30 {
		t.Errorf("events of %s: %v from %d to %d", user, about.Events, about.FirstSeen, about.LastSeen)
	}
	values := map[string]string{}
	for _, a := range about.Attributes {
		values[a.Name] = describeValue(a.Value)
	}
	if values["attribute1"] != "2" || values["attribute2"] != `"gap"` {
		t.Errorf("attributes of %s: %v", user, values)
	}
	if ordinal, ok := v.Find(anon); ok && v.ID(ordinal) != user {
		t.Errorf("%s is found as %s", anon, v.ID(ordinal))
	}
}

// TestMergesUnderRandomLogs joins random ids in random order. In the end every event must be there
// once, every shard must be sound, and no outbox may have a merge.
func TestMergesUnderRandomLogs(t *testing.T) {
	for seed := range uint64(5) {
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 5))
		f := newFleet(t, 1+int(seed)%3)
		events := 0
		for i := range 300 {
			m := Message{Kind: Track, MessageID: fmt.Sprint(i), Time: int64(i), UserID: fmt.Sprint("u", rng.IntN(8)), AnonymousID: fmt.Sprint("a", rng.IntN(12))}
			switch rng.IntN(6) {
			case 0:
				m.UserID = ""
			case 1:
				m.AnonymousID = ""
			case 2:
				m.Kind, m.PreviousID = Alias, fmt.Sprint([]string{"u", "a"}[rng.IntN(2)], rng.IntN(8))
				m.UserID = fmt.Sprint("u", rng.IntN(8))
			}
			if m.Kind == Track {
				events++
			}
			f.send(m)
			if rng.IntN(4) == 0 {
				f.settle()
			}
			if rng.IntN(40) == 0 {
				i := rng.IntN(len(f.shards))
				f.shards[i] = restoreCopy(t, f.shards[i])
			}
		}
		f.settle()
		held := 0
		for _, s := range f.shards {
			if err := s.Check(); err != nil {
				t.Error(err)
			}
			for _, table := range s.root.events {
				held += int(table.rows)
			}
		}
		if held != events {
			t.Errorf("there are %d events, %d were sent", held, events)
		}
	}
}

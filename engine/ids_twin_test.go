package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/bench/naming"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestIDsOfSchemes sends people with ids of every naming scheme, each with a text as an attribute,
// twice, in a new order and with restarts. Nobody may be there twice, and everybody and every text
// must be found.
func TestIDsOfSchemes(t *testing.T) {
	schemes := naming.All()
	for i, scheme := range schemes {
		t.Run(scheme.Name, func(t *testing.T) {
			p := &people{t: t, rng: rand.New(rand.NewPCG(uint64(i), 12)), s: newTestShard(t), seq: 3, ids: scheme, texts: schemes[(i+5)%len(schemes)]}
			p.send(indexSplit-200, 0)
			p.s = restoreCopy(t, p.s)
			p.send(indexSplit+300, 1)
			p.check()
			p.s = restoreCopy(t, p.s)
			p.send(indexSplit+600, 2)
			p.check()
		})
	}
}

// people are sent to a shard: person i has id i and text i of the naming schemes.
type people struct {
	t          *testing.T
	rng        *rand.Rand
	s          *Shard
	seq        uint64
	ids, texts naming.Scheme
	sent       int
}

const textAttribute = query.FirstAttribute + 2 // of testChanges

// send raises the number of people to n. It sends the new ones in order, then an event of each in
// random order.
func (p *people) send(n int, event uint32) {
	var messages []Message
	for i := p.sent; i < n; i++ {
		messages = append(messages, Message{Kind: Identify, UserID: p.ids.Text(3, i), Fields: []Field{{textAttribute, tree.Str(p.texts.Text(3, i))}}})
	}
	p.sent = n
	for _, i := range p.rng.Perm(n) {
		messages = append(messages, Message{Kind: Track, UserID: p.ids.Text(3, i), Event: event, Time: testStart})
	}
	for len(messages) > 0 {
		size := min(1+p.rng.IntN(4000), len(messages))
		p.seq++
		if r := mustApply(p.t, p.s, p.seq, EncodeMessages(3, testStart, messages[:size])); r.Accepted != size {
			p.t.Fatalf("%d of %d messages accepted", r.Accepted, size)
		}
		messages = messages[size:]
	}
}

func (p *people) check() {
	p.t.Helper()
	v := p.s.View()
	defer v.Release()
	count := 0
	var all query.Bits
	for chunk := range v.Chunks() {
		v.Profiles(chunk, &all)
		count += all.Count()
	}
	if count != p.sent {
		p.t.Fatalf("there are %d people, %d were sent", count, p.sent)
	}
	for i := range p.sent {
		id, text := p.ids.Text(3, i), p.texts.Text(3, i)
		ordinal, ok := v.Find(id)
		if !ok || ordinal != uint32(i) || v.ID(ordinal) != id {
			p.t.Fatalf("person %d, %.40q, is found as %d, %t", i, id, ordinal, ok)
		}
		column := &v.Attribute(textAttribute, i>>query.ChunkBits)[i%query.ChunkSize/query.PageRows]
		if code, ok := column.Dict.Find(tree.Str(text)); !ok || int(code) != i || !column.Value(i%query.PageRows).Equal(tree.Str(text)) {
			p.t.Fatalf("text of person %d, %.40q, is found as %d, %t; the person's is %v", i, text, code, ok, column.Value(i%query.PageRows))
		}
	}
	if err := p.s.Check(); err != nil {
		p.t.Fatal(err)
	}
}

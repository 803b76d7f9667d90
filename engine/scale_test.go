package engine

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/musterdb/muster/bench/naming"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// TestScale fills one shard with people whose ids and texts are of all naming schemes, in one
// dictionary each. Everybody and every text must be found, also after a restore, and after growing
// from there. MUSTER_SCALE is the number of people.
func TestScale(t *testing.T) {
	n := 20_000
	if text := os.Getenv("MUSTER_SCALE"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("MUSTER_SCALE is %q; want a number of people", text)
		}
		n = max(n, 1<<20+1<<16) // all in one shard, past the size at which codes get another bit
	}
	const seed = 9
	began := time.Now()
	ids, texts := naming.Texts(seed, n), naming.Texts(seed+1, n)
	t.Logf("%d people, %d strings of %d naming schemes, seed %d", n, 2*n, len(naming.All()), seed)
	s, seq, sent := newTestShard(t), uint64(3), 0
	send := func(upTo int) {
		t.Helper()
		order := rand.New(rand.NewPCG(seed, uint64(upTo))).Perm(upTo)
		for from := 0; from < upTo+upTo-sent; from += 2000 {
			var messages []Message
			for i := from; i < min(from+2000, upTo+upTo-sent); i++ {
				if who := sent + i; who < upTo {
					messages = append(messages, Message{Kind: Identify, UserID: ids[who], Fields: []Field{{textAttribute, tree.Str(texts[who])}}})
				} else {
					messages = append(messages, Message{Kind: Track, UserID: ids[order[who-upTo]], Event: 0, Time: testStart})
				}
			}
			seq++
			if r := mustApply(t, s, seq, EncodeMessages(3, testStart, messages)); r.Accepted != len(messages) {
				t.Fatalf("%d of %d messages accepted", r.Accepted, len(messages))
			}
			s.Maintain(4000)
		}
		sent = upTo
	}
	for _, upTo := range []int{n / 2, n - n/16, n} {
		send(upTo)
		everybodyOnce(t, s, ids[:upTo], texts)
		s = restoreCopy(t, s)
		everybodyOnce(t, s, ids[:upTo], texts)
		t.Logf("%d people: %s", upTo, time.Since(began).Round(time.Millisecond))
	}
	bytes := int64(0)
	for _, line := range s.Memory() {
		bytes += line.Bytes
	}
	t.Logf("%d MB of state", bytes>>20)
}

// everybodyOnce looks up every id and text, and counts people in three ways.
func everybodyOnce(t *testing.T, s *Shard, ids, texts []string) {
	t.Helper()
	v := s.View()
	defer v.Release()
	profiles, valued, ever := 0, 0, 0
	var all query.Bits
	for chunk := range v.Chunks() {
		v.Profiles(chunk, &all)
		profiles += all.Count()
		ever += v.Series(0, chunk).Ever.Count()
		for _, vec := range v.Attribute(textAttribute, chunk) {
			for row := range vec.Rows {
				if _, ok := vec.Raw(row); ok {
					valued++
				}
			}
		}
	}
	if profiles != len(ids) || valued != len(ids) || ever != len(ids) || v.root.users.Len() != len(ids) {
		t.Fatalf("%d profiles, %d with a text, %d with an event, %d ids; want %d", profiles, valued, ever, v.root.users.Len(), len(ids))
	}
	for i, id := range ids {
		ordinal, ok := v.Find(id)
		if !ok || ordinal != uint32(i) || v.ID(ordinal) != id {
			t.Fatalf("person %d, %.40q, is found as %d, %t", i, id, ordinal, ok)
		}
		column := &v.Attribute(textAttribute, i>>query.ChunkBits)[i%query.ChunkSize/query.PageRows]
		if code, ok := column.Dict.Find(tree.Str(texts[i])); !ok || int(code) != i || !column.Value(i%query.PageRows).Equal(tree.Str(texts[i])) {
			t.Fatalf("text of person %d, %.40q, is found as %d, %t", i, texts[i], code, ok)
		}
	}
}

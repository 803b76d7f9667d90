package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/musterdb/muster/engine/catalog"
)

func listMemory(s *Shard) int64 {
	for _, line := range s.Memory() {
		if line.Name == "lists" {
			return line.Bytes
		}
	}
	return 0
}

// listRun edits one list of a shard and records the ids on it.
type listRun struct {
	t    *testing.T
	s    *Shard
	seq  uint64
	list uint32
	on   map[string]bool
}

func (x *listRun) apply(entry []byte) {
	x.t.Helper()
	x.seq++
	if r := mustApply(x.t, x.s, x.seq, entry); r.Refused > 0 {
		x.t.Fatalf("refused: %s", r.Reason)
	}
}

func (x *listRun) edit(add, remove []string) {
	x.t.Helper()
	x.apply(EncodeListUpdate(testStart, ListUpdate{List: x.list, Add: add, Remove: remove}))
	for _, id := range add {
		x.on[id] = true
	}
	for _, id := range remove {
		delete(x.on, id)
	}
	got := x.s.View().ListIDs(x.list)
	if len(got) != len(x.on) {
		x.t.Fatalf("%d ids are on the list, want %d", len(got), len(x.on))
	}
	for _, id := range got {
		if !x.on[id] {
			x.t.Fatalf("%s is on the list", id)
		}
	}
	if err := x.s.Check(); err != nil {
		x.t.Fatal(err)
	}
}

func listIDs(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint("user-", i))
	}
	return list
}

// TestListsFreeMemory checks that the memory of ids that are no longer on a list is freed, whether
// the list was emptied, shrank, is replaced again and again, or is dropped, and that the ids on it
// are right throughout.
func TestListsFreeMemory(t *testing.T) {
	s := newTestShard(t)
	x := &listRun{t: t, s: s, seq: s.root.seq, on: map[string]bool{}}
	apply, edit, ids, list, on := x.apply, x.edit, listIDs, x.list, x.on
	var members []Message
	for _, id := range ids(0, 100) {
		members = append(members, Message{Kind: Identify, MessageID: id, UserID: id, Time: testStart, ReceivedAt: testStart})
	}
	apply(EncodeMessages(3, testStart, members))
	empty, hash := listMemory(s), s.root.hash
	edit(ids(0, 20_000), nil)
	full := listMemory(s)
	edit(nil, ids(50, 20_000))
	if few := listMemory(s); few > full/10 {
		t.Errorf("50 of 20,000 ids take %d bytes of %d", few, full)
	}
	for round := range 20 { // a list that is replaced every day
		edit(ids((round+1)*3000, (round+2)*3000), ids(round*3000, (round+1)*3000))
	}
	if churned := listMemory(s); churned > full {
		t.Errorf("3,000 ids take %d bytes, 20,000 %d", churned, full)
	}
	r := rand.New(rand.NewPCG(5, 0))
	for range 40 {
		from := r.IntN(6000)
		edit(ids(from, from+r.IntN(1500)), ids(r.IntN(3000), 3000+r.IntN(3000)))
	}
	again, err := Restore(s.config, snapshotOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if again.root.hash != s.root.hash || len(again.View().ListIDs(list)) != len(on) {
		t.Errorf("the restored list has %d ids, want %d", len(again.View().ListIDs(list)), len(on))
	}
	all := s.View().ListIDs(list)
	edit(nil, all)
	if listMemory(s) > empty || s.root.hash != hash {
		t.Errorf("the emptied list takes %d bytes, %d before it existed; the hash is %v, was %v", listMemory(s), empty, s.root.hash, hash)
	}
	edit(ids(0, 20_000), nil)
	apply(EncodeCatalog(testStart, catalog.Change{Version: 4, Kind: catalog.DropList, Name: "first"}))
	if listMemory(s) > empty || s.root.hash != hash {
		t.Errorf("the dropped list takes %d bytes, %d before it existed; the hash is %v, was %v", listMemory(s), empty, s.root.hash, hash)
	}
	apply(EncodeCatalog(testStart, catalog.Change{Version: 5, Kind: catalog.PutList, Name: "first"}))
	id, _ := s.root.catalog.List("first")
	if left := s.View().ListIDs(id); id == list || len(left) != 0 {
		t.Errorf("made again, it is list %d with %d ids", id, len(left))
	}
}

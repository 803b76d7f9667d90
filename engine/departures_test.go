package engine

import (
	"testing"

	"github.com/musterdb/muster/engine/identity"
)

// TestIDsOfRemovedProfiles checks that a profile removed by the last entry still has its id, and no
// longer has it after the next entry.
func TestIDsOfRemovedProfiles(t *testing.T) {
	f := newFleet(t, 1)
	f.send(Message{Kind: Identify, MessageID: "1", AnonymousID: "a", Time: testStart, ReceivedAt: testStart})
	f.send(Message{Kind: Identify, MessageID: "2", UserID: "u", Time: testStart, ReceivedAt: testStart})
	s := f.shards[0]
	if got := s.IDs([]uint32{0, 1, 2}, nil); got[0] != "a" || got[1] != "u" || got[2] != "" {
		t.Fatalf("ids %q", got)
	}
	f.send(Message{Kind: Identify, MessageID: "3", UserID: "u", AnonymousID: "a", Time: testStart, ReceivedAt: testStart})
	u, a := identity.User("u"), identity.Anon("a")
	f.apply(0, EncodeIdentity(testStart, identity.Command{Op: identity.ClaimOp, Owner: u, Target: a}))
	data, ok := s.Part(u, a, 0)
	if !ok {
		t.Fatal("the claim was refused")
	}
	f.apply(0, EncodeIdentity(testStart, identity.Command{Op: identity.AbsorbOp, Owner: u, Target: a, Parts: 1, Data: data}))
	if got := s.IDs([]uint32{0, 1}, nil); got[0] != "a" || got[1] != "u" {
		t.Errorf("after the merge: %q", got)
	}
	f.apply(0, EncodeTick(testStart+1))
	if got := s.IDs([]uint32{0, 1}, nil); got[0] != "" || got[1] != "u" {
		t.Errorf("after the next entry: %q", got)
	}
}

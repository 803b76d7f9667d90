package engine

import (
	"encoding/binary"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/engine/wire"
)

// IdentityAction is a step of the merge protocol that is a command of its own.
type IdentityAction uint8

// The actions; package identity says what they do. ClaimProfile and ReleaseProfile go to the home
// shard of the target, AbsorbPart and SettleMerge to the owner's.
const (
	ClaimProfile IdentityAction = iota + 1
	AbsorbPart
	ReleaseProfile
	SettleMerge
)

// IdentityStep is one step of the merge protocol.
type IdentityStep struct {
	Action        IdentityAction
	Owner, Target identity.Ref
	Alias         bool             // ClaimProfile
	Part, Parts   int              // AbsorbPart
	Data          []byte           // AbsorbPart
	Outcome       identity.Outcome // SettleMerge
	Next          identity.Ref     // SettleMerge with Retarget
}

// EncodeIdentity returns the entry that takes one step of a merge.
func EncodeIdentity(now int64, step IdentityStep) []byte {
	b := appendHeader(nil, IdentityCommand, now)
	b = append(b, byte(step.Action))
	b = appendRef(b, step.Owner)
	b = appendRef(b, step.Target)
	switch step.Action {
	case ClaimProfile:
		b = appendBool(b, step.Alias)
	case AbsorbPart:
		b = binary.AppendUvarint(b, uint64(step.Part))
		b = binary.AppendUvarint(b, uint64(step.Parts))
		b = wire.AppendBytes(b, step.Data)
	case SettleMerge:
		b = append(b, byte(step.Outcome))
		b = appendRef(b, step.Next)
	}
	return b
}

func readIdentityStep(r *wire.Reader) IdentityStep {
	step := IdentityStep{Action: IdentityAction(r.Byte()), Owner: readRef(r), Target: readRef(r)}
	switch step.Action {
	case ClaimProfile:
		step.Alias = r.Byte() != 0
	case AbsorbPart:
		step.Part, step.Parts = int(r.Uint32()), int(r.Uint32())
		step.Data = r.Bytes()
	case ReleaseProfile:
	case SettleMerge:
		step.Outcome = identity.Outcome(r.Byte())
		step.Next = readRef(r)
		if step.Outcome < identity.Done || step.Outcome > identity.Retarget {
			r.Fail("outcome of a merge")
		}
	default:
		r.Fail("step of a merge")
	}
	return step
}

func appendRef(b []byte, ref identity.Ref) []byte {
	return wire.AppendString(appendBool(b, ref.Anonymous), ref.ID)
}

func readRef(r *wire.Reader) identity.Ref {
	return identity.Ref{Anonymous: r.Byte() != 0, ID: r.String()}
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// IdentityAnswer is what a step of a merge answered: to ClaimProfile the Answer.
type IdentityAnswer struct {
	identity.Answer
	Released bool // to ReleaseProfile: whether it was the first one
	Absorbed bool // to AbsorbPart: whether the owner has all of the target's facts
}

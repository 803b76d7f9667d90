package engine

import (
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query/wire"
)

// EncodeIdentity returns the entry that applies one step of a merge. ClaimOp and ReleaseOp go to the
// home shard of the target, AbsorbOp and SettleOp to the owner's.
func EncodeIdentity(now int64, step identity.Command) []byte {
	return step.Append(appendHeader(nil, IdentityCommand, now))
}

func appendRef(b []byte, ref identity.Ref) []byte {
	return wire.AppendString(wire.AppendBool(b, ref.Anonymous), ref.ID)
}

func readRef(r *wire.Reader) identity.Ref {
	return identity.Ref{Anonymous: r.Bool(), ID: r.String()}
}

package engine

import (
	"context"

	"github.com/musterdb/muster/engine/identity"
)

// linkAll joins the anonymous ids of every profile to its user id.
func (r *liveRun) linkAll() {
	for _, p := range r.gen.History.Profiles {
		for _, anon := range p.Anonymous {
			if p.UserID != "" {
				r.apply(EncodeMessages(r.catalog, r.now, []Message{{Kind: Identify, UserID: p.UserID, AnonymousID: anon}}))
				r.merge()
				r.check()
			}
		}
	}
}

// merge drives the merges there are to their ends.
func (r *liveRun) merge() {
	for range 20 {
		outbox := r.shard.Outbox()
		if len(outbox) == 0 {
			return
		}
		for _, merge := range outbox {
			if _, err := identity.Drive(context.Background(), merge, r); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	r.t.Fatal("merges never end")
}

func (r *liveRun) step(step identity.Command) identity.Reply {
	return r.apply(EncodeIdentity(r.now, step)).Identity
}

func (r *liveRun) Claim(_ context.Context, owner, target identity.Ref, alias bool) (identity.Answer, error) {
	return r.step(identity.Command{Op: identity.ClaimOp, Owner: owner, Target: target, Alias: alias}).Answer, nil
}

func (r *liveRun) Part(_ context.Context, owner, target identity.Ref, part int) ([]byte, bool, error) {
	data, ok := r.shard.Part(owner, target, part)
	return data, ok, nil
}

func (r *liveRun) Absorb(_ context.Context, owner, target identity.Ref, part, parts int, data []byte) (bool, error) {
	return r.step(identity.Command{Op: identity.AbsorbOp, Owner: owner, Target: target, Part: part, Parts: parts, Data: data}).Done, nil
}

func (r *liveRun) Release(_ context.Context, owner, target identity.Ref) error {
	r.step(identity.Command{Op: identity.ReleaseOp, Owner: owner, Target: target})
	return nil
}

func (r *liveRun) Settle(_ context.Context, owner, target identity.Ref, outcome identity.Outcome, next identity.Ref) error {
	r.step(identity.Command{Op: identity.SettleOp, Owner: owner, Target: target, Outcome: outcome, Next: next})
	return nil
}

func (r *liveRun) Home(_ context.Context, id identity.Ref) (identity.Home, error) {
	return r.shard.Home(id), nil
}

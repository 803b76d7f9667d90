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

// merge drives all merges to their end.
func (r *liveRun) merge() {
	for range 20 {
		outbox, at := r.shard.Outbox()
		if len(outbox) == 0 {
			return
		}
		for _, merge := range outbox {
			if _, err := identity.Drive(context.Background(), merge, at, r); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	r.t.Fatal("merges do not end")
}

func (r *liveRun) Step(_ context.Context, c identity.Command) (identity.Reply, identity.Moment, error) {
	reply := r.apply(EncodeIdentity(r.now, c)).Identity
	return reply, identity.Moment{Seq: r.shard.Seq()}, nil
}

func (r *liveRun) Part(_ context.Context, owner, target identity.Ref, part int) ([]byte, bool, error) {
	data, ok := r.shard.Part(owner, target, part)
	return data, ok, nil
}

func (r *liveRun) Home(_ context.Context, id identity.Ref) (identity.Home, error) {
	return r.shard.Home(id), nil
}

package engine

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
)

// checkMembers evaluates a live segment at the view's time and compares. A segment that asks held
// ones stands on their memberships.
func (r *root) checkMembers(v *View, x *segment) error {
	env, p, err := r.heldEnv(x.name, r.time)
	if err != nil {
		return invariant("segment %q is live: %v", x.name, err)
	}
	compiled, err := eval.Compile(env, p)
	if err != nil {
		return invariant("segment %q is live: %v", x.name, err)
	}
	src := heldSource{v, r}
	evaluator := compiled.On(src)
	var all, want, got query.Bits
	for chunk := range v.Chunks() {
		v.Profiles(chunk, &all)
		evaluator.Chunk(chunk, &all, &want)
		x.fill(chunk, &got)
		if want == got {
			continue
		}
		for pos := range query.ChunkSize {
			if want.Has(uint16(pos)) != got.Has(uint16(pos)) {
				return invariant("profile %d is in segment %q: %t, but its predicate says %t", chunk<<query.ChunkBits|pos,
					x.name, got.Has(uint16(pos)), want.Has(uint16(pos)))
			}
		}
	}
	return nil
}

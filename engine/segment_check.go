package engine

import (
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
)

// checkMembers evaluates a live segment at the view's time and compares the result with its members.
// A segment that refers to held segments is evaluated with their current memberships.
func (r *root) checkMembers(x *faults, v *View, s *segment) {
	env, p, err := r.heldEnv(s.name, r.time)
	if err == nil {
		var compiled *eval.Pred
		if compiled, err = eval.Compile(env, p); err == nil {
			var src query.Source
			if src, err = r.withHeld(v, env); err == nil {
				r.compareSegment(x, v, s, compiled.On(src))
				return
			}
		}
	}
	x.addError(violated("segment %q is live but cannot be evaluated: %v", s.name, err))
}

func (r *root) compareSegment(x *faults, v *View, s *segment, evaluator *eval.Evaluator) {
	var all, want, got query.Bits
	for chunk := range v.Chunks() {
		v.Profiles(chunk, &all)
		evaluator.Chunk(chunk, &all, &want)
		s.fill(chunk, &got)
		r.compareMembers(x, fmt.Sprintf("segment %q", s.name), chunk, &got, &want)
	}
}

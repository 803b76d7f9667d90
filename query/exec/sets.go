package exec

import "github.com/musterdb/muster/query"

// compute makes held segments computed ones.
func (p *Plan) compute(sets *query.Sets) {
	if *sets != nil {
		*sets = computed{*sets}
	}
}

// computed are sets whose held segments are computed: with `as of`, where the last refresh says
// nothing, and where why looks into their conditions.
type computed struct{ query.Sets }

// Held implements query.Sets.
func (computed) Held(string) (uint32, bool) { return 0, false }

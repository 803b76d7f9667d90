package eval

import (
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// Declare adds the inputs of a checked predicate to those of env: the held segments it uses, and the
// memberships at past instants. With into, the predicates of held segments are included, for a caller
// that reports on their conditions.
func Declare(env *Env, p tree.Pred, into bool) error { return declare(env, p, env.zone(), into) }

func declare(env *Env, p tree.Pred, zone *time.Location, into bool) (err error) {
	tree.Inspect(p, func(n tree.Node) bool {
		switch n := n.(type) {
		case *tree.WasIn:
			at, _ := calendar.Span(n.At, zone)
			env.Inputs.Declare(query.Input{Segment: n.Name, Past: true, At: at, Pos: n.Pos})
		case *tree.InSegment:
			version, held := env.Inputs.Held(n.Name)
			if held {
				env.Inputs.Declare(query.Input{Segment: n.Name, Version: version, Pos: n.At})
			}
			if err == nil && n.Def != nil && (into || !held) {
				err = declareInside(env, n.Def, into)
			}
		}
		return err == nil
	})
	return err
}

// declareInside is Declare for the predicate of a segment.
func declareInside(env *Env, s *tree.Segment, into bool) error {
	zone, err := segmentZone(env, s)
	if err != nil {
		return err
	}
	return declare(env, s.Pred, zone, into)
}

// inList tests membership in a static list.
type inList struct{ list uint32 }

type inListRunner struct {
	inList
	src     query.Source
	members query.Bits
}

func (p inList) bind(r *run) runner {
	r.charge(runnerBytes + setBytes)
	return &inListRunner{inList: p, src: r.src}
}

func (l *inListRunner) cost(*scope) float64 { return 1000 }

func (l *inListRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	clear(l.members[:])
	l.src.InList(l.list, s.chunk, &l.members)
	return lanes.And(cand, l.members[:], out)
}

// inInput tests membership in a set that the source was given.
type inInput struct{ n int }

type inInputRunner struct {
	inInput
	src     query.Source
	members query.Bits
}

func (p inInput) bind(r *run) runner {
	r.charge(runnerBytes + setBytes)
	return &inInputRunner{inInput: p, src: r.src}
}

func (l *inInputRunner) cost(*scope) float64 { return 1000 }

func (l *inInputRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	l.src.Inputs()[l.n].Fill(s.chunk, &l.members)
	return lanes.And(cand, l.members[:], out)
}

// inSample tests the hash of the canonical id.
type inSample struct{ share values.Share }

type inSampleRunner struct {
	inSample
	run *run
}

func (p inSample) bind(r *run) runner { return inSampleRunner{p, r} }

// sampleWork is the approximate time of one id, in nanoseconds.
const sampleWork = 40

func (inSampleRunner) cost(s *scope) float64 { return sampleWork * float64(s.rows()) }

func (p inSampleRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	clear(out)
	eachBit(cand, func(i int) {
		if p.run.scratch.Spend(sampleWork) && p.share.Has(p.run.src.ID(uint32(s.chunk)<<query.ChunkBits|uint32(i))) {
			set(out, i)
		}
	})
	return countBits(out)
}

package eval

import (
	"errors"
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/lanes"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/values"
)

// errNoPast says that nobody knows past memberships where a predicate is compiled.
var errNoPast = errors.New("past memberships are not known here")

// Past returns the list that `was in segment` asks, in the zone where it stands.
func Past(sets query.Sets, p *tree.WasIn, zone *time.Location) (list uint32, err error) {
	if sets == nil {
		return 0, fmt.Errorf("was in segment %q: %w", p.Name, errNoPast)
	}
	at, _ := calendar.Span(p.At, zone)
	list, err = sets.Past(p.Name, at)
	var d *tree.Diagnostic
	if errors.As(err, &d) && d.At.Length == 0 {
		placed := *d
		placed.At = p.Pos
		return 0, &placed
	}
	return list, err
}

func (e *Env) held(segment string) (list uint32, ok bool) {
	if e.Sets == nil {
		return 0, false
	}
	return e.Sets.Held(segment)
}

// inList asks a static list, or a membership that is given as one.
type inList struct{ list uint32 }

type inListRunner struct {
	inList
	src     query.Source
	members query.Bits
}

func (p inList) bind(r *run) runner {
	r.bound(runnerBytes + setBytes)
	return &inListRunner{inList: p, src: r.src}
}

func (l *inListRunner) cost(*scope) float64 { return 1000 }

func (l *inListRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	clear(l.members[:])
	l.src.InList(l.list, s.chunk, &l.members)
	return lanes.And(cand, l.members[:], out)
}

// inSample asks the hash of the canonical id.
type inSample struct{ share values.Share }

type inSampleRunner struct {
	inSample
	run *run
}

func (p inSample) bind(r *run) runner { return inSampleRunner{p, r} }

// sampleWork is about what one id takes, in nanoseconds.
const sampleWork = 40

func (inSampleRunner) cost(s *scope) float64 { return sampleWork * float64(s.rows()) }

func (p inSampleRunner) eval(s *scope, cand []uint64, _ int, out []uint64) int {
	clear(out)
	eachBit(cand, func(i int) {
		if p.run.stock.Spend(sampleWork) && p.share.Has(p.run.src.ID(uint32(s.chunk)<<query.ChunkBits|uint32(i))) {
			set(out, i)
		}
	})
	return countBits(out)
}

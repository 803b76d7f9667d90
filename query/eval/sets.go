package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval/values"
)

// inList asks a static list.
type inList struct{ list uint32 }

type inListRunner struct {
	inList
	src     query.Source
	members query.Bits
}

func (p inList) bind(r *run) runner { return &inListRunner{inList: p, src: r.src} }

func (l *inListRunner) cost(*scope) float64 { return 1000 }

func (l *inListRunner) eval(s *scope, cand, out []uint64) {
	clear(l.members[:])
	l.src.InList(l.list, s.chunk, &l.members)
	for w := range out {
		out[w] = cand[w] & l.members[w]
	}
}

// inSample asks the hash of the canonical id.
type inSample struct{ share values.Share }

type inSampleRunner struct {
	inSample
	src query.Source
}

func (p inSample) bind(r *run) runner { return inSampleRunner{p, r.src} }

func (inSampleRunner) cost(s *scope) float64 { return 40 * float64(s.rows()) }

func (p inSampleRunner) eval(s *scope, cand, out []uint64) {
	clear(out)
	eachBit(cand, func(i int) {
		if p.share.Has(p.src.ID(uint32(s.chunk)<<query.ChunkBits | uint32(i))) {
			set(out, i)
		}
	})
}

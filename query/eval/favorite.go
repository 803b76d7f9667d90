package eval

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// A favorite count is one number for a position and a value. The high bits are the number of rows, the low 40
// bits the time of the latest. The value with the greatest count is the favorite of the position.
const (
	favoriteTime = 1<<40 - 1 // ms: 34 years
	favoriteUnit = 1 << 40
	// mostFavorites is the largest dictionary for which every position has a count per code.
	mostFavorites = 32
	// fewFavorites is the number of candidates below which sorting their rows is cheaper.
	fewFavorites = query.ChunkSize / 64
)

// gatherFavorite returns the favorite codes of the candidates as a column. It returns nil if the values
// are not of one small dictionary, or if a count does not fit.
func (m *measureLoader) gatherFavorite(chunk int, cand []uint64) *query.Vec {
	if m.arg.column == nil || m.t != tree.StringType || countBits(cand) < fewFavorites {
		return nil
	}
	g, series := &m.gathered, m.scan.series(chunk)
	if !g.commonForm(series.Blocks, m.arg.column) || g.col.Dict.Len() > mostFavorites || series.Rows >= 1<<24 {
		return nil
	}
	from, to := max(m.scan.from, series.Min), min(m.scan.to-1, series.Max)
	if uint64(to)-uint64(from) > favoriteTime {
		return nil
	}
	g.codes, g.from = g.col.Dict.Len(), from
	g.counts = m.scan.run.scratch.counters(g.codes * query.ChunkSize)
	clear(g.counts)
	if g.take == nil {
		g.take = m.countFavorites
	}
	m.scan.each(chunk, cand, g.take)
	g.best = m.scan.run.scratch.i64.sized(g.best, query.ChunkSize)
	eachBit(cand, func(pos int) { g.best[pos] = g.favorite(g.counts[pos*g.codes : (pos+1)*g.codes]) })
	g.col.Type, g.col.Rows, g.col.I64 = m.t, query.ChunkSize, g.best
	return &g.col
}

// favorite returns the code with the greatest count; of equal counts, the code of the larger value.
func (g *gathered) favorite(counts []uint64) int64 {
	most, code := uint64(0), int64(query.VecMissing)
	for c, n := range counts {
		if n > most || n == most && n > 0 && g.col.Dict.Value(uint32(c)).Compare(g.col.Dict.Value(uint32(code))) > 0 {
			most, code = n, int64(c)
		}
	}
	return code
}

// countFavorites counts the values of rows.
func (m *measureLoader) countFavorites(b *query.Block, rows []uint64) {
	g, v := &m.gathered, b.Col(m.arg.column.id)
	if v == nil || v.Type != m.t {
		return
	}
	count := func(p uint16, code int64, t uint64) {
		n := &g.counts[int(p)*g.codes+int(code)]
		*n = *n&^favoriteTime + favoriteUnit | max(*n&favoriteTime, t)
	}
	if rows != nil || b.Off == nil {
		eachSelected(b, rows, func(i int) {
			if code, ok := v.Raw(i); ok {
				count(b.Pos[i], code, uint64(b.Time(i)-g.from))
			}
		})
		return
	}
	first := uint64(b.Base - g.from)
	vals := g.decode(v, b.Rows, 1, m.scan.run.scratch)
	pos, off, counts, codes := b.Pos[:len(vals)], b.Off[:len(vals)], g.counts, g.codes
	for i, code := range vals {
		if code == none64 {
			continue
		}
		n := &counts[int(pos[i])*codes+int(code)]
		*n = *n&^favoriteTime + favoriteUnit | max(*n&favoriteTime, first+uint64(off[i]))
	}
}

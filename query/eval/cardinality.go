package eval

import "github.com/musterdb/muster/query"

// maxPairs is the number of pairs of sets up to which counting what they share is cheaper than writing them
// out as words.
const maxPairs = 4

// indexed is a runner whose answer for all profiles of a chunk may be sets of the index.
type indexed interface {
	// sets appends disjoint sets to into: together they are the profiles for which the predicate is true, or,
	// if negated is true, those for which it is false. ok is false if the index does not have the answer.
	sets(s *scope, into []query.Holders) (sets []query.Holders, negated, ok bool)
}

// Count returns how many of the n profiles of a chunk satisfy the predicate. It uses the sizes of index sets
// and of the intersections of two of them. ok is false if these are not enough; the caller then uses Among.
//
// REQUIRES: the source hides nothing in the chunk.
func (e *Evaluator) Count(chunk, n int) (count int, ok bool) {
	e.at.chunk = chunk
	var room [2 * maxPairs]query.Holders
	c, isChain := e.root.(*chainRunner)
	switch {
	case !isChain:
		sets, negated, ok := setsOf(e.root, &e.at, room[:0])
		if !ok {
			return 0, false
		}
		count = cardinality(sets)
		if negated {
			count = n - count
		}
		return count, true
	case c.or || len(c.args) != 2:
		return 0, false
	}
	all, notFirst, ok := setsOf(c.args[0].runner, &e.at, room[:0])
	if !ok {
		return 0, false
	}
	k := len(all)
	all, notSecond, ok := setsOf(c.args[1].runner, &e.at, all)
	if !ok || k*(len(all)-k) > maxPairs {
		return 0, false
	}
	first, second := all[:k], all[k:]
	both := 0
	for _, x := range first {
		for _, y := range second {
			both += x.Shared(y)
		}
	}
	switch {
	case notFirst && notSecond:
		return n - cardinality(first) - cardinality(second) + both, true
	case notFirst:
		return cardinality(second) - both, true
	case notSecond:
		return cardinality(first) - both, true
	}
	return both, true
}

func setsOf(r runner, s *scope, into []query.Holders) (sets []query.Holders, negated, ok bool) {
	if x, ok := r.(indexed); ok {
		return x.sets(s, into)
	}
	return nil, false, false
}

func cardinality(sets []query.Holders) (n int) {
	for _, s := range sets {
		n += s.Count()
	}
	return n
}

func (r notRunner) sets(s *scope, into []query.Holders) (sets []query.Holders, negated, ok bool) {
	sets, negated, ok = setsOf(r.arg, s, into)
	return sets, !negated, ok
}

// sets implements indexed. The sets are disjoint: a profile has one value of a string or boolean.
func (c *columnRunner) sets(s *scope, into []query.Holders) (sets []query.Holders, negated, ok bool) {
	known := c.valueSets(s)
	if known == nil {
		return nil, false, false
	}
	c.values.want(known)
	if len(c.values.wanted) > maxPairs {
		return nil, false, false
	}
	for _, code := range c.values.wanted {
		into = append(into, known.Holders(code))
	}
	return into, false, true
}

// sets implements indexed, for `did X` over all time.
func (d *didRunner) sets(s *scope, into []query.Holders) (sets []query.Holders, negated, ok bool) {
	if d.lo != 1 || d.hi >= 0 || d.scan.where != nil {
		return nil, false, false
	}
	series := d.scan.series(s.chunk)
	if series.Rows == 0 {
		return into, false, true
	}
	if series.Ever.Count() == 0 || !d.scan.covers(&series) {
		return nil, false, false
	}
	return append(into, series.Ever), false, true
}

package member

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// Chain is the steps of the sequences in a predicate, by the names of their events. To evaluate a sequence over
// a set is to hold the moments of all its steps, which for a long one and a whole chunk are gigabytes: it
// is evaluated for as many profiles at a time as need no more than sliceBytes.
type Chain []string

const (
	sliceBytes  = 16 << 20
	mostSlices  = 32        // with more it takes less time to look at one profile after the other
	momentBytes = 32        // of one event in one step, with the room to sort it
	unitRows    = 512 << 10 // events in steps that take a build about as long as a chunk of a costly counter
)

// ChainOf returns the steps of a checked predicate, those of the segments it asks included.
func ChainOf(schema query.Schema, p tree.Pred) Chain {
	w := walker{schema: schema, deep: true}
	w.walk(p, "", "")
	return w.chained
}

// moments is how many events the steps meet in a chunk.
func (c Chain) moments(schema query.Schema, src query.Source, chunk int) (rows int) {
	known := map[string]int{}
	for _, name := range c {
		n, ok := known[name]
		if !ok {
			if id, is := schema.Event(name); is {
				n = src.Series(id, chunk).Rows
			}
			known[name] = n
		}
		rows += n
	}
	return rows
}

// units is what a chunk costs a build. It decides when a segment becomes live, and follows from facts alone.
func (c Chain) units(schema query.Schema, src query.Source, chunk int) int {
	if len(c) == 0 {
		return 1
	}
	return 1 + c.moments(schema, src, chunk)/unitRows
}

// slices is for how many parts of a chunk the steps are evaluated one after the other.
func (c Chain) slices(schema query.Schema, src query.Source, chunk int) int {
	if len(c) == 0 {
		return 1
	}
	return 1 + c.moments(schema, src, chunk)*momentBytes/sliceBytes
}

// Evaluate sets in to those of all in a chunk for whom the predicate is true that on was compiled from.
func (c Chain) Evaluate(schema query.Schema, on *eval.Evaluator, src query.Source, chunk int, all, in *query.Bits) {
	slices := min(c.slices(schema, src, chunk), len(all))
	if slices == 1 {
		on.Chunk(chunk, all, in)
		return
	}
	*in = query.Bits{}
	for i := range slices {
		var some, found query.Bits
		from, to := i*len(all)/slices, (i+1)*len(all)/slices
		copy(some[from:to], all[from:to])
		on.Chunk(chunk, &some, &found)
		in.Or(&found)
	}
}

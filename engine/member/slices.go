package member

import (
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

// Chain is the steps of the sequences in a predicate, by the names of their events. Evaluating a sequence
// over a set holds the moments of all its steps, which can be gigabytes for a long sequence and a whole
// chunk. So it is evaluated for no more profiles at a time than fit in sliceBytes.
type Chain []string

const (
	sliceBytes  = 16 << 20
	mostSlices  = 32        // above this, evaluating profiles one by one is faster
	momentBytes = 32        // of one event in one step, including space for sorting
	unitRows    = 512 << 10 // events in steps that take about as long to build as a chunk of an expensive counter
)

// ChainOf returns the steps of a checked predicate, including those of the segments it refers to.
func ChainOf(schema query.Schema, p tree.Pred) Chain {
	w := walker{schema: schema, deep: true}
	w.walk(p, "", "")
	return w.chained
}

// moments returns how many events the steps have in a chunk.
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

// units returns what a chunk costs a build. It decides when a segment becomes live, so it must follow from
// facts alone.
func (c Chain) units(schema query.Schema, src query.Source, chunk int) int {
	if len(c) == 0 {
		return 1
	}
	return 1 + c.moments(schema, src, chunk)/unitRows
}

// slices returns the number of slices of a chunk that are evaluated one after another.
func (c Chain) slices(schema query.Schema, src query.Source, chunk int) int {
	if len(c) == 0 {
		return 1
	}
	return 1 + c.moments(schema, src, chunk)*momentBytes/sliceBytes
}

// Evaluate sets in to the profiles of a chunk in all for which the predicate is true. on is the compiled
// predicate.
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

package cluster

import "github.com/musterdb/muster/query/tree"

// eachPredSegment calls fn with the segments a predicate asks, without looking into them.
func eachPredSegment(p tree.Pred, fn func(*tree.InSegment)) {
	switch p := p.(type) {
	case *tree.And:
		for _, arg := range p.Args {
			eachPredSegment(arg, fn)
		}
	case *tree.Or:
		for _, arg := range p.Args {
			eachPredSegment(arg, fn)
		}
	case *tree.Not:
		eachPredSegment(p.Arg, fn)
	case *tree.InSegment:
		fn(p)
	}
}

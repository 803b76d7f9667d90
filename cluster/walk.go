package cluster

import "github.com/musterdb/muster/query/tree"

// eachPred calls fn with the conditions a predicate is made of, without looking into the segments it asks.
func eachPred(p tree.Pred, fn func(tree.Pred)) {
	switch p := p.(type) {
	case *tree.And:
		for _, arg := range p.Args {
			eachPred(arg, fn)
		}
	case *tree.Or:
		for _, arg := range p.Args {
			eachPred(arg, fn)
		}
	case *tree.Not:
		eachPred(p.Arg, fn)
	default:
		fn(p)
	}
}

package cluster

import "github.com/musterdb/muster/query/tree"

// eachSegment calls fn with every `in segment` of a checked statement, also those inside segments
// that are not frozen themselves.
func eachSegment(stmt tree.Stmt, fn func(*tree.InSegment)) {
	preds, dims := statementParts(stmt)
	for _, p := range preds {
		eachPredSegment(p, fn)
	}
	for _, d := range dims {
		if d.Segment != nil {
			eachPredSegment(d.Segment, fn)
		}
	}
}

// statementParts returns the predicates and dimensions of a statement.
func statementParts(stmt tree.Stmt) (preds []tree.Pred, dims []tree.Dimension) {
	switch s := stmt.(type) {
	case *tree.CountStmt:
		return []tree.Pred{s.Where}, s.By
	case *tree.ListStmt:
		return []tree.Pred{s.Where}, nil
	case *tree.StatsStmt:
		return []tree.Pred{s.Where}, s.By
	case *tree.TrendStmt:
		return []tree.Pred{s.Where}, s.By
	case *tree.FunnelStmt:
		return []tree.Pred{s.Where}, s.By
	case *tree.RetentionStmt:
		return []tree.Pred{s.Where}, nil
	case *tree.OverlapStmt:
		return s.Preds, nil
	case *tree.InsightsStmt:
		return []tree.Pred{s.Where, s.Against}, nil
	case *tree.LookalikeStmt:
		return []tree.Pred{s.Of, s.Among}, nil
	case *tree.RFMStmt:
		return []tree.Pred{s.Where}, nil
	case *tree.WhyStmt:
		// Why explains the clauses of the segment itself: it is never replaced by its members.
		return nil, nil
	case *tree.ExplainStmt:
		return statementParts(s.Stmt)
	}
	return nil, nil
}

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
		if p.Def != nil && !isFrozen(p.Def) {
			eachPredSegment(p.Def.Pred, fn)
		}
	}
}

// hasRank tells whether a checked predicate holds a rank, also within the segments it asks.
func hasRank(p tree.Pred) bool {
	switch p := p.(type) {
	case *tree.And:
		return anyRank(p.Args)
	case *tree.Or:
		return anyRank(p.Args)
	case *tree.Not:
		return hasRank(p.Arg)
	case *tree.InSegment:
		// A segment with a rank is frozen on its own; this one need not be for its sake.
		return false
	case *tree.Rank:
		return true
	}
	return false
}

func anyRank(args []tree.Pred) bool {
	for _, arg := range args {
		if hasRank(arg) {
			return true
		}
	}
	return false
}

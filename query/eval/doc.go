// Package eval evaluates predicates, expressions and event measures for whole sets of profiles. It
// works chunk by chunk, on bitsets that stay in cache.
//
// Its nouns: Env (now, zone and catalog of a statement), Pred and Expr (compiled once per statement),
// Evaluator (a Pred bound to a Source, for one goroutine), Vector (a value for every position of a
// chunk), EventScan (the rows of one step), Attempts (how far profiles get in a funnel), RankQuery and
// Cut (who is in the top N), Scratch (the buffers of a goroutine and the limits of an evaluation).
//
// It must not know statements (query/exec) nor how text is parsed. It shares no algorithm with
// query/match, which evaluates the same predicates for one profile. Start reading at eval.go, then
// plan.go for how a predicate is evaluated and scan.go for how events are read.
package eval

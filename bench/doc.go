// Package bench measures Muster and says what it measured on: the time of questions beside other
// databases on the same data, ingest, import, restart, snapshots and memory.
//
// Its nouns: Size (how much data), Question (one thing to ask, in MQL and SQL, with its goal), Subject
// (a database under test), Result (its answers and times), Report (all results of a run with its
// machine and commit), Node (a `muster serve` process that is measured from outside), Audit (what was
// loaded, counted in more ways than one: it follows every load).
//
// It must not know what a database does inside: Subjects load a gen.Shop and answer Questions. Other
// databases live in the module bench/peers, so that nobody downloads them who does not measure.
// Nothing here is part of the node. Start reading at question.go, then compare.go and report.go.
package bench

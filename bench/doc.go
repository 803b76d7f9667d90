// Package bench measures Muster: the time of questions compared with other databases on the same data, ingest,
// import, restart, snapshots and memory. Every result names the machine it was measured on.
//
// Its nouns: Size (how much data), Question (a query in MQL and SQL, with its goal), Subject (a database under
// test), Comparison (answers and times of subjects), Report (all results of a run with its machine and
// commit), Node (a `muster serve` process that is measured from outside) and Audit (counts the loaded data in
// several ways after every load).
//
// It must not depend on the internals of a database: Subjects load a gen.Shop and answer Questions. Other
// databases are in the module bench/peers, so that they are only downloaded by those who run that comparison.
// Nothing here is part of the node. Start reading at question.go, then compare.go and report.go.
package bench

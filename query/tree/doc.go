// Package tree holds the nouns of MQL: values, exact numbers, and the syntax tree of predicates and
// statements. It is a leaf: the parser makes trees, the checker resolves them against a schema, and
// every evaluator (sets, single profile, oracle) reads the same ones.
//
// Its nouns: Value and Number (what is compared), Pred and Expr (who is in), Window and When
// (time), Query and Stmt (what is asked), Node and Inspect (whatever looks through a tree).
//
// It must not know where data lives, nor how text is parsed. Start reading at value.go, then pred.go.
package tree

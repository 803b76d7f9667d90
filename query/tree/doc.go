// Package tree defines the types of MQL: values, exact numbers, and the syntax tree of predicates and
// statements. It is a leaf package: the parser makes trees, the checker resolves them against a schema, and
// every evaluator (sets, single profile, oracle) reads the same trees.
//
// Its nouns: Value and Number (what is compared), Pred and Expr (which profiles match), Window and When
// (time), Query and Stmt (a whole statement), Node and Inspect (walking a tree).
//
// It must not know where data is stored, nor how text is parsed. Start reading at value.go, then pred.go.
package tree

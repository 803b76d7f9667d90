// Package query is the contract between MQL and whatever holds the data: how the language asks for
// names (Schema) and for data (Source, Series, Block, Vec), and what it answers (Answer).
//
// The language itself lives in the packages below it: tree (values and syntax trees), syntax (text),
// check (a tree against a Schema), eval (sets, chunk by chunk), match (one profile), exec
// (statements), querytest (the naive oracle and the acceptance suite).
//
// None of them knows the engine: any store that implements Schema and Source speaks MQL. Start
// reading at source.go.
package query

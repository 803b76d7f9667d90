// Package query is the contract between MQL and a data store: how the language looks up names (Schema)
// and reads data (Source, Series, Block, Vec), and what it returns (Answer).
//
// Its nouns: Source (the data of one shard at one seq), Input and Set (members of a segment that a
// source has, so that they need not be computed), Series (the events of one name in one chunk), Block
// (rows of them), Vec (a column of values), Bits (a set of positions of a chunk), Answer (columns and
// rows, and statistics).
//
// The language itself is in the packages below: tree (values and syntax trees), syntax (text), check (a
// tree against a Schema), eval (sets, chunk by chunk), match (one profile), exec (statements),
// querytest (the naive oracle and the acceptance suite).
//
// This package and those below must not know the engine: any store that implements Schema and Source
// can be queried with MQL. Start reading at source.go.
package query

// Package query is the contract between MQL and whatever holds the data: how the language asks for
// names (Schema) and for data (Source, Series, Block, Vec), and what it answers (Answer).
//
// Its nouns: Source (one shard's data at one seq), Input and Set (who a source says is in a segment, without
// computing it), Series (the events of one name in one chunk), Block
// (rows of them), Vec (a column of values), Bits (a set of positions of a chunk), Answer (columns, rows
// and how they were reached).
//
// The language itself lives in the packages below it: tree (values and syntax trees), syntax (text),
// check (a tree against a Schema), eval (sets, chunk by chunk), match (one profile), exec
// (statements), querytest (the naive oracle and the acceptance suite).
//
// It must not know the engine, and neither do they: any store that implements Schema and Source speaks
// MQL. Start reading at source.go.
package query

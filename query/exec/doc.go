// Package exec answers statements over many sources: per-shard partials, and their merge into an
// Answer.
//
// Its nouns: Plan (one prepared statement), Partial (what some chunks of one source contribute, plain
// data that can travel between nodes), State (the rank cuts all nodes must share), Group and Cell
// (one row of a breakdown and one number of it while it is being added up), Row (one profile of a
// list).
//
// A plan runs in rounds. In each, Partial is asked for every stretch of chunks of every source and
// Merge is given the partials: first the cuts of ranks, then the rows; `lookalike` needs one more.
// When Merge says done, Answer has the rows.
//
// It must not know where sources live, nor goroutines: the caller scatters. Start reading at plan.go,
// then group.go.
package exec

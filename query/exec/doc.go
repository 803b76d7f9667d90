// Package exec answers statements over many sources: per-shard partials, and their merge into an
// Answer.
//
// Its nouns: Plan (one prepared statement), Partial (what some chunks of one source contribute, plain
// data that can travel between nodes), State (the rank cuts all nodes must share), Group and Cell
// (one row of a breakdown and one number of it while it is being added up), Row (one profile of a
// list), Memory (what all statements of a process may hold together, of which each has a budget), Pool (the goroutines of a process that evaluate), slot (the number of a combination of the
// values of dimensions in one chunk, by which members are counted), sumPlace (a sum of the statement and
// for whom it is taken).
//
// A plan runs in rounds. In each, partials are made of all chunks of all sources and Merge is given
// them: first the cuts of ranks, then the rows; `lookalike` needs one more. When Merge says done,
// Answer has the rows. Pool.Ask does all of that for sources of one process; Partial is for those that
// are elsewhere.
//
// A sum leaves out values beyond ±10^18. Where one came upon such a value, of a member or not, the statement
// is followed by a further plan that counts them for the warning: leftout.go, sums.go. Others pay nothing.
//
// It must not know where sources live. Start reading at plan.go, then worker.go and ask.go for how
// chunks are handed out, and group.go.
package exec

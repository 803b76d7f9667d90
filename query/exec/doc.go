// Package exec answers statements over many sources: per-shard partials, and their merge into an
// Answer.
//
// Its nouns: Plan (one prepared statement, or a predicate whose members are asked), Shard (a source with its
// number), Partial (what some chunks contribute to a round), State (what a plan has settled), Group and Cell
// (one row of a breakdown and one number of it while it is being added up), Row (one profile of a
// list), Memory (what all statements of a process may hold together, of which each has a budget), Pool (the goroutines of a process that evaluate), slot (the number of a combination of the
// values of dimensions in one chunk, by which members are counted), sumPlace (a sum of the statement and
// for whom it is taken).
//
// A plan runs in rounds. In each, partials are made of all chunks of all shards and Merge is given
// them. Where there are ranks, the first round asks their values and the second the ids of those who have the
// value at which each ends; then come the rows; `lookalike` and long lists need one more. When Merge says done,
// Answer has the rows. Pool.Ask does all of that for shards of one process.
//
// Partials and States are plain data: a profile is (shard, ordinal), and what its id or its columns are is asked
// in a round of its own. Nodes that hold other shards prepare the same statement, Resume with the State, make
// Partials of their shards, and send them by AppendPartial; the one that merges takes them by Plan.Read, which
// charges them to its budget. In one process nothing is encoded.
//
// A sum leaves out values beyond ±10^18. Where one came upon such a value, of a member or not, the statement
// is followed by a further plan that counts them for the warning: leftout.go, sums.go. Others pay nothing.
//
// It must not know where sources live. Start reading at plan.go, then worker.go and ask.go for how
// chunks are handed out, and group.go; partial_wire.go is how partials travel.
package exec

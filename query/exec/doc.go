// Package exec answers statements over many sources. It computes partials per shard and merges them into an
// Answer.
//
// Its nouns:
//   - Plan: one prepared statement, or a predicate whose members are wanted.
//   - Shard: a source with its number.
//   - Partial: the contribution of some chunks to one round.
//   - State: what a plan has settled in its rounds so far.
//   - Memory: the limit that all statements of a process share; each statement has a budget within it.
//   - Pool: the goroutines of a process that evaluate statements.
//
// A plan runs in rounds. In each round, partials are computed for all chunks of all shards and passed to Merge.
// A statement with ranks has two rounds for them first: one collects the values, the next the ids of the profiles
// whose value is the one at which a rank ends. Then come the rows; `lookalike` and long lists need one more round.
// When Merge returns done, Answer returns the rows. Pool.Ask does all of this for shards of one process.
//
// Partials and States are plain data. They identify a profile by shard and ordinal; a later round looks up ids and
// columns. Nodes that have other shards prepare the same statement, call Resume with the State, compute Partials of
// their shards, and encode them with AppendPartial. The node that merges decodes them with Plan.Read, which charges
// them to its budget. Within one process, partials are not encoded.
//
// Sums leave out values beyond ±10^18. If a sum met such a value, whether of a member or not, a further plan counts
// the values left out and the answer gets a warning: see leftout.go and sums.go. Other statements pay nothing for
// this.
//
// The package must not know where sources are stored. Start reading at plan.go, then worker.go and ask.go for how chunks
// are handed out, then group.go. partial_wire.go has the encoding of partials.
package exec

// Package identity joins profiles. It is the protocol by which the owner of a link takes over the facts of
// another id, across shards. Nothing is lost and nothing is counted twice, whatever is lost, duplicated or
// reordered on the way, and whatever crashes in between.
//
// Its nouns: Ref (a literal id with its kind), Home (what the shard of an id knows about it), Merge (an
// entry in an owner's outbox), Machine (the deterministic part, inside a shard's log) and Drive (the part
// outside the log, which takes a Merge through its steps).
//
// Each step is a command in one shard's log, idempotent by the pair (owner, target):
//
//	want     owner   a message names both ids: a Merge is put in the outbox, in the same entry
//	claim    target  the profile is frozen (moving); messages for it go to the owner from now on
//	absorb   owner   the facts arrive in parts; the last part adds them all in one entry
//	release  target  the profile has moved: its facts are removed from this shard
//	done     owner   the Merge is removed from the outbox
//
// If owner and target are in one shard, the absorb also releases: the join is one entry.
//
// Between absorb and release both shards have the facts, and a reader of two shards reads each at a
// different moment. Therefore absorb, release and done name the Moment, in the other shard, of the step
// they follow; a Machine keeps the latest moment of each shard (Needs), like a vector clock. Views that
// satisfy each other's needs are a consistent cut: in it a target is in one place, or in both; in the
// latter case the owner's shard lists it (Absorbed), and readers leave it out of its own shard. So no
// reader sees half a join, and no shard waits for a reader.
//
// Ranks prevent cycles: users rank before anonymous ids, then bytes decide. An owner always has the smaller
// rank; a claim by the larger one is reversed. Routers do not cache redirects: a retry must reach the shard
// that remembers its messageId.
//
// The package must not know columns, networks or clocks. Start reading at machine.go.
package identity

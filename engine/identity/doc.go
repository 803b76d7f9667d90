// Package identity joins profiles: it is the protocol by which the owner of a link takes over another
// id's facts, across shards, so that nothing is lost and nothing counted twice whatever is lost,
// doubled, reordered or crashes in between.
//
// Its nouns: Ref (a literal id with its kind), Home (what the shard of an id knows about it), Merge
// (an entry in an owner's outbox), Machine (the deterministic part, inside a shard's log) and Drive
// (the part outside the log that carries a Merge through its steps).
//
// The steps, each a command in one shard's log and each idempotent by the pair (owner, target):
//
//	want     owner   a message names both ids: a Merge is in the outbox, in the same entry
//	claim    target  the profile is frozen (moving); messages for it go to the owner from now on
//	absorb   owner   its facts arrive in parts; the last one adds them all at once
//	release  target  the profile has moved: its facts leave this shard
//	done     owner   the Merge leaves the outbox
//
// Where owner and target live in one shard, the absorb releases too: the join is one entry.
//
// Between absorb and release both shards have the facts, and whoever reads two shards reads each at a
// moment of its own. Absorb, release and done therefore name the Moment of the step they follow, in the
// other shard; a Machine keeps the latest of each shard (Needs), as a vector clock does. Views that satisfy
// each other's needs are a consistent cut: a target is then in one of two places, or in both where the
// owner's shard says so (Absorbed), and is left out of its own. So no reader sees half a join, and no shard
// waits for a reader.
//
// Ranks make it free of cycles: users come before anonymous ids, then bytes decide; an owner always
// has the smaller rank, and a claim from the larger is turned round. Routers remember no redirect:
// a retry must pass the shard that remembers its messageId.
//
// It must not know columns, networks or clocks. Start reading at machine.go.
package identity

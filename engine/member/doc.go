// Package member keeps the membership of live segments current: what each log entry and each moment
// of time does to who is in.
//
// Its nouns: Tracker (all live segments of one shard), Segment (a predicate as a program over
// conditions), condition (a leaf that segments share, with the profiles for which it is true),
// counter (how many events of one kind each profile has in a window, kept at both edges of it),
// queue (what happens next by time alone), Flip (the profiles that entered or left at one instant).
//
// It is deterministic, and what it keeps is derived: from the facts, the time and the definitions it
// can be built anew. Memberships themselves belong to the Host, the shard. It must not know how a
// shard stores anything, nor logs, snapshots or names of segments beyond their order.
//
// Start reading at tracker.go, then condition.go and counter.go.
package member

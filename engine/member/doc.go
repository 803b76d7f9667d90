// Package member keeps the membership of live segments current: what each log entry and each moment
// of time does to who is in.
//
// Its nouns: Tracker (all live segments of one shard), Segment (a predicate as a program over leaves),
// leaf (what programs ask: a condition that holds or not, or a threshold of a counter; segments share
// them), counter (what each profile's events of one kind add up to in a window, kept at both edges of
// it: their number, a sum, how many were followed), agenda (when edges pass events, up to a horizon),
// Flip (the profiles that entered or left at one instant).
//
// It is deterministic, and what it keeps is derived: from the facts, the time and the definitions it
// can be built anew. Memberships themselves belong to the Host, the shard. It must not know how a
// shard stores anything, nor logs, snapshots or names of segments beyond their order.
//
// What all of it costs is estimated before a segment is taken: Price, Load (how much data there is) and PriceList
// (all segments compiled over no data), in price.go and pricelist.go.
//
// Start reading at tracker.go, then counter.go, rows.go (where all of it is kept) and settle.go.
package member

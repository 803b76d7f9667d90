// Package member keeps the membership of live segments current, after every log entry and as time passes.
//
// Its nouns: Tracker (all live segments of one shard), Segment (a predicate as a program over leaves), leaf
// (an input of programs, shared by segments: a condition that is true or false, or a threshold of a
// counter), counter (what each profile's events of one kind add up to in a window, updated at both edges of
// the window: their number, a sum, or how many were followed), schedule (when edges reach events, up to a
// horizon), Flip (the profiles that entered or left a segment at one instant).
//
// The package is deterministic, and everything it keeps is derived: it can be rebuilt from the facts, the
// time and the definitions. Memberships themselves belong to the Host, the shard. The package must not know
// how a shard stores anything, nor logs, snapshots, or names of segments beyond their order.
//
// The cost of segments is estimated before they are accepted: Price, Load (how much data there is) and
// PriceList (all segments compiled over no data), in price.go and pricelist.go.
//
// Start reading at tracker.go, then counter.go, rows.go (where the values are kept) and settle.go.
package member

// Package systest runs real muster processes and does to them what the world does: kills them in the
// middle of things and starts them again.
//
// Its nouns: process (a running `muster serve` with its directory), muster (one run of another
// command), sender (SDKs that know what was acknowledged to them), world (a random history on its way to
// a node with random live segments), follower (a reader that hears of one segment over one connection
// after another). It is all tests; larger counts are behind MUSTER_CRASH_ROUNDS and MUSTER_LIVE_ROUNDS,
// faults of the disk and under load behind MUSTER_FAULTS.
//
// It must not import the packages it tests: it sees what a user sees, by the client in api, and is
// judged by the naive oracle of query/querytest. Start reading at crash_test.go.
package systest

// Package systest tests real muster processes under realistic faults: it kills them in the middle of work and
// starts them again.
//
// Its nouns: process (a running `muster serve` with its directory), muster (one run of another command), sender
// (SDKs that record what was acknowledged), world (a random history that is sent to a node with random live
// segments), follower (a reader of one segment over one connection after another). It has only tests; larger
// counts need MUSTER_CRASH_ROUNDS and MUSTER_LIVE_ROUNDS, faults of the disk and under load MUSTER_FAULTS.
//
// It must not import the packages it tests: it sees what a user sees, through the client in api, and compares it
// with the simple oracle of query/querytest. Start reading at crash_test.go.
package systest

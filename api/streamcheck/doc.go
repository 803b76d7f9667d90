// Package streamcheck checks that the stream of a segment is correct: no gap, nothing twice, each profile's
// changes in order, and at the end the same members as a fresh list.
//
// Its nouns: Checker (the state of one client) and Fault (what was wrong, and with which profile). Give a Checker
// every message of a stream in order, across reconnects, and the segment's list once the stream has caught
// up.
//
// It must not depend on how messages are transported. Start reading at checker.go.
package streamcheck

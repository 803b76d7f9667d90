// Package streamcheck proves that what a stream told of a segment is right: no gap, nothing twice, each
// profile's changes in order, and at the end the same members as a fresh list.
//
// Its nouns: Checker (what one client has heard so far), Fault (what was wrong, and with which profile).
// A Checker is fed with every message of a stream in the order in which they came, across reconnects,
// and with the segment's list once the stream has caught up.
//
// It must not know how messages travel. Start reading at checker.go.
package streamcheck

// Package match answers for one profile what eval answers for sets: whether it satisfies a predicate,
// why, and the next instant at which time alone can change that.
//
// Its nouns: Matcher (a predicate made ready), Profile (one profile's attributes and events), Verdict
// (true or false, and until when), Clause (the verdict of one condition with its facts, for `why`).
//
// It is written for one profile and shares no algorithm with eval, so that the two can be compared: only
// what calendars, text forms and samples mean, and what is given to both, the cuts of ranks and past
// memberships. It must not know statements or stores.
// Start reading at match.go.
package match

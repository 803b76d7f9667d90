// Package match evaluates for one profile what package eval evaluates for sets of profiles: whether the
// profile satisfies a predicate, why, and the next instant at which the passing of time alone can
// change that.
//
// Its nouns: Matcher (a compiled predicate), Profile (the attributes and events of one profile),
// Verdict (true or false, and until when), Clause (the verdict of one condition with its facts, for
// `why`).
//
// It is written for one profile and shares no algorithm with eval, so that the two can be compared.
// They share only the meaning of calendars, text forms and samples, and their inputs: the cuts of ranks
// and past memberships. It must not know statements or stores. Start reading at match.go.
package match

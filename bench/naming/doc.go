// Package naming writes texts in the ways in which systems name people and things: counters, uuids, e-mails,
// phone numbers, sentences. The generated shop uses it, and tests that grow structures past the sizes at which
// their representation changes, so that structures are tested with more than the texts of one counter.
//
// Its nouns: Scheme (one way of naming), All (every scheme) and AppendPerson (the ids of a shop, from several).
//
// It must not import any other package of this module. Start reading at schemes.go.
package naming

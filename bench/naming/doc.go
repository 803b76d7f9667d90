// Package naming writes texts in the ways in which systems name people and things: counters, uuids,
// e-mails, phone numbers, sentences. The generated shop and the tests that cross the sizes at which
// structures change their shape draw from it, so that no structure is only known to hold the texts of one
// counter.
//
// Its nouns: Scheme (one way), All (every one), AppendPerson (the ids of a shop, drawn from several).
//
// It must not import anything of ours. Start reading at schemes.go.
package naming

// Package invariant has faults that only a build for tests can produce. Without the build tag "poison" its
// functions do nothing.
//
// Its nouns: the poison, an entry of the log that a state machine cannot apply; the codes that the
// indexes of dictionaries forget, as those of earlier builds did; and encoding, which sends every partial of a
// statement through its bytes. It must not know any other package. Start reading at poison.go.
package invariant

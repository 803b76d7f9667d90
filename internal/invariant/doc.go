// Package invariant has what only a build for tests does. Without the build tag "poison" all of it is
// empty and costs nothing.
//
// Its one noun so far: the poison, an entry of the log that a state machine cannot apply. It must not
// know any other package. Start reading at poison.go.
package invariant

// Package catalog holds the replicated definitions of a workspace: names and types, segments, lists and the
// time zone.
//
// Its nouns: State (one version, immutable), Change (makes the next version), Attribute, Event and Property
// (names with ids and types), Segment (a named predicate), List (a static list).
//
// It is a pure state machine: equal states and equal changes give equal states on every node. It must not
// know logs, shards, networks or clocks. The text of predicates is parsed by the function passed to New.
// Start reading at state.go, then change.go.
package catalog

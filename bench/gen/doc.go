// Package gen makes a shop: profiles and their events, as many as wanted, never all in memory, and the
// same ones for the same seed. Benchmarks, tests and `muster demo` draw from it.
//
// Its nouns: Shop (what a Config describes), Profile and Event (plain rows, which can be written as
// NDJSON for POST /v1/events or turned into messages of the engine), names.go (the words they use).
//
// It must not know nodes, networks or files. Start reading at shop.go.
package gen

// Package gen generates a shop: any number of profiles and their events, never all in memory, and the same ones
// for the same seed. Benchmarks, tests and `muster demo` use it.
//
// Its nouns: Shop (made from a Config), and Profile and Event (plain rows, which can be written as NDJSON for
// POST /v1/events or turned into messages of the engine). names.go has the words they use.
//
// It must not depend on nodes, networks or files. Start reading at shop.go.
package gen

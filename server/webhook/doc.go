// Package webhook tells other systems which profiles enter and leave segments, as Standard Webhooks 1.0.0
// defines: signed POSTs that are retried on its schedule until they are answered with 2xx or are given up
// as dead.
//
// Its nouns: Hook (where a segment's changes are sent), Hooks (all hooks, durable in a Table), Message
// (one POST, whose id stays the same over all its tries), Feed (the source of changes).
//
// A target that does not answer keeps a bounded number of messages pending here; beyond that, its hook
// falls behind in the change log. Messages about one profile keep their order: a later one waits for an
// earlier one.
//
// It must not know how changes come about, nor the HTTP API of hooks. Start reading at hooks.go, then
// worker.go.
package webhook

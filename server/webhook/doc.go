// Package webhook tells other systems who enters and leaves, by Standard Webhooks 1.0.0: signed POSTs,
// tried again on its schedule, until they are answered with 2xx or are dead.
//
// Its nouns: Hook (where a segment's changes go), Hooks (all of them, durable in a Table), Message (one
// POST with an id that stays the same over all tries), Feed (where changes come from).
//
// A target that does not answer holds a bounded number of messages here; behind that it lags in the
// change log. Messages about one profile keep their order: a later one waits for an earlier one.
//
// It must not know how changes come about or how hooks are asked for over HTTP. Start reading at
// hooks.go, then worker.go.
package webhook

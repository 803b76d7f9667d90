// Package decode turns messages as senders write them into engine.Incoming: Segment's JSON in all its
// dialects, lines of a bulk import, and CloudEvents.
//
// Its nouns: Decoder (reusable state for one goroutine), Envelope (what the request says about all its
// messages), Body (a request body cut into items), the refusal of one message (an error of package node),
// and Note (a value of an accepted message that cannot be a column).
//
// It must not know HTTP, nodes or the catalog: names stay names. It reads no clock. Start reading at
// message.go.
package decode

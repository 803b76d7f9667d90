// Package decode turns messages as senders write them into engine.Incoming: Segment's JSON in all its
// dialects, lines of a bulk import, CloudEvents.
//
// Its nouns: Decoder (one goroutine's reusable state), Envelope (what the request says about all its
// messages), Body (a request body cut into items), the refusal of one message (an error of package node) and Note
// (what of a taken message cannot be a column).
//
// It must not know HTTP, nodes or the catalog: names stay names, and it reads no clock. Start reading
// at message.go.
package decode

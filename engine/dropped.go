package engine

import (
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Dropped is what resolving a message left out: one value, or the whole message if Name is the name
// of an event. The history of the profile keeps it, and queries do not see it.
type Dropped struct {
	Reason DropReason
	Name   catalog.Name // of the value's column, with the type of the value; or the name of the event
}

// WholeMessage reports whether the message has no event that the catalog knows.
func (d *Dropped) WholeMessage() bool { return d.Name.Kind == query.EventName }

// DropReason is why a value or message was left out.
type DropReason uint8

// The reasons. A Resolver itself reports an unknown name only as NameUnknown; the caller that tried
// to define the name knows why that failed, and sets a more exact reason.
const (
	TypeMismatch DropReason = iota + 1 // the value has another type than its column
	NameInvalid                        // the text is not a valid name
	NameReserved                       // the name is built in and cannot be set
	NameUnknown                        // the catalog lacks the name
	NameLimit                          // the catalog cannot take another name
	NameWithheld                       // the sender uses too many new names
)

func nameReason(name string) DropReason {
	if catalog.ValidName(name) {
		return NameUnknown
	}
	return NameInvalid
}

// keepMismatched adds fields that have no column to the rest of a message, a JSON object.
func keepMismatched(fields []NamedField, rest []byte) []byte {
	if len(fields) == 0 {
		return rest
	}
	with := []byte(`{"mismatched":{`)
	for i := range fields {
		if i > 0 {
			with = append(with, ',')
		}
		with = tree.AppendJSON(append(tree.AppendQuoted(with, fields[i].Name), ':'), fields[i].Value)
	}
	with = append(with, '}')
	if len(rest) > len("{}") {
		return append(append(with, ','), rest[1:]...)
	}
	return append(with, '}')
}

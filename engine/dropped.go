package engine

import (
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Dropped is what resolving left out of a message: one value, or, where Name is that of an event, all of the
// message. It stays in the history of the profile, and nothing counts it.
type Dropped struct {
	Reason DropReason
	Name   catalog.Name // of the value's column, with the type of the value; or of the event
}

// WholeMessage reports whether the message has no event that the catalog knows.
func (d *Dropped) WholeMessage() bool { return d.Name.Kind == query.EventName }

// DropReason is why something was left out.
type DropReason uint8

// The reasons. A Resolver knows a name only as unknown; whoever tried to define it knows why that failed.
const (
	TypeMismatch DropReason = iota + 1 // the value has another type than its column
	NameInvalid                        // this cannot be a name
	NameReserved                       // the name is built in and cannot be set
	NameUnknown                        // the catalog lacks the name
	NameLimit                          // the catalog has no room for another name
	NameWithheld                       // the sender brings too many new names
)

func nameReason(name string) DropReason {
	if catalog.ValidName(name) {
		return NameUnknown
	}
	return NameInvalid
}

// keepMismatched returns the rest of a message, a JSON object, with fields that are no columns.
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

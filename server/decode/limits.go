package decode

import (
	"errors"
	"fmt"

	"github.com/musterdb/muster/internal/node"
)

// Limits are the limits of one message. A zero value means the default, which is given last below.
type Limits struct {
	ID     int // bytes of a user, anonymous, group or message id; 512
	Name   int // bytes of an event, attribute or property name, dots included; 256
	String int // bytes of a string value or a whole list; 64 KiB
	Fields int // attributes or properties of a message; 512
	Depth  int // nested objects and arrays; 64
}

// WithDefaults returns l with zero values replaced by the defaults.
func (l Limits) WithDefaults() Limits {
	for _, d := range []struct {
		at    *int
		value int
	}{{&l.ID, 512}, {&l.Name, 256}, {&l.String, 64 << 10}, {&l.Fields, 512}, {&l.Depth, 64}} {
		if *d.at == 0 {
			*d.at = d.value
		}
	}
	return l
}

// Validate returns an error that lists every limit that is out of range.
func (l Limits) Validate() error {
	var faults []error
	for _, f := range []struct {
		name         string
		value, least int
		most         int
	}{{"id", l.ID, 1, 64 << 10}, {"name", l.Name, 1, 64 << 10}, {"string", l.String, 1, 16 << 20}, {"fields", l.Fields, 1, 1 << 16}, {"depth", l.Depth, 1, 1000}} {
		if f.value < f.least || f.value > f.most {
			faults = append(faults, fmt.Errorf("message limit %s is %d: must be %d to %d", f.name, f.value, f.least, f.most))
		}
	}
	return errors.Join(faults...)
}

// refuse returns the error of a message that can never be accepted as it is.
func refuse(code, format string, args ...any) error {
	return &node.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Note is the reason why a value of an accepted message is kept in history only.
type Note struct {
	Code   string // reserved_name, name_too_long, value_too_long, too_many_fields, bad_number, empty_name
	Reason string
}

// maxNotes is the largest number of notes for one message.
const maxNotes = 8

package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// GroupIDAttribute is the attribute that holds the id of the group a profile belongs to. GroupPrefix
// is the prefix of the attributes that hold the group's traits.
const (
	GroupIDAttribute = "group_id"
	GroupPrefix      = "group."
)

// NoEvent is the Event of a message whose event name is not in the catalog. The history stores such a
// message under its EventName, and its profile exists, but queries do not see it.
const NoEvent = 1<<32 - 1

// ErrIncoming is the cause of every error of Resolve.
var ErrIncoming = errors.New("message cannot be accepted")

// Resolver turns received messages into messages with ids. It reuses its memory for many of them. The
// zero Resolver is ready for use by one goroutine.
type Resolver struct {
	slab    []Field      // the memory of the messages' fields
	dropped []Dropped    // what the message being resolved loses
	kept    []NamedField // the fields that go into its context instead
}

// The least and the largest size of a slab, in fields. A message with more fields gets a larger one.
const (
	slabFields = 1024
	slabMost   = 16 << 10
)

// Reuse makes the memory of all messages resolved so far available to the next ones. REQUIRES: their
// fields are no longer used.
func (r *Resolver) Reuse() {
	clear(r.slab) // values keep the memory that they alias alive
	r.slab = r.slab[:0]
}

// Resolve resolves one message with its own Resolver, and returns the names that c lacks.
func Resolve(c *catalog.State, in *Incoming) (msg Message, missing []catalog.Name, err error) {
	r := Resolver{slab: make([]Field, 0, len(in.Fields)+1)}
	dropped, err := r.Resolve(c, in, &msg)
	for i := range dropped {
		if dropped[i].Reason == NameUnknown {
			missing = append(missing, dropped[i].Name)
		}
	}
	return msg, missing, err
}

// Resolve sets msg to in, with the names turned into ids of catalog c and the values into the
// catalog's types. It returns what that leaves out of msg, in the order of the message; msg.Context
// has all of it, under "mismatched". If something is left out because its name is unknown, the caller
// may define the name and resolve again, or use msg as it is. msg shares strings and Context with in;
// dropped shares strings.
func (r *Resolver) Resolve(c *catalog.State, in *Incoming, msg *Message) (dropped []Dropped, err error) {
	if err := checkIncoming(in); err != nil {
		*msg = Message{}
		return nil, err
	}
	*msg = Message{
		Kind: in.Kind, MessageID: in.MessageID, Source: in.Source, Line: in.Line, UserID: in.UserID,
		AnonymousID: in.AnonymousID, PreviousID: in.PreviousID, Time: in.Time, ReceivedAt: in.ReceivedAt,
		Context: in.Context, Fields: r.reserve(len(in.Fields) + 1), // one more for the group's id
	}
	if in.Kind.HasEvent() {
		r.properties(c, in, msg)
	} else {
		r.attributes(c, in, msg)
	}
	r.slab = r.slab[:len(r.slab)+len(msg.Fields)]
	msg.Fields = sortOwnFields(slices.Clip(msg.Fields))
	if len(r.dropped) > 0 {
		dropped = slices.Clone(r.dropped)
		msg.Context = keepMismatched(r.kept, in.Context)
		clear(r.dropped)
		clear(r.kept)
		r.dropped, r.kept = r.dropped[:0], r.kept[:0]
	}
	return dropped, nil
}

// reserve returns an empty slice after the used part of the slab, with capacity for n fields.
func (r *Resolver) reserve(n int) []Field {
	if cap(r.slab)-len(r.slab) < n {
		r.slab = make([]Field, 0, max(slabFields, min(2*cap(r.slab), slabMost), n))
	}
	return r.slab[len(r.slab) : len(r.slab) : len(r.slab)+n]
}

// HasEvent reports whether messages of the kind append an event.
func (k Kind) HasEvent() bool { return k == Track || k == Page || k == Screen }

// maxIDBytes is the length of the longest id of a profile, a message or a source.
const maxIDBytes = 1 << 10

func checkIncoming(in *Incoming) error {
	for _, id := range [...]string{in.UserID, in.AnonymousID, in.PreviousID, in.MessageID, in.Source} {
		if len(id) > maxIDBytes {
			return fmt.Errorf("resolve message: an id is longer than %d bytes: %w", maxIDBytes, ErrIncoming)
		}
	}
	switch {
	case in.Kind < Identify || in.Kind > Profile:
		return fmt.Errorf("resolve message: kind %d: %w", in.Kind, ErrIncoming)
	case in.UserID == "" && in.AnonymousID == "":
		return fmt.Errorf("resolve %s: no userId and no anonymousId: %w", in.Kind, ErrIncoming)
	case in.Kind == Alias && (in.PreviousID == "" || in.UserID == ""):
		return fmt.Errorf("resolve alias: previousId and userId are both needed: %w", ErrIncoming)
	case in.Kind.HasEvent() && (in.Event == "" || len(in.Event) > catalog.MaxNameBytes):
		return fmt.Errorf("resolve %s: the event name is empty or longer than %d bytes: %w", in.Kind, catalog.MaxNameBytes, ErrIncoming)
	}
	return nil
}

func (r *Resolver) properties(c *catalog.State, in *Incoming, msg *Message) {
	event, known := c.Event(in.Event)
	msg.Event = event
	if !known {
		msg.Event, msg.EventName = NoEvent, in.Event
		name := catalog.Name{Kind: query.EventName, Name: in.Event}
		r.dropped = append(r.dropped, Dropped{nameReason(in.Event), name})
	}
	for i := range in.Fields {
		f := &in.Fields[i]
		why := nameReason(f.Name)
		if known {
			if id, t, ok := c.Property(event, f.Name); ok {
				if msg.set(id, t, f) {
					continue
				}
				why = TypeMismatch
			}
		} else if r.dropped[0].Reason == NameInvalid { // its properties cannot be defined either
			r.keep(f)
			continue
		}
		r.drop(why, catalog.Name{Kind: query.PropertyName, Event: in.Event, Name: f.Name}, f)
	}
}

func (r *Resolver) attributes(c *catalog.State, in *Incoming, msg *Message) {
	prefix := ""
	if in.Kind == Group {
		prefix = GroupPrefix
		if in.GroupID != "" {
			r.attribute(c, GroupIDAttribute, &NamedField{Name: GroupIDAttribute, Value: tree.Str(in.GroupID), Exact: true}, msg)
		}
	}
	for i := range in.Fields {
		r.attribute(c, prefix+in.Fields[i].Name, &in.Fields[i], msg)
	}
}

func (r *Resolver) attribute(c *catalog.State, name string, f *NamedField, msg *Message) {
	id, t, ok := c.Attribute(name)
	why := TypeMismatch
	switch {
	case !ok:
		why = nameReason(name)
	case id < query.FirstAttribute:
		why = NameReserved
	case msg.set(id, t, f):
		return
	}
	r.drop(why, catalog.Name{Kind: query.AttributeName, Name: name}, f)
}

// set adds a field to m. It reports whether the field's column can hold the value.
func (m *Message) set(id uint32, t tree.Type, f *NamedField) bool {
	v, ok := Coerce(f.Value, t)
	if !ok {
		m.Mismatched++
		return false
	}
	m.Fields = append(m.Fields, Field{id, v})
	return true
}

// drop records a value that a message loses. An unknown name gets the type that its value suggests.
func (r *Resolver) drop(why DropReason, name catalog.Name, f *NamedField) {
	if f.Value.Missing() {
		return
	}
	name.Type = f.Value.Type
	if name.Type == tree.StringType && !f.Exact {
		if _, ok := parseTime(f.Value.Str); ok {
			name.Type = tree.TimeType
		}
	}
	r.dropped = append(r.dropped, Dropped{why, name})
	r.keep(f)
}

// keep puts a value into the message's context.
func (r *Resolver) keep(f *NamedField) {
	if !f.Value.Missing() {
		r.kept = append(r.kept, *f)
	}
}

// Coerce returns v as a value of type t; ok is false if that is not possible. Only strings are converted,
// to times.
func Coerce(v tree.Value, t tree.Type) (tree.Value, bool) {
	if v.Type == t {
		return v, t != tree.NoType
	}
	if t == tree.TimeType && v.Type == tree.StringType {
		if ms, ok := parseTime(v.Str); ok {
			return tree.Time(ms), true
		}
	}
	return tree.Value{}, false
}

// parseTime parses an RFC 3339 date-time, truncated to the millisecond, or a date YYYY-MM-DD, which
// means its first instant in UTC.
func parseTime(s string) (ms int64, ok bool) {
	if len(s) < 10 || len(s) > 40 || s[4] != '-' || s[7] != '-' || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	layout := time.RFC3339
	if len(s) == 10 {
		layout = time.DateOnly
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return 0, false
	}
	return t.UnixMilli(), true
}

// sortFields returns fields in order of id; of several with one id the last wins.
func sortFields(fields []Field) []Field {
	if ascending(fields) {
		return fields
	}
	return sortOwnFields(slices.Clone(fields))
}

// ascending reports whether fields are in order, each id once.
func ascending(fields []Field) bool {
	for i := 1; i < len(fields); i++ {
		if fields[i-1].ID >= fields[i].ID {
			return false
		}
	}
	return true
}

// sortOwnFields is sortFields in place, for fields that the caller owns.
func sortOwnFields(fields []Field) []Field {
	if ascending(fields) {
		return fields
	}
	slices.SortStableFunc(fields, func(a, b Field) int { return int(int64(a.ID) - int64(b.ID)) })
	kept := fields[:0]
	for i, f := range fields {
		if i+1 < len(fields) && fields[i+1].ID == f.ID {
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

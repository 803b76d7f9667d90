package cluster

import (
	"fmt"
	"slices"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/query/tree"
)

// recorder makes the history records of entries, in memory that it reuses for the next entry.
type recorder struct {
	records []disk.Record
	data    []byte
}

// make returns the records of an entry, one for each accepted message in order. They are valid until the
// next call. A record is a messages entry of one message, so the history needs no format of its own.
func (r *recorder) make(entry []byte, outcomes []engine.Outcome) ([]disk.Record, error) {
	r.records, r.data = r.records[:0], slices.Grow(r.data[:0], len(entry)+32*len(outcomes))
	n := 0
	err := engine.SplitMessages(entry, func(i int, id string, head, message []byte) {
		n++
		if i >= len(outcomes) || outcomes[i].Status != engine.Accepted {
			return
		}
		from := len(r.data)
		r.data = append(append(r.data, head...), message...)
		r.records = append(r.records, disk.Record{Key: historyKey(id), Data: r.data[from:len(r.data):len(r.data)]})
	})
	if err == nil && n != len(outcomes) {
		err = fmt.Errorf("make records: %d outcomes for %d messages", len(outcomes), n)
	}
	return r.records, err
}

// readRecord decodes a record and replaces its ids by names. Ids are never reused, so any catalog at
// least as new as the record has them.
func readRecord(data []byte, c *catalog.State) (engine.Incoming, error) {
	command, err := engine.DecodeCommand(data)
	if err != nil {
		return engine.Incoming{}, fmt.Errorf("read history record: %w", err)
	}
	if len(command.Messages) != 1 {
		return engine.Incoming{}, fmt.Errorf("read history record: it holds %d messages", len(command.Messages))
	}
	m := &command.Messages[0]
	in := engine.Incoming{
		Kind: m.Kind, MessageID: m.MessageID, Source: m.Source, Line: m.Line, UserID: m.UserID,
		AnonymousID: m.AnonymousID, PreviousID: m.PreviousID, Time: m.Time, ReceivedAt: m.ReceivedAt, Context: m.Context,
	}
	if m.Kind.HasEvent() {
		return in, nameProperties(c, m, &in)
	}
	return in, nameAttributes(c, m, &in)
}

func nameProperties(c *catalog.State, m *engine.Message, in *engine.Incoming) error {
	if m.Event == engine.NoEvent {
		in.Event = m.EventName
		return nil
	}
	event := c.EventByID(m.Event)
	if event == nil {
		return fmt.Errorf("read history record: event %d is not in catalog version %d", m.Event, c.Version())
	}
	in.Event = event.Name
	props := event.Properties()
	for _, f := range m.Fields {
		if int(f.ID) >= len(props) {
			return fmt.Errorf("read history record: property %d of %q is not in catalog version %d", f.ID, event.Name, c.Version())
		}
		in.Fields = append(in.Fields, engine.NamedField{Name: props[f.ID].Name, Value: f.Value, Exact: true})
	}
	return nil
}

func nameAttributes(c *catalog.State, m *engine.Message, in *engine.Incoming) error {
	for _, f := range m.Fields {
		attribute, ok := c.AttributeByID(f.ID)
		if !ok {
			return fmt.Errorf("read history record: attribute %d is not in catalog version %d", f.ID, c.Version())
		}
		name := attribute.Name
		if m.Kind == engine.Group {
			if name == engine.GroupIDAttribute && f.Value.Type == tree.StringType {
				in.GroupID = f.Value.Str
				continue
			}
			name = trimGroup(name)
		}
		in.Fields = append(in.Fields, engine.NamedField{Name: name, Value: f.Value, Exact: true})
	}
	return nil
}

// trimGroup removes the prefix of group traits.
func trimGroup(name string) string {
	if len(name) > len(engine.GroupPrefix) && name[:len(engine.GroupPrefix)] == engine.GroupPrefix {
		return name[len(engine.GroupPrefix):]
	}
	return name
}

package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/musterdb/muster/engine/wire"
	"github.com/musterdb/muster/query/tree"
)

// SplitMessages cuts a messages entry into its messages without decoding their values: what is to be
// kept of each has been encoded once already. It calls take with the place of each, the id that it
// literally names, and its bytes; head before these bytes is an entry of that message alone. All of
// them alias the entry, but head.
//
// REQUIRES: entry was applied, so that it is well formed; else it may be cut in the wrong places, but
// never beyond its end.
func SplitMessages(entry []byte, take func(i int, id string, head, message []byte)) error {
	r := wire.NewReader(entry)
	if r.Byte() != commandFormat || CommandKind(r.Byte()) != MessagesCommand {
		return fmt.Errorf("split entry: %w: it is none of messages", ErrCommand)
	}
	now := r.Varint()
	head := binary.AppendUvarint(appendHeader(make([]byte, 0, 32), MessagesCommand, now), r.Uvarint())
	head = binary.AppendUvarint(head, 1)
	n := r.Count(4)
	for i := 0; i < n && r.Err() == nil; i++ {
		from := len(entry) - r.Len()
		id := skipMessage(r)
		if r.Err() == nil {
			take(i, id, head, entry[from:len(entry)-r.Len()])
		}
	}
	if err := r.Done(); err != nil {
		return fmt.Errorf("split entry: %w: %w", ErrCommand, err)
	}
	return nil
}

// skipMessage reads what appendMessage writes and returns the id it names: the user's if it has one.
func skipMessage(r *wire.Reader) (id string) {
	kind, parts := r.Byte(), r.Byte()
	r.Varint()
	r.Varint()
	if kind&isRedirected != 0 {
		r.Bytes()
	}
	if parts&hasMessageID != 0 {
		r.Bytes()
	}
	if parts&hasSource != 0 {
		r.Bytes()
		r.Uvarint()
	}
	if parts&hasUserID != 0 {
		id = r.String()
	}
	if parts&hasAnonymousID != 0 {
		if anonymous := r.String(); id == "" {
			id = anonymous
		}
	}
	if parts&hasPreviousID != 0 {
		r.Bytes()
	}
	if Kind(kind &^ isRedirected).HasEvent() {
		r.Uvarint()
	}
	if parts&hasMismatched != 0 {
		r.Uvarint()
	}
	if parts&hasFields != 0 {
		for range r.Count(3) {
			r.Uvarint()
			r.SkipValue()
		}
	}
	if parts&hasContext != 0 {
		r.Bytes()
	}
	return id
}

// entrySize estimates the bytes of an entry of messages, rather more than fewer.
func entrySize(msgs []Message) int {
	n := 32
	for i := range msgs {
		m := &msgs[i]
		n += 32 + len(m.MessageID) + len(m.Source) + len(m.UserID) + len(m.AnonymousID) + len(m.PreviousID) + len(m.To) + len(m.Context)
		for k := range m.Fields {
			v := &m.Fields[k].Value
			n += 6 + len(v.Str)
			if v.Type != tree.StringType {
				n += 8 + 16*len(v.List)
			}
		}
	}
	return n
}

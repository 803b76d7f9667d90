package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
)

// SplitMessages splits a messages entry into its messages without decoding their values, so that they
// can be stored as they are encoded. It calls take with the index of each message, the id that it
// literally names, and its bytes; head followed by these bytes is an entry of that message alone. All
// of them alias the entry, except head, which is valid until take returns.
//
// REQUIRES: entry was applied, so that it is well formed. Otherwise it may be split in the wrong
// places, but never beyond its end.
func SplitMessages(entry []byte, take func(i int, id string, head, message []byte)) error {
	r := wire.NewReader(entry)
	if r.Byte() != commandFormat || CommandKind(r.Byte()) != MessagesCommand {
		return fmt.Errorf("split entry: %w: it is not a messages entry", ErrCommand)
	}
	now := r.Varint()
	head := binary.AppendUvarint(appendHeader(make([]byte, 0, 32), MessagesCommand, now), r.Uvarint())
	head = binary.AppendUvarint(head, 1)
	alone := len(head)
	n := r.Count(4)
	var source []byte // of the previous message, with its length prefix
	for i := 0; i < n && r.Err() == nil; i++ {
		from := len(entry) - r.Len()
		id, at, end := skipMessage(r)
		head = head[:alone]
		switch at, end = len(entry)-at, len(entry)-end; {
		case r.Err() != nil:
			continue
		case entry[from]&isSameSource != 0: // on its own the message needs its source
			head = append(append(head, entry[from:at]...), source...)
			head[alone] &^= isSameSource
			from = at
		default:
			source = entry[at:end]
		}
		take(i, id, head, entry[from:len(entry)-r.Len()])
	}
	if err := r.Done(); err != nil {
		return fmt.Errorf("split entry: %w: %w", ErrCommand, err)
	}
	return nil
}

// skipMessage reads what appendMessage writes and returns the id it names: the user's if it has one.
// The bytes of its source, or the place for it, begin where at bytes of the entry are left and end
// where end bytes are left.
func skipMessage(r *wire.Reader) (id string, at, end int) {
	kind, parts := r.Byte(), r.Byte()
	r.Varint()
	r.Varint()
	if kind&isRedirected != 0 {
		r.Bytes()
	}
	if parts&hasMessageID != 0 {
		r.Bytes()
	}
	at, end = r.Len(), r.Len()
	if parts&hasSource != 0 {
		if kind&isSameSource == 0 {
			r.Bytes()
			end = r.Len()
		}
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
	if Kind(kind&kindBits).HasEvent() && r.Uvarint() == NoEvent {
		r.Bytes()
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
	return id, at, end
}

// entrySize returns an estimate of the bytes of an entry of messages that is rather too high than too
// low.
func entrySize(msgs []Message) int {
	n := 32
	for i := range msgs {
		m := &msgs[i]
		n += 32 + len(m.MessageID) + len(m.Source) + len(m.UserID) + len(m.AnonymousID) + len(m.PreviousID) + len(m.To) + len(m.EventName) + len(m.Context)
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

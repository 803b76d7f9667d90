package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query/wire"
)

// CommandKind is a kind of log entry.
type CommandKind uint8

// The kinds.
const (
	MessagesCommand CommandKind = iota + 1
	TickCommand
	CatalogCommand
	ListCommand
	IdentityCommand
	RefreshCommand
)

// commandFormat is the format version, the first byte of every entry.
const commandFormat = 1

// MaxMessages is the largest number of messages of one entry.
const MaxMessages = 1 << 16

// ErrCommand is the cause of every error of decoding an entry.
var ErrCommand = errors.New("log entry cannot be decoded")

// Command is a decoded log entry. Strings and Context alias the entry.
type Command struct {
	Kind     CommandKind
	Now      int64
	Catalog  uint64           // MessagesCommand: the catalog version its ids need
	Messages []Message        // MessagesCommand
	Change   catalog.Change   // CatalogCommand
	List     ListUpdate       // ListCommand
	Identity identity.Command // IdentityCommand
	Refresh  Refresh          // RefreshCommand
}

// ListUpdate adds profile ids to a static list, then removes others.
type ListUpdate struct {
	List   uint32
	Add    []string
	Remove []string
}

// The bits that say which parts of a message are written.
const (
	hasMessageID = 1 << iota
	hasSource
	hasUserID
	hasAnonymousID
	hasPreviousID
	hasMismatched
	hasContext
	hasFields
)

// The bits of a message's kind byte. isRedirected: its To is written. isSameSource: its source is
// that of the message before it, and only the line is written. The lines of a file share a source
// that is longer than everything else in them.
const (
	isRedirected = 1 << 7
	isSameSource = 1 << 6
	kindBits     = isSameSource - 1
)

func appendHeader(b []byte, kind CommandKind, now int64) []byte {
	b = append(b, commandFormat, byte(kind))
	return binary.AppendVarint(b, now)
}

// EncodeMessages returns the entry that applies msgs, in order, at time now (Unix ms). catalogVersion
// is the catalog version whose ids the messages use. Fields that are out of order are sorted.
//
// REQUIRES: len(msgs) <= MaxMessages.
func EncodeMessages(catalogVersion uint64, now int64, msgs []Message) []byte {
	return EncodeParcels(catalogVersion, now, [][]Message{msgs})
}

// EncodeParcels is EncodeMessages for the messages of all parcels, in order.
func EncodeParcels(catalogVersion uint64, now int64, parcels [][]Message) []byte {
	n, size := 0, 0
	for _, msgs := range parcels {
		n += len(msgs)
		size += entrySize(msgs)
	}
	b := appendHeader(make([]byte, 0, size), MessagesCommand, now)
	b = binary.AppendUvarint(b, catalogVersion)
	b = binary.AppendUvarint(b, uint64(n))
	source := ""
	for _, msgs := range parcels {
		for i := range msgs {
			b = appendMessage(b, &msgs[i], now, source)
			source = msgs[i].Source
		}
	}
	return b
}

// appendMessage appends a message. before is the source of the message before it.
func appendMessage(b []byte, m *Message, now int64, before string) []byte {
	fields := sortFields(m.Fields)
	kind := byte(m.Kind)
	if m.To != "" {
		kind |= isRedirected
	}
	if m.Source != "" && m.Source == before {
		kind |= isSameSource
	}
	b = append(b, kind, messageParts(m))
	b = binary.AppendVarint(b, m.Time-now)
	b = binary.AppendVarint(b, m.ReceivedAt-now)
	if m.To != "" {
		b = wire.AppendString(b, m.To)
	}
	if m.MessageID != "" {
		b = wire.AppendString(b, m.MessageID)
	}
	if m.Source != "" {
		if kind&isSameSource == 0 {
			b = wire.AppendString(b, m.Source)
		}
		b = binary.AppendUvarint(b, m.Line)
	}
	if m.UserID != "" {
		b = wire.AppendString(b, m.UserID)
	}
	if m.AnonymousID != "" {
		b = wire.AppendString(b, m.AnonymousID)
	}
	if m.PreviousID != "" {
		b = wire.AppendString(b, m.PreviousID)
	}
	if m.Kind.HasEvent() {
		b = binary.AppendUvarint(b, uint64(m.Event))
		if m.Event == NoEvent {
			b = wire.AppendString(b, m.EventName)
		}
	}
	if m.Mismatched > 0 {
		b = binary.AppendUvarint(b, uint64(m.Mismatched))
	}
	if len(fields) > 0 {
		b = binary.AppendUvarint(b, uint64(len(fields)))
		for i := range fields {
			b = binary.AppendUvarint(b, uint64(fields[i].ID))
			b = wire.AppendValue(b, fields[i].Value)
		}
	}
	if len(m.Context) > 0 {
		b = wire.AppendBytes(b, m.Context)
	}
	return b
}

func messageParts(m *Message) (parts byte) {
	set := func(bit byte, on bool) {
		if on {
			parts |= bit
		}
	}
	set(hasMessageID, m.MessageID != "")
	set(hasSource, m.Source != "")
	set(hasUserID, m.UserID != "")
	set(hasAnonymousID, m.AnonymousID != "")
	set(hasPreviousID, m.PreviousID != "")
	set(hasMismatched, m.Mismatched > 0)
	set(hasContext, len(m.Context) > 0)
	set(hasFields, len(m.Fields) > 0)
	return parts
}

// EncodeTick returns the entry that moves time to now (Unix ms).
func EncodeTick(now int64) []byte { return appendHeader(nil, TickCommand, now) }

// EncodeCatalog returns the entry that applies a change of the catalog.
func EncodeCatalog(now int64, change catalog.Change) []byte {
	return change.Append(appendHeader(nil, CatalogCommand, now))
}

// EncodeListUpdate returns the entry that adds ids to a static list, then removes others.
func EncodeListUpdate(now int64, update ListUpdate) []byte {
	b := appendHeader(nil, ListCommand, now)
	b = binary.AppendUvarint(b, uint64(update.List))
	for _, ids := range [][]string{update.Add, update.Remove} {
		b = binary.AppendUvarint(b, uint64(len(ids)))
		for _, id := range ids {
			b = wire.AppendString(b, id)
		}
	}
	return b
}

// decoder decodes entries and reuses its memory: a Command and what it refers to are valid until the
// next call. The zero decoder is ready for use.
type decoder struct {
	messages []Message
	fields   []Field
}

// DecodeCommand decodes one entry. The result aliases entry.
func DecodeCommand(entry []byte) (Command, error) {
	var d decoder
	return d.decode(entry)
}

// decode decodes one entry. Hostile bytes give an error and use memory in proportion to their length.
func (d *decoder) decode(entry []byte) (Command, error) {
	r := wire.NewReader(entry)
	if r.Byte() != commandFormat {
		r.Fail("format")
	}
	c := Command{Kind: CommandKind(r.Byte()), Now: r.Varint()}
	switch c.Kind {
	case MessagesCommand:
		d.decodeMessages(r, &c)
	case TickCommand:
	case CatalogCommand:
		change, err := catalog.DecodeChange(r.Take(r.Len()))
		if err != nil {
			return Command{}, fmt.Errorf("%w: %w", ErrCommand, err)
		}
		c.Change = change
	case ListCommand:
		c.List.List = r.Uint32()
		c.List.Add = readStrings(r)
		c.List.Remove = readStrings(r)
	case IdentityCommand:
		step, err := identity.DecodeCommand(r.Take(r.Len()))
		if err != nil {
			return Command{}, fmt.Errorf("%w: %w", ErrCommand, err)
		}
		c.Identity = step
	case RefreshCommand:
		c.Refresh = readRefresh(r)
	default:
		r.Fail("kind")
	}
	if err := r.Done(); err != nil {
		return Command{}, fmt.Errorf("%w: %w", ErrCommand, err)
	}
	return c, nil
}

func (d *decoder) decodeMessages(r *wire.Reader, c *Command) {
	c.Catalog = r.Uvarint()
	n := r.Count(4)
	if n > MaxMessages {
		r.Fail("too many messages")
		return
	}
	d.messages, d.fields = d.messages[:0], d.fields[:0]
	source := ""
	for range n {
		if r.Err() != nil {
			return
		}
		d.messages = append(d.messages, d.decodeMessage(r, c.Now, source))
		source = d.messages[len(d.messages)-1].Source
	}
	c.Messages = d.messages
}

// decodeMessage decodes a message. before is the source of the message before it.
func (d *decoder) decodeMessage(r *wire.Reader, now int64, before string) Message {
	kind := r.Byte()
	m := Message{Kind: Kind(kind & kindBits)}
	parts := r.Byte()
	if m.Kind < Identify || m.Kind > Profile {
		r.Fail("kind of a message")
	}
	if kind&isSameSource != 0 && (before == "" || parts&hasSource == 0) {
		r.Fail("source of the message before")
	}
	m.Time = now + r.Varint()
	m.ReceivedAt = now + r.Varint()
	if kind&isRedirected != 0 {
		m.To = r.String()
	}
	if parts&hasMessageID != 0 {
		m.MessageID = r.String()
	}
	if parts&hasSource != 0 {
		if m.Source = before; kind&isSameSource == 0 {
			m.Source = r.String()
		}
		m.Line = r.Uvarint()
	}
	if parts&hasUserID != 0 {
		m.UserID = r.String()
	}
	if parts&hasAnonymousID != 0 {
		m.AnonymousID = r.String()
	}
	if parts&hasPreviousID != 0 {
		m.PreviousID = r.String()
	}
	if m.Kind.HasEvent() {
		if m.Event = r.Uint32(); m.Event == NoEvent {
			m.EventName = r.String()
		}
	}
	if parts&hasMismatched != 0 {
		m.Mismatched = uint16(min(r.Uvarint(), 1<<16-1))
	}
	if parts&hasFields != 0 {
		d.decodeFields(r, &m)
	}
	if parts&hasContext != 0 {
		m.Context = r.Bytes()
	}
	return m
}

func (d *decoder) decodeFields(r *wire.Reader, m *Message) {
	from := len(d.fields)
	for range r.Count(3) {
		f := Field{ID: r.Uint32(), Value: r.Value()}
		if len(d.fields) > from && d.fields[len(d.fields)-1].ID >= f.ID {
			r.Fail("order of fields")
		}
		if r.Err() != nil {
			return
		}
		d.fields = append(d.fields, f)
	}
	m.Fields = d.fields[from:len(d.fields):len(d.fields)]
}

func readStrings(r *wire.Reader) []string {
	list := make([]string, 0, min(r.Len(), 1<<10))
	for range r.Count(1) {
		list = append(list, r.String())
	}
	return list
}

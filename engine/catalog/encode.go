package catalog

import (
	"encoding/binary"
	"fmt"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/query/wire"
)

// The format versions at the beginning of an encoded Change and State. In states of format 1, kept sets are
// distinguished from lists by their names.
const (
	changeFormat   = 1
	stateFormat    = 2
	oldStateFormat = 1
)

// Encode returns the binary form of c.
func (c Change) Encode() []byte { return c.Append(nil) }

// Append appends the binary form of c to b.
func (c Change) Append(b []byte) []byte {
	b = append(b, changeFormat, byte(c.Kind))
	b = binary.AppendUvarint(b, c.Version)
	switch c.Kind {
	case DefineNames:
		b = binary.AppendUvarint(b, uint64(len(c.Names)))
		for _, name := range c.Names {
			b = append(b, byte(name.Kind), byte(name.Type))
			b = wire.AppendString(b, name.Event)
			b = wire.AppendString(b, name.Name)
		}
	case PutSegment:
		b = appendSegment(b, &c.Segment)
	case SetZone:
		b = wire.AppendString(b, c.Zone)
	default:
		b = wire.AppendString(b, c.Name)
	}
	return b
}

// DecodeChange decodes the result of Encode. The result does not alias data.
func DecodeChange(data []byte) (Change, error) {
	r := wire.NewReader(append([]byte(nil), data...))
	if r.Byte() != changeFormat {
		r.Fail("format of the change")
	}
	c := Change{Kind: ChangeKind(r.Byte()), Version: r.Uvarint()}
	switch c.Kind {
	case DefineNames:
		c.Names = make([]Name, r.Count(4))
		for i := range c.Names {
			c.Names[i] = Name{Kind: query.NameKind(r.Byte()), Type: tree.Type(r.Byte()), Event: r.String(), Name: r.String()}
		}
	case PutSegment:
		c.Segment = readSegment(r)
	case SetZone:
		c.Zone = r.String()
	case DropSegment, PutList, DropList, KeepSet:
		c.Name = r.String()
	default:
		r.Fail("kind of the change")
	}
	if err := r.Done(); err != nil {
		return Change{}, fmt.Errorf("decode catalog change: %w", err)
	}
	return c, nil
}

func appendSegment(b []byte, s *Segment) []byte {
	for _, text := range []string{s.Name, s.Described, s.Text, s.Canonical, s.Zone} {
		b = wire.AppendString(b, text)
	}
	b = binary.AppendVarint(b, s.Refresh.N)
	b = append(b, byte(s.Refresh.Unit))
	return binary.AppendUvarint(b, s.Version)
}

func readSegment(r *wire.Reader) Segment {
	s := Segment{Name: r.String(), Described: r.String(), Text: r.String(), Canonical: r.String(), Zone: r.String()}
	s.Refresh = tree.Duration{N: r.Varint(), Unit: tree.Unit(r.Byte())}
	if s.Refresh.Unit > tree.Year || s.Refresh.N < 0 {
		r.Fail("refresh of a segment")
	}
	s.Version = r.Uvarint()
	return s
}

// Encode returns the binary form of the whole state, for snapshots. Equal states have equal forms.
func (s *State) Encode() []byte {
	b := []byte{stateFormat}
	b = binary.AppendUvarint(b, s.version)
	b = wire.AppendString(b, s.zone)
	b = binary.AppendUvarint(b, uint64(s.attributes.n))
	for i := range s.attributes.n {
		a := s.attributes.at(uint32(i))
		b = append(b, byte(a.Type))
		b = wire.AppendString(b, a.Name)
	}
	b = binary.AppendUvarint(b, uint64(s.events.n))
	for i := range s.events.n {
		e := s.events.at(uint32(i))
		b = wire.AppendString(b, e.Name)
		b = binary.AppendUvarint(b, uint64(len(e.props)))
		for _, p := range e.props {
			b = append(b, byte(p.Type))
			b = wire.AppendString(b, p.Name)
		}
	}
	b = binary.AppendUvarint(b, uint64(s.segments.n))
	for _, segment := range s.Segments() {
		b = appendSegment(b, segment)
	}
	b = binary.AppendUvarint(b, uint64(s.nextList))
	b = binary.AppendUvarint(b, uint64(len(s.lists)))
	for _, l := range s.AllLists() {
		kept := byte(0)
		if l.Kept {
			kept = 1
		}
		b = binary.AppendUvarint(b, uint64(l.ID))
		b = append(wire.AppendString(b, l.Name), kept)
	}
	return b
}

// Decode decodes the result of Encode and checks every limit. The result does not alias data.
func Decode(data []byte, parse Parse) (*State, error) {
	r := wire.NewReader(append([]byte(nil), data...))
	s := New(parse)
	format := r.Byte()
	if format != stateFormat && format != oldStateFormat {
		r.Fail("format of the state")
	}
	s.version, s.zone = r.Uvarint(), r.String()
	names := readNames(r)
	if r.Err() == nil {
		if err := s.defineNames(s, names); err != nil {
			return nil, fmt.Errorf("decode catalog: %w", err)
		}
		if s.attributes.n+s.events.n+countProperties(s) != len(names) {
			r.Fail("a name is defined twice")
		}
	}
	segments := map[string]*Segment{}
	for range r.Count(8) {
		segment := readSegment(r)
		if r.Err() != nil {
			break
		}
		if parse == nil {
			return nil, fmt.Errorf("decode catalog: segment %q: %w", segment.Name, ErrPredicate)
		}
		if err := segment.resolve(parse); err != nil {
			return nil, fmt.Errorf("decode catalog: %w", err)
		}
		segments[segment.Name] = &segment
	}
	s.segments = directory{base: segments, n: len(segments)}
	s.nextList = r.Uint32()
	for range r.Count(2) {
		l := List{ID: r.Uint32(), Name: r.String()}
		if l.Kept = isKept(l.Name); format != oldStateFormat {
			l.Kept = r.Byte() != 0
		}
		if l.ID >= s.nextList {
			r.Fail("id of a list")
			break
		}
		s.lists[l.Name] = l
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("decode catalog: %w", err)
	}
	return s, nil
}

func readNames(r *wire.Reader) []Name {
	names := make([]Name, 0, r.Len()/8)
	for range r.Count(2) {
		names = append(names, Name{Kind: query.AttributeName, Type: tree.Type(r.Byte()), Name: r.String()})
	}
	for range r.Count(2) {
		event := r.String()
		names = append(names, Name{Kind: query.EventName, Name: event})
		for range r.Count(2) {
			names = append(names, Name{Kind: query.PropertyName, Event: event, Type: tree.Type(r.Byte()), Name: r.String()})
		}
	}
	return names
}

func countProperties(s *State) int {
	n := 0
	for i := range s.events.n {
		n += len(s.events.at(uint32(i)).props)
	}
	return n
}

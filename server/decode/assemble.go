package decode

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/tree"
)

// The names of the events that page and screen calls become.
const (
	PageEvent   = "Page Viewed"
	ScreenEvent = "Screen Viewed"
)

// KindOf returns the kind that a message's type names; ok is false for any other word.
func KindOf(word string) (k engine.Kind, ok bool) {
	for k := engine.Identify; k <= engine.Profile; k++ {
		if k.String() == word {
			return k, true
		}
	}
	return 0, false
}

// assemble builds the message from the members that have been read.
func (d *Decoder) assemble() (m engine.Incoming, err error) {
	p := &d.seen
	if m.Kind, err = d.kind(); err != nil {
		return m, err
	}
	m.UserID, m.AnonymousID, m.ReceivedAt = p.user, p.anon, d.env.ReceivedAt
	if m.Time, err = d.when(); err != nil {
		return m, err
	}
	if err := d.identity(&m); err != nil {
		return m, err
	}
	if err := d.body(&m); err != nil {
		return m, err
	}
	m.Context = d.remainder()
	return m, nil
}

func (d *Decoder) kind() (engine.Kind, error) {
	if d.env.Kind != 0 {
		return d.env.Kind, nil
	}
	if d.seen.kind == "" {
		return 0, refuse(codes.NoType, "the message has no type")
	}
	k, ok := KindOf(d.seen.kind)
	if !ok || k == engine.Profile && !d.env.Import {
		return 0, refuse(codes.BadType, "%q is not a type: identify, track, page, screen, group or alias", d.seen.kind)
	}
	return k, nil
}

// identity checks that the message names a profile, and sets what makes it a duplicate: its messageId, or
// the source and line of an import.
func (d *Decoder) identity(m *engine.Incoming) error {
	p := &d.seen
	switch {
	case m.Kind == engine.Alias:
		if p.prev == "" || p.user == "" {
			return refuse(codes.NoID, "alias needs previousId and userId")
		}
		m.PreviousID = p.prev
	case m.Kind == engine.Profile && p.user == "":
		return refuse(codes.NoID, "a profile row needs userId")
	case p.user == "" && p.anon == "":
		return refuse(codes.NoID, "the message has neither userId nor anonymousId")
	}
	if d.env.Source != "" {
		if !p.hasLine {
			return refuse(codes.BadLine, "a line of an import needs its number in _line")
		}
		m.Source, m.Line = d.env.Source, p.line
		return nil
	}
	if m.MessageID = p.message; m.MessageID == "" {
		m.MessageID = d.env.NewID()
	}
	return nil
}

// body sets the event and the fields of m, and keeps the members that are neither in the rest.
func (d *Decoder) body(m *engine.Incoming) error {
	p, used := &d.seen, &d.traits
	switch m.Kind {
	case engine.Track:
		if p.event == "" {
			return refuse(codes.NoEvent, "track needs an event")
		}
		m.Event, used = d.intern(p.event), &d.properties
	case engine.Page, engine.Screen:
		m.Event, used = PageEvent, &d.properties
		if m.Kind == engine.Screen {
			m.Event = ScreenEvent
		}
		for _, label := range [2]engine.NamedField{{Name: "name", Value: tree.Str(p.name)}, {Name: "category", Value: tree.Str(p.category)}} {
			if label.Value.Str != "" && used.find(label.Name) < 0 {
				used.put(label)
			}
		}
	case engine.Group:
		if p.group == "" {
			return refuse(codes.NoID, "group needs groupId")
		}
		m.GroupID = p.group
	case engine.Identify:
		if err := d.inherit(); err != nil {
			return err
		}
	}
	m.Fields = d.own(used.fields)
	name, other, raw := "traits", "properties", p.properties
	if used == &d.properties {
		name, other, raw = other, name, p.traitsRaw
	}
	d.keep(other, raw)
	if len(used.rest) > 0 {
		p.rest = append(p.rest, `,"`+name+`":{`...)
		p.rest = append(append(p.rest, used.rest[1:]...), '}')
	} else if whole := d.unread(name); whole != "" {
		d.keep(name, whole)
	}
	if m.Kind != engine.Page && m.Kind != engine.Screen {
		d.keepString("name", p.name)
		d.keepString("category", p.category)
	}
	if m.Kind != engine.Group {
		d.keepString("groupId", p.group)
	}
	if m.Kind != engine.Track {
		d.keepString("event", p.event)
	}
	return nil
}

// unread returns the raw text of traits or properties that are not an object, "" if they are one.
func (d *Decoder) unread(name string) string {
	raw := d.seen.traitsRaw
	if name == "properties" {
		raw = d.seen.properties
	}
	if strings.HasPrefix(raw, "{") {
		return ""
	}
	return raw
}

func (d *Decoder) keepString(name, s string) {
	if s != "" {
		quoted, _ := jsontext.AppendQuote(nil, s) // s came from valid JSON
		d.keep(name, string(quoted))
	}
}

// maxSlab is the largest number of fields in one slab. A slab of remainders has up to 32 bytes for each.
const maxSlab = 8 << 10

// grown returns the capacity of the slab that follows one of capacity had: twice that, between least and
// most, and no less than need. So a reused decoder ends up with one slab that holds all messages of a
// body.
func grown(had, least, most, need int) int { return max(least, min(2*had, most), need) }

// own returns a copy of fields, cut from a slab that many messages share. The copy is valid until Reuse.
func (d *Decoder) own(fields []engine.NamedField) []engine.NamedField {
	if len(fields) == 0 {
		return nil
	}
	if len(d.slab)+len(fields) > cap(d.slab) {
		d.slab = make([]engine.NamedField, 0, grown(cap(d.slab), 512, maxSlab, len(fields)))
	}
	start := len(d.slab)
	d.slab = append(d.slab, fields...)
	return slices.Clip(d.slab[start:])
}

// inherit adds those context.traits of an identify call that its own traits do not set.
func (d *Decoder) inherit() error {
	if !strings.Contains(d.seen.context, `"traits"`) {
		return nil
	}
	d.inherited.reset()
	text := d.seen.context
	d.open([]byte(text))
	if d.json.peek() != '{' {
		return nil
	}
	err := d.object(func(name string) error {
		if name == "traits" {
			_, err := d.fields(&d.inherited)
			return err
		}
		_, err := d.raw()
		return err
	})
	for _, f := range d.inherited.fields {
		if len(d.traits.fields) < d.limits.Fields && d.traits.find(f.Name) < 0 {
			d.traits.put(f)
		}
	}
	return err
}

// remainder returns the members without a place of their own in the message as one compact object, or nil
// if there are none.
func (d *Decoder) remainder() []byte {
	p := &d.seen
	d.keep("context", mergeContext(p.context, d.env.Context))
	if len(p.rest) == 0 {
		return nil
	}
	p.rest[0] = '{'
	p.rest = append(p.rest, '}')
	if bytes.IndexByte(p.rest, '\n') >= 0 || bytes.Contains(p.rest, []byte(`": `)) {
		_ = (*jsontext.Value)(&p.rest).Compact(jsontext.AllowDuplicateNames(true)) // made of valid members
	}
	if len(d.restSlab)+len(p.rest) > cap(d.restSlab) {
		d.restSlab = make([]byte, 0, grown(cap(d.restSlab), 16<<10, 32*maxSlab, len(p.rest)))
	}
	start := len(d.restSlab)
	d.restSlab = append(d.restSlab, p.rest...)
	return slices.Clip(d.restSlab[start:])
}

// mergeContext returns the message's own context plus those members of the request's context that it
// lacks.
func mergeContext(own string, shared []byte) string {
	if len(shared) == 0 || !strings.HasPrefix(own, "{") && own != "" && own != "null" {
		return own
	}
	if own == "" || own == "null" || own == "{}" {
		return string(shared)
	}
	has := make(map[string]bool)
	eachMember([]byte(own), func(name string, _ []byte) { has[name] = true })
	if len(has) == 0 {
		return string(shared)
	}
	merged := []byte(own[:len(own)-1])
	eachMember(shared, func(name string, value []byte) {
		if !has[name] {
			merged = appendMember(merged, name, string(value))
		}
	})
	return string(append(merged, '}'))
}

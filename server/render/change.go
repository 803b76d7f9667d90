package render

import (
	"fmt"
	"strconv"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/tree"
)

// Change is one profile that entered or left a segment, as subscribers see it.
type Change struct {
	ID       string // stable: shard, seq and n
	Segment  string
	Profile  string // canonical id
	Enter    bool
	At       int64 // Unix ms
	Cause    string
	Version  uint64
	Cursor   string
	Person   *node.Person // as of now; nil if it was not requested or the profile is gone
	Snapshot bool         // the profile was already a member
}

// ChangeID returns the id of a change. It is the same on every replica and after every resend.
func ChangeID(shard int, seq uint64, n int) string {
	b := strconv.AppendInt(nil, int64(shard), 10)
	b = strconv.AppendUint(append(b, '-'), seq, 10)
	return string(strconv.AppendInt(append(b, '-'), int64(n), 10))
}

// ChangeFormat is a format for changes.
type ChangeFormat string

// The formats.
const (
	Native          ChangeFormat = "native"
	SegmentTrack    ChangeFormat = "segment-track"
	SegmentIdentify ChangeFormat = "segment-identify"
	CohortBatch     ChangeFormat = "cohort-batch"
	CloudEvent      ChangeFormat = "cloudevent"
)

// ParseChangeFormat parses the name of a format; "" is native.
func ParseChangeFormat(name string) (ChangeFormat, error) {
	switch f := ChangeFormat(name); f {
	case "":
		return Native, nil
	case Native, SegmentTrack, SegmentIdentify, CohortBatch, CloudEvent:
		return f, nil
	}
	return "", fmt.Errorf("the format %.40q is unknown: use native, segment-track, segment-identify, cohort-batch or cloudevent", name)
}

// NeedsPerson reports whether a format needs more ids than the canonical one.
func (f ChangeFormat) NeedsPerson() bool { return f != Native && f != CloudEvent }

// AppendRecord appends the members of a native record, without braces.
func AppendRecord(b []byte, c *Change) []byte {
	b = append(b, `"segment":`...)
	b = tree.AppendQuoted(b, c.Segment)
	b = append(b, `,"profile":`...)
	b = tree.AppendQuoted(b, c.Profile)
	b = append(b, `,"at":"`...)
	b = tree.AppendTime(b, c.At)
	b = append(b, `","cause":"`...)
	b = append(b, c.Cause...)
	b = append(b, '"')
	if c.Person != nil && c.Person.Fields != nil {
		b = append(b, `,"fields":`...)
		b = AppendFields(b, c.Person.Fields)
	}
	b = append(b, `,"cursor":"`...)
	b = append(b, c.Cursor...)
	return append(b, '"')
}

// AppendFields appends fields as an object.
func AppendFields(b []byte, fields []engine.NamedField) []byte {
	b = append(b, '{')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(tree.AppendQuoted(b, f.Name), ':')
		b = tree.AppendJSON(b, f.Value)
	}
	return append(b, '}')
}

// AppendString appends s as a JSON string; invalid UTF-8 becomes the replacement character.
func AppendString(b []byte, s string) []byte { return tree.AppendQuoted(b, s) }

// op returns "enter" or "exit".
func (c *Change) op() string {
	if c.Enter {
		return "enter"
	}
	return "exit"
}

// AppendPayload appends one change in a format other than cohort-batch.
func AppendPayload(b []byte, format ChangeFormat, c *Change) []byte {
	switch format {
	case SegmentTrack:
		event := "Audience Exited"
		if c.Enter {
			event = "Audience Entered"
		}
		b = appendSegment(append(b, `{"type":"track","event":"`+event+`"`...), c)
		b = append(b, `,"properties":`...)
		return append(c.appendTraits(b, true), '}')
	case SegmentIdentify:
		b = appendSegment(append(b, `{"type":"identify"`...), c)
		b = append(b, `,"traits":`...)
		return append(c.appendTraits(b, false), '}')
	case CloudEvent:
		b = append(b, `{"specversion":"1.0","id":"`+c.ID+`","source":"/muster/segments","type":"muster.segment.`...)
		b = append(b, c.op()...)
		b = append(b, `","subject":`...)
		b = tree.AppendQuoted(b, c.Profile)
		b = append(b, `,"time":"`...)
		b = tree.AppendTime(b, c.At)
		b = append(b, `","datacontenttype":"application/json","data":{`...)
		return append(AppendRecord(b, c), '}', '}')
	}
	b = append(b, `{"op":"`+c.op()+`",`...)
	return append(AppendRecord(b, c), '}')
}

// appendSegment appends the members that both of Segment's messages have.
func appendSegment(b []byte, c *Change) []byte {
	b = append(b, `,"messageId":`...)
	b = tree.AppendQuoted(b, "muster-"+c.ID)
	switch {
	case c.Person != nil && c.Person.UserID == "" && len(c.Person.AnonymousIDs) > 0:
		b = append(b, `,"anonymousId":`...)
		b = tree.AppendQuoted(b, c.Person.AnonymousIDs[0])
	default:
		b = append(b, `,"userId":`...)
		b = tree.AppendQuoted(b, c.Profile)
		if c.Person != nil && len(c.Person.AnonymousIDs) > 0 {
			b = append(b, `,"anonymousId":`...)
			b = tree.AppendQuoted(b, c.Person.AnonymousIDs[0])
		}
	}
	b = append(b, `,"timestamp":"`...)
	b = tree.AppendTime(b, c.At)
	b = append(b, `","context":{"personas":{"computation_class":"audience","computation_id":`...)
	b = tree.AppendQuoted(b, c.Segment)
	b = append(b, `,"computation_key":`...)
	b = tree.AppendQuoted(b, key(c.Segment))
	b = append(b, `}`...)
	if c.Person != nil {
		b = append(b, `,"externalIds":[`...)
		first := true
		add := func(kind, id string) {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, `{"type":"`+kind+`","id":`...)
			b = append(tree.AppendQuoted(b, id), '}')
		}
		if c.Person.UserID != "" {
			add("user_id", c.Person.UserID)
		}
		for _, id := range c.Person.AnonymousIDs {
			add("anonymous_id", id)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendTraits appends an object with the membership, under the segment's key, and the fields.
func (c *Change) appendTraits(b []byte, audience bool) []byte {
	b = append(b, '{')
	if audience {
		b = append(b, `"audience_key":`...)
		b = append(tree.AppendQuoted(b, key(c.Segment)), ',')
	}
	b = append(tree.AppendQuoted(b, key(c.Segment)), ':')
	b = strconv.AppendBool(b, c.Enter)
	if c.Person != nil {
		for _, f := range c.Person.Fields {
			b = append(tree.AppendQuoted(append(b, ','), f.Name), ':')
			b = tree.AppendJSON(b, f.Value)
		}
	}
	return append(b, '}')
}

// key turns the name of a segment into one that can be a trait: ASCII letters in lower case, and
// underscores.
func key(segment string) string {
	b := make([]byte, 0, len(segment))
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c >= 0x80:
		default:
			if len(b) > 0 && b[len(b)-1] == '_' {
				continue
			}
			c = '_'
		}
		b = append(b, c)
	}
	return string(b)
}

// AppendCohort appends changes of one segment as lists of profiles to add and to remove. If a profile
// changed more than once, only its last change counts.
func AppendCohort(b []byte, segment string, changes []*Change) []byte {
	last := make(map[string]*Change, len(changes))
	for _, c := range changes {
		last[c.Profile] = c
	}
	b = append(b, `{"name":`...)
	b = tree.AppendQuoted(b, segment)
	b = append(b, `,"cohort_id":`...)
	b = tree.AppendQuoted(b, key(segment))
	b = append(b, `,"cohort_changes":[`...)
	sides := 0
	for _, enter := range []bool{true, false} {
		first := true
		for _, c := range changes {
			if last[c.Profile] != c || c.Enter != enter {
				continue
			}
			switch {
			case first && sides > 0:
				b = append(b, `,{"user_ids":[`...)
			case first:
				b = append(b, `{"user_ids":[`...)
			default:
				b = append(b, ',')
			}
			first = false
			b = tree.AppendQuoted(b, c.Profile)
		}
		if !first {
			sides++
			b = append(b, `],"device_ids":[],"aliases":[],"should_remove":`...)
			b = append(strconv.AppendBool(b, !enter), '}')
		}
	}
	return append(b, ']', '}')
}

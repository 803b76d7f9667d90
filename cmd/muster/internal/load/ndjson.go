package load

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// jsonInput encodes the lines of an NDJSON file.
type jsonInput struct {
	*window
	plan           *Plan
	message        message
	path, sentPath []byte // dotted paths of the value being read: as in the file, and as sent
	columns        map[string]*jsonColumn
	order          []*jsonColumn
	fatal          error
}

// jsonColumn is one dotted name in the file's objects. firstKind is the JSON type of its first value, and
// mismatched counts the values of other types.
type jsonColumn struct {
	path       string
	key        []byte
	kind       Kind // from the plan
	firstKind  Kind
	seen       int
	mismatched int64
	example    string
}

// maxColumns is how many columns are remembered and reported. Values of further columns are sent as well.
const maxColumns = 1 << 16

func newNDJSON(r io.Reader, plan *Plan) *jsonInput {
	return &jsonInput{window: newWindow(r), plan: plan, columns: map[string]*jsonColumn{}}
}

// read appends the next line to the batch, unless it is blank.
func (in *jsonInput) read(b *Batch) error {
	line, number, err := in.nextLine()
	if err == errTooLong {
		b.reject(number, line, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	if number == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	text := bytes.TrimSpace(line)
	if len(text) == 0 {
		return nil
	}
	fault := ""
	switch {
	case !isUTF8(text):
		fault = "not valid UTF-8"
	case text[0] == '[' && number == 1:
		return fmt.Errorf("the file is one JSON array; write one object per line (jq -c '.[]' converts it)")
	case text[0] != '{':
		fault = "not a JSON object"
	case in.plan.Mode == Messages:
		fault = in.passThrough(b, text, number)
	default:
		if fault = in.encode(text); fault == "" {
			b.Body = in.message.appendTo(b.Body, in.plan, number)
		}
	}
	if in.fatal != nil {
		return in.fatal
	}
	if fault != "" {
		b.reject(number, line, fault)
		return nil
	}
	b.accept(number, line)
	return nil
}

// passThrough appends a message to the batch as it is, with its line number. It returns what is wrong
// with the message, or "".
func (in *jsonInput) passThrough(b *Batch, text []byte, number uint64) string {
	end, err := skipValue(text, 0, maxDepth)
	if err == nil && end != len(text) {
		err = errJSON
	}
	if err != nil {
		return err.Error()
	}
	body := text[:len(text)-1]
	b.Body = append(b.Body, body...)
	if len(bytes.TrimSpace(body)) > 1 {
		b.Body = append(b.Body, ',')
	}
	b.Body = append(b.Body, `"_line":`...)
	b.Body = append(strconv.AppendUint(b.Body, number, 10), '}')
	return ""
}

// encode fills the message from an object. It returns what is wrong with the object, or "".
func (in *jsonInput) encode(text []byte) string {
	in.message.reset()
	in.path, in.sentPath = in.path[:0], in.sentPath[:0]
	end, fault := in.object(text, 0, in.plan.Keep == nil, maxDepth)
	if fault == "" && skipSpace(text, end) != len(text) {
		fault = errJSON.Error()
	}
	if fault != "" {
		return fault
	}
	return in.message.fault(in.plan)
}

// object reads the object at i, whose path is the current one. It returns the object's end, and what is
// wrong with it, or "".
func (in *jsonInput) object(b []byte, i int, kept bool, depth int) (int, string) {
	if depth == 0 {
		return i, errTooDeep.Error()
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, ""
	}
	pathLen, sentLen := len(in.path), len(in.sentPath)
	for {
		value, err := skipKey(b, i)
		if err != nil {
			return i, err.Error()
		}
		keyEnd, _ := skipString(b, i)
		in.descend(stringText(b[i:keyEnd]))
		var fault string
		if i, fault = in.value(b, value, kept, depth); fault != "" {
			return i, fault
		}
		in.path, in.sentPath = in.path[:pathLen], in.sentPath[:sentLen]
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != '}' && b[i] != ',' {
			return i, errJSON.Error()
		}
		if b[i] == '}' {
			return i + 1, ""
		}
		i = skipSpace(b, i+1)
	}
}

// descend appends a name to the current path.
func (in *jsonInput) descend(name []byte) {
	if len(in.path) > 0 {
		in.path, in.sentPath = append(in.path, '.'), append(in.sentPath, '.')
	}
	in.path, in.sentPath = append(in.path, name...), append(in.sentPath, name...)
	if to, ok := in.plan.Rename[string(in.path)]; ok {
		in.sentPath = append(in.sentPath[:0], to...)
	}
}

// value reads the value at i, whose path is the current one. It returns like object.
func (in *jsonInput) value(b []byte, i int, kept bool, depth int) (int, string) {
	kept = kept || slices.Contains(in.plan.Keep, string(in.path))
	if i < len(b) && b[i] == '{' {
		return in.object(b, i, kept, depth-1)
	}
	end, err := skipValue(b, i, depth-1)
	if err != nil {
		return end, err.Error()
	}
	return end, in.leaf(b[i:end], kept)
}

// leaf stores a value that is no object as id, event, time or field of the message. It returns what is
// wrong with the value, or "".
func (in *jsonInput) leaf(literal []byte, kept bool) string {
	if literal[0] == 'n' {
		return ""
	}
	m, p := &in.message, in.plan
	text := literal
	if literal[0] == '"' {
		text = stringText(literal)
	}
	switch {
	case string(in.path) == p.ID:
		if literal[0] == '[' || literal[0] == 't' || literal[0] == 'f' {
			return fmt.Sprintf("no id: %s is %.60s", p.ID, literal)
		}
		m.id = append(m.id[:0], text...)
	case p.Event != "" && string(in.path) == p.Event:
		if literal[0] != '"' {
			return fmt.Sprintf("no event: %s is %.60s", p.Event, literal)
		}
		m.event = append(m.event[:0], text...)
	case p.Time != "" && string(in.path) == p.Time:
		if len(text) == 0 {
			break
		}
		if m.time, m.hasTime = ParseTime(text); !m.hasTime {
			return badTime(p.Time, text)
		}
	case kept:
		in.field(literal, text)
	}
	return ""
}

// field adds a property or an attribute to the message.
func (in *jsonInput) field(literal, text []byte) {
	c := in.columns[string(in.path)]
	if c == nil {
		c = in.newColumn(literal, text)
	}
	c.seen++
	if c.kind == Untyped {
		in.message.fields = append(append(in.message.fields, c.key...), literal...)
		if literalKind(literal) != c.firstKind {
			c.mismatched++
		}
		return
	}
	if in.message.addText(c.key, text, c.kind) {
		c.mismatched++
	}
}

func (in *jsonInput) newColumn(literal, text []byte) *jsonColumn {
	path, name := string(in.path), string(in.sentPath)
	c := &jsonColumn{path: path, key: appendKey(nil, name), kind: in.plan.Types[path], firstKind: literalKind(literal)}
	c.example = string(text[:min(len(text), 40)])
	if in.plan.Mode == Profiles && slices.Contains(reservedAttributes, name) {
		in.fatal = reservedNameError(path, name)
	}
	if len(in.columns) < maxColumns {
		in.columns[path] = c
		in.order = append(in.order, c)
	}
	return c
}

// literalKind returns the JSON type of a literal as a Kind. Lists are Untyped.
func literalKind(literal []byte) Kind {
	switch literal[0] {
	case '"':
		return String
	case 't', 'f':
		return Bool
	case '[':
		return Untyped
	}
	return Number
}

func (in *jsonInput) schema() []ColumnReport {
	var out []ColumnReport
	for _, special := range []struct{ column, role string }{{in.plan.ID, "id"}, {in.plan.Event, "event"}, {in.plan.Time, "time"}} {
		if special.column != "" {
			out = append(out, ColumnReport{Column: special.column, Role: special.role, Name: special.column})
		}
	}
	for _, c := range in.order {
		kind := c.kind
		if kind == Untyped {
			kind = c.firstKind
		}
		out = append(out, ColumnReport{Column: c.path, Name: in.plan.target(c.path), Kind: kind,
			Example: c.example, Seen: c.seen, Mismatched: c.mismatched})
	}
	return out
}

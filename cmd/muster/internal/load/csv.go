package load

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// inferLines is the number of lines from which the types of CSV columns are inferred.
const inferLines = 10_000

// column says how one CSV column is sent.
type column struct {
	name       string
	role       role
	kind       Kind
	key        []byte // ,"name":
	mismatched int64  // values that are not of the kind
	types      typeGuess
}

type role uint8

const (
	fieldRole role = iota
	idRole
	eventRole
	timeRole
	omittedRole
)

var roleNames = [...]string{"", "id", "event", "time", "left out"}

// csvInput encodes the records of a CSV file.
type csvInput struct {
	records
	plan    *Plan
	columns []column
	message message
}

// newCSV reads the header and the first lines of a stream, infers the types of the columns, and returns
// an input that begins with the first record after the header.
func newCSV(r io.Reader, plan *Plan, comma byte) (*csvInput, error) {
	if plan.Mode == Messages {
		return nil, fmt.Errorf("a CSV file needs --events or --profiles")
	}
	var head bytes.Buffer
	sample := records{window: newWindow(io.TeeReader(r, &head)), comma: comma}
	header, err := sample.next()
	if err == io.EOF {
		return nil, fmt.Errorf("the file is empty; CSV begins with a line of column names")
	}
	if err == nil && header.fault != "" {
		err = fmt.Errorf("line 1: %s", header.fault)
	}
	if err != nil {
		return nil, err
	}
	in := &csvInput{plan: plan}
	if err := in.setHeader(header.fields); err != nil {
		return nil, err
	}
	for range inferLines {
		line, err := sample.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if line.fault != "" || len(line.fields) != len(in.columns) {
			continue
		}
		for i, text := range line.fields {
			in.columns[i].types.add(text)
		}
	}
	for i := range in.columns {
		in.columns[i].setKind(plan)
	}
	in.records = records{window: newWindow(io.MultiReader(&head, r)), comma: comma}
	_, err = in.records.next()
	return in, err
}

func (in *csvInput) setHeader(fields [][]byte) error {
	var names []string
	for i, field := range fields {
		if i == 0 {
			field = bytes.TrimPrefix(field, []byte("\ufeff"))
		}
		name := strings.TrimSpace(string(field))
		if name == "" {
			name = "column_" + strconv.Itoa(i+1)
		}
		names = append(names, name)
	}
	if err := in.plan.checkColumns(names); err != nil {
		return err
	}
	for _, name := range names {
		c := column{name: name, key: appendKey(nil, in.plan.target(name))}
		switch p := in.plan; {
		case name == p.ID:
			c.role = idRole
		case p.Mode == Events && p.Event != "" && name == p.Event:
			c.role = eventRole
		case p.Time != "" && name == p.Time:
			c.role = timeRole
		case !p.keeps(name):
			c.role = omittedRole
		}
		in.columns = append(in.columns, c)
	}
	return nil
}

// setKind sets the column's kind: the one of the plan, or the one that all values of the sample have.
func (c *column) setKind(p *Plan) {
	c.kind = p.Types[c.name]
	if c.kind == Untyped {
		c.kind = c.types.kind()
	}
}

// typeGuess excludes the kinds that do not fit all values seen so far. Numbers are never taken for times.
type typeGuess struct {
	seen                        int
	notBool, notNumber, notTime bool
	example                     string
}

func (g *typeGuess) add(text []byte) {
	if len(text) == 0 {
		return
	}
	if g.seen == 0 {
		g.example = string(text)
	}
	g.seen++
	text = bytes.TrimSpace(text)
	if !g.notNumber {
		_, ok := plainNumber(text)
		g.notNumber = !ok
	}
	if !g.notBool {
		_, ok := plainBool(text)
		g.notBool = !ok
	}
	g.notTime = g.notTime || !isDateText(text)
}

func (g *typeGuess) kind() Kind {
	switch {
	case g.seen == 0:
		return String
	case !g.notBool:
		return Bool
	case !g.notNumber:
		return Number
	case !g.notTime:
		return Time
	}
	return String
}

// read implements input.
func (in *csvInput) read(b *Batch) error {
	r, err := in.records.next()
	if err != nil {
		return err
	}
	fault := r.fault
	switch {
	case fault != "":
	case len(r.fields) != len(in.columns):
		fault = fmt.Sprintf("%d cells, but the header has %d", len(r.fields), len(in.columns))
	case !isUTF8(r.raw):
		fault = "not valid UTF-8"
	default:
		fault = in.encode(r)
	}
	if fault != "" {
		b.reject(r.number, r.raw, fault)
		return nil
	}
	b.Body = in.message.appendTo(b.Body, in.plan, r.number)
	b.accept(r.number, r.raw)
	return nil
}

// encode fills the message from a record. It returns what is wrong with the record, or "".
func (in *csvInput) encode(r record) string {
	m := &in.message
	m.reset()
	for i, text := range r.fields {
		c := &in.columns[i]
		if len(text) == 0 {
			continue
		}
		switch c.role {
		case fieldRole:
			if m.addText(c.key, text, c.kind) {
				c.mismatched++
			}
		case idRole:
			m.id = append(m.id, text...)
		case eventRole:
			m.event = append(m.event, text...)
		case timeRole:
			if m.time, m.hasTime = ParseTime(text); !m.hasTime {
				return badTime(c.name, text)
			}
		}
	}
	return m.fault(in.plan)
}

func badTime(column string, text []byte) string {
	return fmt.Sprintf("no time: %s is %.60q; want RFC 3339, YYYY-MM-DD[ hh:mm:ss], Unix s or ms", column, text)
}

func (in *csvInput) schema() []ColumnReport {
	var out []ColumnReport
	for _, c := range in.columns {
		out = append(out, ColumnReport{Column: c.name, Role: roleNames[c.role], Name: in.plan.target(c.name),
			Kind: c.kind, Example: c.types.example, Seen: c.types.seen, Mismatched: c.mismatched})
	}
	return out
}

package load

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// parquetInput encodes the rows of a Parquet file; a row's number counts from 1.
type parquetInput struct {
	file    *parquet.File
	plan    *Plan
	columns []parquetColumn // by leaf index
	groups  []parquet.RowGroup
	left    int64 // rows of the group that is being read
	number  uint64
	message message
	text    []byte
}

// parquetColumn is one leaf of the file's schema.
type parquetColumn struct {
	name    string
	role    role
	list    bool
	kind    Kind // as sent: asked for, or the file's own
	native  Kind
	key     []byte
	value   valueReader
	cells   cellReader
	example string
	seen    int
	odd     int64
}

func newParquet(r io.ReaderAt, size int64, plan *Plan) (*parquetInput, error) {
	if plan.Mode == Messages {
		return nil, fmt.Errorf("a Parquet file needs --events or --profiles")
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, fmt.Errorf("read Parquet: %w", err)
	}
	in := &parquetInput{file: file, plan: plan, groups: file.RowGroups()}
	leaves := map[string]int{}
	for _, path := range file.Schema().Columns() {
		leaves[listName(path)]++
	}
	var names []string
	for _, path := range file.Schema().Columns() {
		leaf, _ := file.Schema().Lookup(path...)
		c := newParquetColumn(path, leaf, plan)
		if c.list && leaves[c.name] > 1 || leaf.MaxRepetitionLevel > 1 || strings.Contains(c.name, ".key_value.") {
			c.role = droppedRole // lists of objects, lists of lists and maps are no columns
		} else {
			names = append(names, c.name)
		}
		in.columns = append(in.columns, c)
	}
	return in, plan.checkColumns(names)
}

// listName returns the dotted name of a leaf; the two levels that Parquet puts into a list go.
func listName(path []string) string {
	if n := len(path); n >= 3 && slices.Contains([]string{"list", "bag"}, path[n-2]) {
		path = path[:n-2]
	}
	return strings.Join(path, ".")
}

func newParquetColumn(path []string, leaf parquet.LeafColumn, plan *Plan) parquetColumn {
	c := parquetColumn{name: listName(path), list: leaf.MaxRepetitionLevel > 0}
	c.key = appendKey(nil, plan.target(c.name))
	c.native, c.value = nativeValue(leaf.Node.Type())
	c.kind = plan.Types[c.name]
	if c.kind == Untyped {
		c.kind = c.native
	}
	switch {
	case c.name == plan.ID:
		c.role = idRole
	case plan.Event != "" && c.name == plan.Event:
		c.role = eventRole
	case plan.Time != "" && c.name == plan.Time:
		c.role = timeRole
	case !plan.kept(c.name):
		c.role = droppedRole
	}
	return c
}

// read appends the next row to the batch.
func (in *parquetInput) read(b *Batch) error {
	for in.left == 0 {
		if len(in.groups) == 0 {
			return io.EOF
		}
		if err := in.open(in.groups[0]); err != nil {
			return fmt.Errorf("read Parquet after row %d: %w", in.number, err)
		}
		in.groups = in.groups[1:]
	}
	in.left--
	in.number++
	for i := range in.columns {
		c := &in.columns[i]
		if c.role == droppedRole {
			continue
		}
		err := c.cells.next(c.list)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("read Parquet after row %d: column %s: %w", in.number-1, c.name, err)
		}
	}
	if fault := in.encode(); fault != "" {
		b.reject(in.number, in.describe(), fault)
		return nil
	}
	b.Body = in.message.appendTo(b.Body, in.plan, in.number)
	b.accept(in.number, nil)
	return nil
}

// open begins with a row group.
func (in *parquetInput) open(group parquet.RowGroup) error {
	in.left = group.NumRows()
	for i, chunk := range group.ColumnChunks() {
		if c := &in.columns[i]; c.role != droppedRole {
			if err := c.cells.open(chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// encode fills the message from the current row, or says what is wrong with it.
func (in *parquetInput) encode() string {
	m := &in.message
	m.reset()
	for i := range in.columns {
		c := &in.columns[i]
		row := c.cells.row
		switch {
		case c.role == droppedRole || len(row) == 1 && row[0].IsNull():
		case c.list:
			in.list(c, row)
		case c.native == Time:
			if fault := in.instant(c, row[0]); fault != "" {
				return fault
			}
		default:
			if fault := in.cell(c, row[0]); fault != "" {
				return fault
			}
		}
	}
	return m.fault(in.plan)
}

// instant takes a value of a column of times.
func (in *parquetInput) instant(c *parquetColumn, v parquet.Value) string {
	m := &in.message
	ms, ok := c.value.millis(v)
	if c.role == fieldRole {
		if c.seen == 0 {
			in.text, _ = c.value.text(in.text[:0], v)
		}
		c.note(in.text)
	}
	switch {
	case ok && c.role == timeRole:
		m.time, m.hasTime = ms, true
	case ok && c.role == fieldRole:
		in.addTime(c, ms)
	case c.role == fieldRole:
		c.odd++
	case !ok:
		return fmt.Sprintf("%s has a value that cannot be used", c.name)
	case c.role == idRole:
		m.id = strconv.AppendInt(m.id, ms, 10)
	case c.role == eventRole:
		m.event = strconv.AppendInt(m.event, ms, 10)
	}
	return ""
}

// cell takes a value of another column.
func (in *parquetInput) cell(c *parquetColumn, v parquet.Value) string {
	m := &in.message
	text, ok := in.textOf(c, v)
	switch {
	case c.role == fieldRole:
		c.note(text)
		if !ok {
			c.odd++
		} else if len(text) > 0 || c.kind == String {
			in.add(c, text)
		}
	case !ok:
		return fmt.Sprintf("%s has a value that cannot be used", c.name)
	case c.role == idRole:
		m.id = append(m.id, text...)
	case c.role == eventRole:
		m.event = append(m.event, text...)
	case c.role == timeRole && len(text) > 0:
		if m.time, m.hasTime = ParseTime(text); !m.hasTime {
			return badTime(c.name, text)
		}
	}
	return ""
}

// textOf returns a value as text, which is the page's own where it is a text there.
func (in *parquetInput) textOf(c *parquetColumn, v parquet.Value) (text []byte, ok bool) {
	if c.value.plain {
		text = v.ByteArray()
		return text, validText(text)
	}
	in.text, ok = c.value.text(in.text[:0], v)
	return in.text, ok
}

// add sends text as a value of the column's kind.
func (in *parquetInput) add(c *parquetColumn, text []byte) {
	m := &in.message
	if c.kind == c.native && (c.kind == Number || c.kind == Bool) { // it is written as JSON wants it
		m.fields = append(append(m.fields, c.key...), text...)
		return
	}
	if m.addText(c.key, text, c.kind) {
		c.odd++
	}
}

// addTime sends a time as a value of the column's kind.
func (in *parquetInput) addTime(c *parquetColumn, ms int64) {
	m := &in.message
	if c.kind == Time {
		m.fields = appendTimeValue(append(m.fields, c.key...), ms)
		return
	}
	in.text = time.UnixMilli(ms).UTC().AppendFormat(in.text[:0], "2006-01-02T15:04:05.999Z")
	if m.addText(c.key, in.text, c.kind) {
		c.odd++
	}
}

// list sends the values of a repeated column as a list.
func (in *parquetInput) list(c *parquetColumn, values []parquet.Value) {
	m := &in.message
	before := len(m.fields)
	m.fields = append(append(m.fields, c.key...), '[')
	for _, v := range values {
		if v.IsNull() {
			continue
		}
		text, ok := c.value.text(in.text[:0], v)
		in.text = text
		if !ok {
			c.odd++
			continue
		}
		c.note(text)
		if c.kind == Number || c.kind == Bool {
			m.fields = append(m.fields, text...)
		} else {
			m.fields = appendString(m.fields, text)
		}
		m.fields = append(m.fields, ',')
	}
	if last := len(m.fields) - 1; m.fields[last] == ',' {
		m.fields[last] = ']'
	} else {
		m.fields = m.fields[:before] // an empty list is none
	}
}

func (c *parquetColumn) note(text []byte) {
	if c.seen++; c.seen == 1 {
		c.example = string(text[:min(len(text), 40)])
	}
}

// describe writes the wanted columns of the current row as JSON-like text for the rejects.
func (in *parquetInput) describe() []byte {
	out := []byte{'{'}
	for i := range in.columns {
		c := &in.columns[i]
		for _, v := range c.cells.row {
			if v.IsNull() {
				continue
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			text, _ := c.value.text(nil, v)
			out = append(appendString(out, []byte(c.name)), ':')
			out = appendString(out, []byte(strings.ToValidUTF8(string(text), "\ufffd")))
		}
	}
	return append(out, '}')
}

func (in *parquetInput) schema() []ColumnReport {
	var out []ColumnReport
	for _, c := range in.columns {
		out = append(out, ColumnReport{Column: c.name, Role: roleNames[c.role], Name: in.plan.target(c.name),
			Kind: c.kind, Example: c.example, Seen: c.seen, Odd: c.odd})
	}
	return out
}

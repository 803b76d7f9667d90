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

// parquetInput encodes the rows of a Parquet file. Rows are numbered from 1.
type parquetInput struct {
	file    *parquet.File
	plan    *Plan
	columns []parquetColumn // by leaf index
	groups  []parquet.RowGroup
	left    int64 // rows of the current group that have not been read
	number  uint64
	message message
	text    []byte
}

// parquetColumn is one leaf of the file's schema.
type parquetColumn struct {
	name       string
	role       role
	list       bool
	kind       Kind // as sent: from the plan, or the native one
	native     Kind // of the values in the file
	key        []byte
	value      valueReader
	cells      cellReader
	example    string
	seen       int
	mismatched int64
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
			c.role = omittedRole // lists of objects, lists of lists and maps are not sent
		} else {
			names = append(names, c.name)
		}
		in.columns = append(in.columns, c)
	}
	return in, plan.checkColumns(names)
}

// listName returns the dotted name of a leaf, without the two levels that Parquet adds for a list.
func listName(path []string) string {
	if n := len(path); n >= 3 && slices.Contains([]string{"list", "bag"}, path[n-2]) {
		path = path[:n-2]
	}
	return strings.Join(path, ".")
}

func newParquetColumn(path []string, leaf parquet.LeafColumn, plan *Plan) parquetColumn {
	c := parquetColumn{name: listName(path), list: leaf.MaxRepetitionLevel > 0}
	c.key = appendKey(nil, plan.target(c.name))
	c.native, c.value = nativeReader(leaf.Node.Type())
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
	case !plan.keeps(c.name):
		c.role = omittedRole
	}
	return c
}

// read implements input.
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
		if c.role == omittedRole {
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

// open starts reading a row group.
func (in *parquetInput) open(group parquet.RowGroup) error {
	in.left = group.NumRows()
	for i, chunk := range group.ColumnChunks() {
		if c := &in.columns[i]; c.role != omittedRole {
			if err := c.cells.open(chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// encode fills the message from the current row. It returns what is wrong with the row, or "".
func (in *parquetInput) encode() string {
	m := &in.message
	m.reset()
	for i := range in.columns {
		c := &in.columns[i]
		row := c.cells.row
		switch {
		case c.role == omittedRole || len(row) == 1 && row[0].IsNull():
		case c.list:
			in.addList(c, row)
		case c.native == Time:
			if fault := in.addInstant(c, row[0]); fault != "" {
				return fault
			}
		default:
			if fault := in.addCell(c, row[0]); fault != "" {
				return fault
			}
		}
	}
	return m.fault(in.plan)
}

// addInstant adds a value of a time column to the message. It returns what is wrong with it, or "".
func (in *parquetInput) addInstant(c *parquetColumn, v parquet.Value) string {
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
		c.mismatched++
	case !ok:
		return fmt.Sprintf("%s has a value that cannot be used", c.name)
	case c.role == idRole:
		m.id = strconv.AppendInt(m.id, ms, 10)
	case c.role == eventRole:
		m.event = strconv.AppendInt(m.event, ms, 10)
	}
	return ""
}

// addCell adds a value of any other column to the message. It returns what is wrong with it, or "".
func (in *parquetInput) addCell(c *parquetColumn, v parquet.Value) string {
	m := &in.message
	text, ok := in.textOf(c, v)
	switch {
	case c.role == fieldRole:
		c.note(text)
		if !ok {
			c.mismatched++
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

// textOf returns a value as text. Text of a plain column is not copied: it is memory of the page.
func (in *parquetInput) textOf(c *parquetColumn, v parquet.Value) (text []byte, ok bool) {
	if c.value.plain {
		text = v.ByteArray()
		return text, isUTF8(text)
	}
	in.text, ok = c.value.text(in.text[:0], v)
	return in.text, ok
}

// add adds text to the message as a value of the column's kind.
func (in *parquetInput) add(c *parquetColumn, text []byte) {
	m := &in.message
	if c.kind == c.native && (c.kind == Number || c.kind == Bool) { // the text is valid JSON already
		m.fields = append(append(m.fields, c.key...), text...)
		return
	}
	if m.addText(c.key, text, c.kind) {
		c.mismatched++
	}
}

// addTime adds a time to the message as a value of the column's kind.
func (in *parquetInput) addTime(c *parquetColumn, ms int64) {
	m := &in.message
	if c.kind == Time {
		m.fields = appendTimeValue(append(m.fields, c.key...), ms)
		return
	}
	in.text = time.UnixMilli(ms).UTC().AppendFormat(in.text[:0], "2006-01-02T15:04:05.999Z")
	if m.addText(c.key, in.text, c.kind) {
		c.mismatched++
	}
}

// addList adds the values of a repeated column to the message as a list.
func (in *parquetInput) addList(c *parquetColumn, values []parquet.Value) {
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
			c.mismatched++
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
		m.fields = m.fields[:before] // an empty list counts as missing
	}
}

func (c *parquetColumn) note(text []byte) {
	if c.seen++; c.seen == 1 {
		c.example = string(text[:min(len(text), 40)])
	}
}

// describe returns the wanted columns of the current row as JSON-like text, for the rejects.
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
			Kind: c.kind, Example: c.example, Seen: c.seen, Mismatched: c.mismatched})
	}
	return out
}

package load

import (
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetInput encodes the rows of a Parquet file; a row's number counts from 1.
type parquetInput struct {
	file    *parquet.File
	plan    *Plan
	columns []parquetColumn // by leaf index
	groups  []parquet.RowGroup
	rows    parquet.Rows
	buffer  []parquet.Row
	ready   []parquet.Row // of buffer, not yet encoded
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
	read    func(dst []byte, v parquet.Value) ([]byte, bool)
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
	in := &parquetInput{file: file, plan: plan, groups: file.RowGroups(), buffer: make([]parquet.Row, 512)}
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
	c.native, c.read = nativeValue(leaf.Node.Type())
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

// nativeValue returns the kind of a leaf's values and how they are written as text; times as Unix ms.
func nativeValue(t parquet.Type) (Kind, func([]byte, parquet.Value) ([]byte, bool)) {
	if logical := t.LogicalType(); logical != nil {
		if kind, read := logicalValue(t.Kind(), logical.Value); read != nil {
			return kind, read
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return Bool, func(dst []byte, v parquet.Value) ([]byte, bool) { return strconv.AppendBool(dst, v.Boolean()), true }
	case parquet.Int32:
		return Number, func(dst []byte, v parquet.Value) ([]byte, bool) {
			return strconv.AppendInt(dst, int64(v.Int32()), 10), true
		}
	case parquet.Int64:
		return Number, func(dst []byte, v parquet.Value) ([]byte, bool) { return strconv.AppendInt(dst, v.Int64(), 10), true }
	case parquet.Int96:
		return Time, int96
	case parquet.Float:
		return Number, func(dst []byte, v parquet.Value) ([]byte, bool) { return float(dst, float64(v.Float()), 32) }
	case parquet.Double:
		return Number, func(dst []byte, v parquet.Value) ([]byte, bool) { return float(dst, v.Double(), 64) }
	}
	return String, func(dst []byte, v parquet.Value) ([]byte, bool) {
		text := v.ByteArray()
		return append(dst, text...), validText(text)
	}
}

// logicalValue does the same for types that give the stored ones a meaning; nil for those that do not.
func logicalValue(kind parquet.Kind, logical format.LogicalTypeValue) (Kind, func([]byte, parquet.Value) ([]byte, bool)) {
	switch logical := logical.(type) {
	case *format.DateType:
		return Time, func(dst []byte, v parquet.Value) ([]byte, bool) {
			return strconv.AppendInt(dst, int64(v.Int32())*86_400_000, 10), true
		}
	case *format.TimestampType:
		return Time, timestamp(logical.Unit.Value)
	case *format.DecimalType:
		return Number, decimal(int(logical.Scale), kind)
	case *format.UUIDType:
		return String, func(dst []byte, v parquet.Value) ([]byte, bool) {
			b := v.ByteArray()
			if len(b) != 16 {
				return dst, false
			}
			return fmt.Appendf(dst, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), true
		}
	case *format.IntType:
		switch {
		case logical.IsSigned:
		case kind == parquet.Int64:
			return Number, func(dst []byte, v parquet.Value) ([]byte, bool) { return strconv.AppendUint(dst, v.Uint64(), 10), true }
		default:
			return Number, func(dst []byte, v parquet.Value) ([]byte, bool) {
				return strconv.AppendUint(dst, uint64(v.Uint32()), 10), true
			}
		}
	}
	return Untyped, nil
}

func timestamp(unit format.TimeUnitValue) func([]byte, parquet.Value) ([]byte, bool) {
	per := int64(1)
	switch unit.(type) {
	case *format.MicroSeconds:
		per = 1_000
	case *format.NanoSeconds:
		per = 1_000_000
	}
	return func(dst []byte, v parquet.Value) ([]byte, bool) {
		n := v.Int64()
		ms := n / per
		if n%per < 0 {
			ms--
		}
		return strconv.AppendInt(dst, ms, 10), ms >= minTime && ms <= maxTime
	}
}

// int96 is the time of old writers: nanoseconds of a day, and the Julian day.
func int96(dst []byte, v parquet.Value) ([]byte, bool) {
	i := v.Int96()
	nanos := int64(i[0]) | int64(i[1])<<32
	ms := (int64(i[2])-2440588)*86_400_000 + nanos/1_000_000
	return strconv.AppendInt(dst, ms, 10), ms >= minTime && ms <= maxTime
}

func float(dst []byte, f float64, bits int) ([]byte, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, false
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.AppendInt(dst, int64(f), 10), true
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits), true
}

func decimal(scale int, kind parquet.Kind) func([]byte, parquet.Value) ([]byte, bool) {
	return func(dst []byte, v parquet.Value) ([]byte, bool) {
		n := new(big.Int)
		switch kind {
		case parquet.Int32:
			n.SetInt64(int64(v.Int32()))
		case parquet.Int64:
			n.SetInt64(v.Int64())
		default: // two's complement, the highest byte first
			b := v.ByteArray()
			n.SetBytes(b)
			if len(b) > 0 && b[0] >= 0x80 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
		}
		text := new(big.Int).Abs(n).String()
		if pad := scale + 1 - len(text); pad > 0 {
			text = strings.Repeat("0", pad) + text
		}
		if n.Sign() < 0 {
			dst = append(dst, '-')
		}
		dst = append(dst, text[:len(text)-scale]...)
		if scale > 0 {
			dst = append(append(dst, '.'), text[len(text)-scale:]...)
		}
		return dst, true
	}
}

// read appends the next row to the batch.
func (in *parquetInput) read(b *Batch) error {
	for len(in.ready) == 0 {
		if in.rows == nil {
			if len(in.groups) == 0 {
				return io.EOF
			}
			in.rows, in.groups = in.groups[0].Rows(), in.groups[1:]
		}
		n, err := in.rows.ReadRows(in.buffer)
		in.ready = in.buffer[:n]
		if err == io.EOF || err == nil && n == 0 {
			err = in.rows.Close()
			in.rows = nil
		}
		if err != nil {
			return fmt.Errorf("read Parquet after row %d: %w", in.number, err)
		}
	}
	row := in.ready[0]
	in.ready = in.ready[1:]
	in.number++
	if fault := in.encode(row); fault != "" {
		b.reject(in.number, in.describe(row), fault)
		return nil
	}
	b.Body = in.message.appendTo(b.Body, in.plan, in.number)
	b.accept(in.number, nil)
	return nil
}

func (in *parquetInput) encode(row parquet.Row) string {
	m := &in.message
	m.reset()
	for i := 0; i < len(row); {
		from := i
		for i++; i < len(row) && row[i].Column() == row[from].Column(); i++ {
		}
		c := &in.columns[row[from].Column()]
		if c.role == droppedRole || row[from].IsNull() && i == from+1 {
			continue
		}
		if c.list {
			in.list(c, row[from:i])
			continue
		}
		if fault := in.cell(c, row[from]); fault != "" {
			return fault
		}
	}
	return m.fault(in.plan)
}

func (in *parquetInput) cell(c *parquetColumn, v parquet.Value) string {
	m := &in.message
	var ok bool
	in.text, ok = c.read(in.text[:0], v)
	switch {
	case c.role == fieldRole:
		c.note(in.text)
		if !ok {
			c.odd++
		} else if len(in.text) > 0 || c.kind == String {
			in.add(c)
		}
	case !ok:
		return fmt.Sprintf("%s has a value that cannot be used", c.name)
	case c.role == idRole:
		m.id = append(m.id, in.text...)
	case c.role == eventRole:
		m.event = append(m.event, in.text...)
	case c.role == timeRole && c.native == Time:
		m.time, _ = strconv.ParseInt(string(in.text), 10, 64)
		m.hasTime = true
	case c.role == timeRole && len(in.text) > 0:
		if m.time, m.hasTime = ParseTime(in.text); !m.hasTime {
			return badTime(c.name, in.text)
		}
	}
	return ""
}

// add sends in.text as a value of the column's kind.
func (in *parquetInput) add(c *parquetColumn) {
	m := &in.message
	if c.native == Time {
		ms, _ := strconv.ParseInt(string(in.text), 10, 64)
		if c.kind == Time {
			m.fields = appendTimeValue(append(m.fields, c.key...), ms)
			return
		}
		in.text = time.UnixMilli(ms).UTC().AppendFormat(in.text[:0], "2006-01-02T15:04:05.999Z")
	}
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
		text, ok := c.read(in.text[:0], v)
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

// describe writes a row as JSON-like text for the rejects.
func (in *parquetInput) describe(row parquet.Row) []byte {
	out := []byte{'{'}
	for _, v := range row {
		if v.IsNull() {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		c := in.columns[v.Column()]
		text, _ := c.read(nil, v)
		out = append(appendString(out, []byte(c.name)), ':')
		out = appendString(out, []byte(strings.ToValidUTF8(string(text), "\ufffd")))
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

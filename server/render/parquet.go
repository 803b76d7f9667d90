package render

import (
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// leafKind is how a column is stored.
type leafKind uint8

const (
	stringLeaf leafKind = iota
	boolLeaf
	timeLeaf
	intLeaf
	decimalLeaf // 64-bit integers with one scale: exact
	floatLeaf
	listLeaf // of strings; other items as JSON
)

// leaf is a column of the file.
type leaf struct {
	kind  leafKind
	scale int8
}

// maxDecimal is the number of digits that a 64-bit DECIMAL holds.
const maxDecimal = 18

// parquetBatch is the number of rows that are written together.
const parquetBatch = 1024

func writeParquet(w io.Writer, columns []query.Column, rows Rows) error {
	leaves := chooseLeaves(columns, rows)
	root := &record{}
	for i, name := range uniqueNames(columns) {
		root.fields = append(root.fields, field{leaves[i].node(), name})
	}
	out := parquet.NewWriter(w, parquet.NewSchema("answer", root), parquet.Compression(&parquet.Zstd))
	batch := make([]parquet.Row, 0, parquetBatch)
	for row := range rows {
		batch = append(batch, leavesOf(leaves, row))
		if len(batch) == parquetBatch {
			if _, err := out.WriteRows(batch); err != nil {
				return fmt.Errorf("write Parquet: %w", err)
			}
			batch = batch[:0]
		}
	}
	if _, err := out.WriteRows(batch); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write Parquet: %w", err)
	}
	return nil
}

// chooseLeaves chooses for each column of numbers the narrowest type that holds all of them exactly:
// integers, decimals with the largest scale, or floats.
func chooseLeaves(columns []query.Column, rows Rows) []leaf {
	leaves, numbers := make([]leaf, len(columns)), false
	for i, c := range columns {
		switch c.Type {
		case "number":
			leaves[i].kind, numbers = intLeaf, true
		case "boolean":
			leaves[i].kind = boolLeaf
		case "time":
			leaves[i].kind = timeLeaf
		case "list":
			leaves[i].kind = listLeaf
		}
	}
	if !numbers {
		return leaves
	}
	for row := range rows {
		for i := range leaves {
			if i < len(row) && row[i].Type == tree.NumberType && columns[i].Type == "number" {
				leaves[i].widen(row[i].Number())
			}
		}
	}
	for row := range rows { // now that the scale is known: does every number of a decimal column fit?
		for i := range leaves {
			if i < len(row) && row[i].Type == tree.NumberType && leaves[i].kind == decimalLeaf {
				if _, ok := leaves[i].scaled(row[i].Number()); !ok {
					leaves[i].kind = floatLeaf
				}
			}
		}
	}
	return leaves
}

func (l *leaf) widen(n tree.Number) {
	switch {
	case n.IsFloat():
		l.kind = floatLeaf
	case n.Scale > 0 && l.kind != floatLeaf:
		l.kind, l.scale = decimalLeaf, max(l.scale, n.Scale)
	}
}

// scaled returns n as an integer with the column's scale; false if it does not fit.
func (l leaf) scaled(n tree.Number) (int64, bool) {
	limit := tree.Pow10(maxDecimal)
	factor := tree.Pow10(l.scale - n.Scale)
	if n.Coef > (limit-1)/factor || n.Coef < -(limit-1)/factor {
		return 0, false
	}
	return n.Coef * factor, true
}

func (l leaf) node() parquet.Node {
	switch l.kind {
	case boolLeaf:
		return parquet.Optional(parquet.Leaf(parquet.BooleanType))
	case timeLeaf:
		return parquet.Optional(parquet.Timestamp(parquet.Millisecond))
	case intLeaf:
		return parquet.Optional(parquet.Int(64))
	case decimalLeaf:
		return parquet.Optional(parquet.Decimal(int(l.scale), maxDecimal, parquet.Int64Type))
	case floatLeaf:
		return parquet.Optional(parquet.Leaf(parquet.DoubleType))
	case listLeaf:
		return parquet.Optional(parquet.List(parquet.String()))
	}
	return parquet.Optional(parquet.String())
}

// leavesOf returns a row in Parquet's form: definition levels say what is missing, repetition levels mark
// further items of the same list. Source: Apache Parquet, "Nested Encoding".
func leavesOf(leaves []leaf, row []tree.Value) parquet.Row {
	out := make(parquet.Row, 0, len(leaves))
	for i, l := range leaves {
		var v tree.Value
		if i < len(row) {
			v = row[i]
		}
		switch {
		case v.Missing():
			out = append(out, parquet.NullValue().Level(0, 0, i))
		case l.kind == listLeaf && v.Type == tree.ListType:
			for j, item := range v.List {
				out = append(out, parquet.ByteArrayValue([]byte(cell(item, plain))).Level(0, 2, i))
				if j > 0 {
					out[len(out)-1] = out[len(out)-1].Level(1, 2, i)
				}
			}
		case l.kind == listLeaf:
			out = append(out, parquet.ByteArrayValue([]byte(cell(v, plain))).Level(0, 2, i))
		default:
			value, defined := l.value(v), 1
			if value.IsNull() {
				defined = 0
			}
			out = append(out, value.Level(0, defined, i))
		}
	}
	return out
}

// value returns the stored form of a single value. A value of another type than its column's is stored as
// missing; a column of strings stores its text.
func (l leaf) value(v tree.Value) parquet.Value {
	switch {
	case l.kind == stringLeaf:
		return parquet.ByteArrayValue([]byte(cell(v, plain)))
	case l.kind == boolLeaf && v.Type == tree.BoolType:
		return parquet.BooleanValue(v.True())
	case l.kind == timeLeaf && v.Type == tree.TimeType:
		return parquet.Int64Value(v.Int)
	case v.Type != tree.NumberType:
		return parquet.NullValue()
	case l.kind == intLeaf:
		return parquet.Int64Value(v.Int)
	case l.kind == decimalLeaf:
		n, _ := l.scaled(v.Number()) // chooseLeaves has checked that it fits
		return parquet.Int64Value(n)
	case l.kind == floatLeaf:
		return parquet.DoubleValue(v.Number().Float64())
	}
	return parquet.NullValue()
}

// record is a group that keeps the order of its fields; parquet.Group would sort them by name.
type record struct {
	parquet.Group
	fields []parquet.Field
}

// Fields returns the fields in the order of the columns.
func (r *record) Fields() []parquet.Field { return r.fields }

// Leaf returns false: a record is a group.
func (r *record) Leaf() bool { return false }

// field is a named column.
type field struct {
	parquet.Node
	name string
}

// Name returns the column's name.
func (f field) Name() string { return f.name }

// Value implements parquet.Field. It is only used with Go structs, and there are none here.
func (f field) Value(reflect.Value) reflect.Value { return reflect.Value{} }

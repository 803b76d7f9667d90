package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Format is a format for answers.
type Format uint8

// The formats.
const (
	JSON Format = iota
	CSV
	NDJSON
	Parquet
	SafeCSV // CSV for spreadsheets: no text can be a formula
)

// Rows yields the rows of a table; a yielded row may be reused for the next.
type Rows iter.Seq[[]tree.Value]

// AllRows returns the rows of an answer.
func AllRows(a *query.Answer) Rows {
	return func(yield func([]tree.Value) bool) {
		for _, row := range a.Rows {
			if !yield(row) {
				return
			}
		}
	}
}

// Table writes a table as CSV, NDJSON or Parquet. For Parquet with columns of numbers it iterates over
// rows twice: the first time to find types that hold all numbers exactly.
func Table(w io.Writer, format Format, columns []query.Column, rows Rows) error {
	switch format {
	case CSV:
		return writeCSV(w, columns, rows, plain)
	case SafeCSV:
		return writeCSV(w, columns, rows, safeCell)
	case NDJSON:
		return writeNDJSON(w, columns, rows)
	case Parquet:
		return writeParquet(w, columns, rows)
	}
	return fmt.Errorf("write a table: format %d is not a table format", format)
}

// writeCSV writes RFC 4180 with a header. A missing value is an empty cell, a list is a JSON array. text
// converts each text before it is written.
func writeCSV(w io.Writer, columns []query.Column, rows Rows, text func(string) string) error {
	out := csv.NewWriter(w)
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = text(c.Name)
	}
	if err := out.Write(cells); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	for row := range rows {
		for i := range cells {
			cells[i] = ""
			if i < len(row) {
				cells[i] = cell(row[i], text)
			}
		}
		if err := out.Write(cells); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

func plain(text string) string { return text }

func cell(v tree.Value, text func(string) string) string {
	switch v.Type {
	case tree.NoType:
		return ""
	case tree.StringType:
		return text(v.Str)
	case tree.TimeType:
		return Time(v.Int)
	}
	written := string(tree.AppendJSON(nil, v))
	if v.Type == tree.ListType {
		return text(written)
	}
	return written
}

// ndjsonBuffer is the number of bytes that are collected before they are written.
const ndjsonBuffer = 64 << 10

// writeNDJSON writes one object a line, with the columns' names as member names.
func writeNDJSON(w io.Writer, columns []query.Column, rows Rows) error {
	names := make([][]byte, len(columns))
	for i, name := range uniqueNames(columns) {
		names[i] = append(tree.AppendQuoted(nil, name), ':')
	}
	var buf []byte
	for row := range rows {
		buf = append(buf, '{')
		for i, v := range row {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = tree.AppendJSON(append(buf, names[i]...), v)
		}
		buf = append(buf, "}\n"...)
		if len(buf) >= ndjsonBuffer {
			if _, err := w.Write(buf); err != nil {
				return fmt.Errorf("write NDJSON: %w", err)
			}
			buf = buf[:0]
		}
	}
	if _, err := w.Write(buf); err != nil {
		return fmt.Errorf("write NDJSON: %w", err)
	}
	return nil
}

// uniqueNames returns the columns' names, with duplicates numbered: x, x_2, x_3.
func uniqueNames(columns []query.Column) []string {
	names, taken := make([]string, len(columns)), make(map[string]bool, len(columns))
	for i, c := range columns {
		name := c.Name
		for n := 2; taken[name]; n++ {
			name = c.Name + "_" + strconv.Itoa(n)
		}
		names[i], taken[name] = name, true
	}
	return names
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// newTable returns the frame every table has.
func newTable(w io.Writer) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	return t
}

// printAnswer draws an answer as a table with a line on how it was reached. width is that of the
// terminal, 0 without one.
func printAnswer(w io.Writer, got *api.Answer, width int) {
	t := newTable(w)
	if width > 0 {
		t.Style().Size.WidthMax = width
	}
	header, configs := table.Row{}, []table.ColumnConfig{}
	for i, c := range got.Columns {
		header = append(header, harmless(c.Name))
		align := text.AlignLeft
		if c.Type == "number" {
			align = text.AlignRight
		}
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(header)
	for _, row := range got.Rows {
		cells := table.Row{}
		for _, cell := range row {
			cells = append(cells, cellText(cell))
		}
		t.AppendRow(cells)
	}
	t.Render()
	fmt.Fprintf(w, "%s · %.1f ms · %s profiles\n", plural(len(got.Rows), "row"), got.Stats.ElapsedMillis, humanize.Comma(got.Stats.Profiles))
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return humanize.Comma(int64(n)) + " " + noun
}

// cellText writes one value of an answer for people: whole numbers with commas, control characters
// harmless, as a terminal obeys them.
func cellText(cell any) string {
	switch v := cell.(type) {
	case nil:
		return "(not set)"
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return humanize.Comma(n)
		}
		return v.String()
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, cellText(item))
		}
		return strings.Join(items, ", ")
	case string:
		return harmless(v)
	}
	return fmt.Sprint(cell)
}

// explain prints a mistake in a statement as it teaches best: the line, a mark under the place, the
// hint. Other errors stay as they are.
func (a *app) explain(statement string, err error) error {
	var p *api.Problem
	if !errors.As(err, &p) || p.Line == 0 {
		return err
	}
	message := p.Detail
	if message == "" {
		message = p.Title
	}
	a.point("error", statement, api.Diagnostic{Message: message, Line: p.Line, Column: p.Column, Length: p.Length, Hint: p.Hint, Suggestions: p.Suggestions})
	return errSaid
}

func (a *app) warn(statement string, d *api.Diagnostic) { a.point("warning", statement, *d) }

// point prints a diagnostic under the line of the statement it speaks of.
func (a *app) point(kind, statement string, d api.Diagnostic) {
	for i, s := range d.Suggestions {
		d.Suggestions[i] = harmless(s)
	}
	drawn := syntax.Render(&tree.Diagnostic{Message: harmless(d.Message), Line: d.Line, Column: d.Column, Length: d.Length,
		Hint: harmless(d.Hint), Suggestions: d.Suggestions}, shown(statement, "\n\t"))
	fmt.Fprint(a.stderr, kind+strings.TrimPrefix(drawn, "error"))
}

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

// newTable returns a table in the style of all commands.
func newTable(w io.Writer) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	return t
}

// printAnswer prints an answer as a table, and a line with its statistics. width is the width of the
// terminal, or 0 if there is none.
func printAnswer(w io.Writer, got *api.Answer, width int) {
	t := newTable(w)
	if width > 0 {
		t.Style().Size.WidthMax = width
	}
	header, configs := table.Row{}, []table.ColumnConfig{}
	for i, c := range got.Columns {
		header = append(header, sanitize(c.Name))
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

// cellText returns one value of an answer as text for people: integers have commas, and strings are
// sanitized.
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
		return sanitize(v)
	}
	return fmt.Sprint(cell)
}

// printMistake prints a mistake in a statement with the line of the statement, a mark under the position, and
// the hint; then it returns errReported. Other errors are returned unchanged.
func (a *app) printMistake(statement string, err error) error {
	var p *api.Problem
	if !errors.As(err, &p) || p.Line == 0 {
		return err
	}
	message := p.Detail
	if message == "" {
		message = p.Title
	}
	a.printDiagnostic("error", statement, api.Diagnostic{Message: message, Line: p.Line, Column: p.Column, Length: p.Length, Hint: p.Hint, Suggestions: p.Suggestions})
	return errReported
}

func (a *app) warn(statement string, d *api.Diagnostic) { a.printDiagnostic("warning", statement, *d) }

// printDiagnostic prints a diagnostic with the line of the statement that it is about.
func (a *app) printDiagnostic(kind, statement string, d api.Diagnostic) {
	for i, s := range d.Suggestions {
		d.Suggestions[i] = sanitize(s)
	}
	drawn := syntax.Render(&tree.Diagnostic{Message: sanitize(d.Message), Line: d.Line, Column: d.Column, Length: d.Length,
		Hint: sanitize(d.Hint), Suggestions: d.Suggestions}, replaceUnseen(statement, "\n\t"))
	fmt.Fprint(a.stderr, kind+strings.TrimPrefix(drawn, "error"))
}

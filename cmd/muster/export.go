package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterdb/muster/api"
)

// exportCommand is `muster export`.
type exportCommand struct {
	remote
	Segment string   `help:"Members of this saved segment." xor:"who" required:"" placeholder:"NAME"`
	Where   string   `help:"Profiles that satisfy this predicate." xor:"who" required:"" placeholder:"PREDICATE"`
	Columns []string `help:"Attributes and measures to write beside user_id, as in list." sep:"none" placeholder:"A, B"`
	Format  string   `help:"csv, ndjson or parquet; else the name of the file says, else csv." enum:",csv,ndjson,parquet" default:""`
	Output  string   `short:"o" help:"File to write; stdout without it." placeholder:"FILE"`
}

// maxExport is the most rows of one export.
const maxExport = 1 << 30

// Run writes the members.
func (c *exportCommand) Run(ctx context.Context, a *app) error {
	format := c.Format
	if format == "" {
		format = map[string]string{".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}[strings.ToLower(filepath.Ext(c.Output))]
	}
	if format == "" {
		format = "csv"
	}
	if _, ok := terminal(a.stdout); ok && format == "parquet" && c.Output == "" {
		return usageError{fmt.Errorf("a terminal cannot show Parquet: name a file with --output")}
	}
	answer, statement, err := c.request(ctx, format)
	if err != nil {
		return a.explain(statement, err)
	}
	defer answer.Close()
	if c.Output == "" {
		if _, err := io.Copy(a.stdout, answer); err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		return nil
	}
	return writeFile(c.Output, answer)
}

// request asks for the members: a segment's ids alone come as a stream of any length, everything else
// is a list statement.
func (c *exportCommand) request(ctx context.Context, format string) (io.ReadCloser, string, error) {
	if c.Segment != "" && len(c.Columns) == 0 {
		answer, err := c.client().MembersAs(ctx, c.Segment, media[format])
		return answer, "", err
	}
	where := c.Where
	if c.Segment != "" {
		where = "in segment " + quoted(c.Segment)
	}
	statement := "list " + strings.Join(c.Columns, ", ") + " where " + where
	answer, err := c.client().QueryAs(ctx, api.QueryRequest{Query: statement, MaxRows: maxExport}, media[format])
	return answer, statement, err
}

// quoted writes a string as MQL reads it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// writeFile writes beside the file and puts it in place when it is whole, so that a broken export
// never looks like one.
func writeFile(name string, from io.Reader) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // what is left of it is of no use
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

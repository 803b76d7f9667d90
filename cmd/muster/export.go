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
	Columns []string `help:"Attributes and measures to write after user_id, as in a list statement." sep:"none" placeholder:"A, B"`
	Format  string   `help:"csv, ndjson or parquet (default: by the extension of the file, else csv)." enum:",csv,ndjson,parquet" default:""`
	Output  string   `short:"o" help:"File to write (default: stdout)." placeholder:"FILE"`
	Safe    bool     `help:"CSV for spreadsheets: text that would be a formula is preceded by an apostrophe. The default for CSV to a file." xor:"formulas"`
	Raw     bool     `help:"CSV with unchanged values, even to a file." xor:"formulas"`
	Excel   bool     `help:"CSV that Excel reads as UTF-8: like --safe, with a byte order mark." xor:"formulas"`
}

// maxExport is the maximum number of rows of one export.
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
	accept, mark := media[format], ""
	if format == "csv" && (c.Safe || c.Excel || c.Output != "" && !c.Raw) {
		accept = api.SafeCSV
	}
	if format == "csv" && c.Excel {
		mark = "\ufeff"
	}
	if (c.Safe || c.Raw || c.Excel) && format != "csv" {
		return usageError{fmt.Errorf("--safe, --raw and --excel are for CSV, not for %s", format)}
	}
	if _, ok := terminal(a.stdout); ok && format == "parquet" && c.Output == "" {
		return usageError{fmt.Errorf("a terminal cannot show Parquet: name a file with --output")}
	}
	answer, statement, err := c.request(ctx, accept)
	if err != nil {
		return a.printMistake(statement, err)
	}
	defer answer.Close()
	marked := io.MultiReader(strings.NewReader(mark), answer)
	if c.Output == "" {
		if _, err := io.Copy(a.stdout, marked); err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		return nil
	}
	return writeFile(c.Output, marked)
}

// request requests the members. The ids of a segment come as a stream of any length; everything else is a
// list statement, which request returns for messages about it.
func (c *exportCommand) request(ctx context.Context, accept string) (io.ReadCloser, string, error) {
	if c.Segment != "" && len(c.Columns) == 0 {
		answer, err := c.client().MembersAs(ctx, c.Segment, accept)
		return answer, "", err
	}
	where := c.Where
	if c.Segment != "" {
		where = "in segment " + quoted(c.Segment)
	}
	statement := "list " + strings.Join(c.Columns, ", ") + " where " + where
	answer, err := c.client().QueryAs(ctx, api.QueryRequest{Query: statement, MaxRows: maxExport}, accept)
	return answer, statement, err
}

// quoted returns a string as an MQL literal.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// writeFile writes a temporary file in the same directory and renames it once it is complete, so that a
// failed export never leaves a file under that name.
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
		_ = os.Remove(file.Name()) // an incomplete file is useless
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

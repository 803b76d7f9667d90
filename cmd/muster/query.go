package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/musterdb/muster/api"
)

// queryCommand is `muster query`.
type queryCommand struct {
	remote
	Statement   []string `arg:"" optional:"" help:"One MQL statement; else it is read from stdin, and on a terminal a prompt opens."`
	Format      string   `help:"table, json, csv, ndjson or parquet (default: table on a terminal, else csv)." enum:",table,json,csv,ndjson,parquet" default:""`
	Consistency string   `help:"leader, linearizable or stale." enum:"leader,linearizable,stale" default:"leader"`
}

// media are the formats a node writes itself.
var media = map[string]string{
	"json": "application/json", "csv": "text/csv", "ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet",
}

// Run answers one statement, or opens the prompt.
func (c *queryCommand) Run(ctx context.Context, a *app) error {
	text := strings.TrimSpace(strings.Join(c.Statement, " "))
	if text == "" {
		if _, ok := terminal(a.stdin); ok {
			return c.prompt(ctx, a)
		}
		read, err := io.ReadAll(io.LimitReader(a.stdin, 1<<20))
		if err != nil {
			return fmt.Errorf("read statement: %w", err)
		}
		text = strings.TrimSpace(string(read))
	}
	if text == "" {
		return usageError{fmt.Errorf("no statement: write one, like  muster query 'count where country = \"BR\"'")}
	}
	return c.ask(ctx, a, text, c.Format)
}

// ask sends one statement and writes its answer in a format; "" chooses one for stdout.
func (c *queryCommand) ask(ctx context.Context, a *app, text, format string) error {
	width, isTerminal := terminal(a.stdout)
	if format == "" {
		format = "csv"
		if isTerminal {
			format = "table"
		}
	}
	if isTerminal && format == "parquet" {
		return usageError{errors.New("a terminal cannot show Parquet: write it to a file with > FILE")}
	}
	request := api.QueryRequest{Query: text, Consistency: c.Consistency}
	if format == "table" {
		got, err := c.client().Query(ctx, request)
		if err != nil {
			return a.explain(text, err)
		}
		for i := range got.Warnings {
			a.warn(text, &got.Warnings[i])
		}
		printAnswer(a.stdout, got, width)
		return nil
	}
	client, warnings := c.client(), &headerSpy{name: "Muster-Warnings"}
	client.HTTP = &http.Client{Transport: warnings}
	body, err := client.QueryAs(ctx, request, media[format])
	if err != nil {
		return a.explain(text, err)
	}
	defer body.Close()
	if n := warnings.value; n != "" && n != "0" {
		fmt.Fprintf(a.stderr, "note: the answer has warnings (%s); --format json or table shows them\n", harmless(n))
	}
	if _, err := io.Copy(a.stdout, body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if format == "json" {
		fmt.Fprintln(a.stdout)
	}
	return nil
}

// headerSpy remembers one header of the last answer.
type headerSpy struct{ name, value string }

// RoundTrip makes the request as usual.
func (s *headerSpy) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		s.value = answer.Header.Get(s.name)
	}
	return answer, err
}

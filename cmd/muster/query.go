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
	Statement   []string `arg:"" optional:"" help:"One MQL statement (default: read it from stdin, or open a prompt if stdin is a terminal)."`
	Format      string   `help:"table, json, csv, ndjson or parquet (default: table on a terminal, else csv)." enum:",table,json,csv,ndjson,parquet" default:""`
	Consistency string   `help:"leader, linearizable or stale." enum:"leader,linearizable,stale" default:"leader"`
}

// media has the media types of the formats that the node writes.
var media = map[string]string{
	"json": "application/json", "csv": "text/csv", "ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet",
}

// Run runs one statement, or opens the prompt.
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
	return c.runStatement(ctx, a, text, c.Format)
}

// runStatement sends one statement and prints its answer in a format. "" means the default for stdout.
func (c *queryCommand) runStatement(ctx context.Context, a *app, text, format string) error {
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
			return a.printMistake(text, err)
		}
		for i := range got.Warnings {
			a.warn(text, &got.Warnings[i])
		}
		printAnswer(a.stdout, got, width)
		return nil
	}
	client, warnings := c.client(), &headerRecorder{name: "Muster-Warnings"}
	client.HTTP = &http.Client{Transport: warnings}
	body, err := client.QueryAs(ctx, request, media[format])
	if err != nil {
		return a.printMistake(text, err)
	}
	defer body.Close()
	if n := warnings.value; n != "" && n != "0" {
		fmt.Fprintf(a.stderr, "note: the answer has warnings (%s); --format json or table shows them\n", sanitize(n))
	}
	if _, err := io.Copy(a.stdout, body); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if format == "json" {
		fmt.Fprintln(a.stdout)
	}
	return nil
}

// headerRecorder is a transport that records one header of the last answer.
type headerRecorder struct{ name, value string }

// RoundTrip implements http.RoundTripper.
func (s *headerRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		s.value = answer.Header.Get(s.name)
	}
	return answer, err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/musterdb/muster/api"
)

// watchCommand is `muster watch`.
type watchCommand struct {
	remote
	Segment string   `arg:"" help:"Name of the segment."`
	From    string   `help:"now, snapshot, acked or a cursor." default:"now"`
	As      string   `help:"Name of a durable subscriber: what was printed is acknowledged, and --from acked goes on there." placeholder:"NAME"`
	Fields  []string `help:"Attributes to show, with commas." placeholder:"NAMES"`
	JSON    bool     `name:"json" help:"One JSON object a line, as the server says it."`
	Count   int      `help:"End after so many changes (default: never)." placeholder:"N"`
}

// errEnough ends a watch that has seen what was asked for.
var errEnough = errors.New("enough")

// Run prints who enters and leaves until ctx ends.
func (c *watchCommand) Run(ctx context.Context, a *app) error {
	if c.From == "acked" && c.As == "" {
		return usageError{errors.New("--from acked needs --as NAME")}
	}
	_, isTerminal := terminal(a.stdout)
	if isTerminal && !c.JSON {
		fmt.Fprintf(a.stderr, "watching %s from %s; Ctrl-C ends\n", harmless(c.Segment), harmless(c.From))
	}
	seen, lost := 0, false
	watching := api.Watching{Segment: c.Segment, From: c.From, As: c.As, Fields: c.Fields, Retrying: func(err error) {
		if !lost {
			fmt.Fprintf(a.stderr, "no connection (%s): trying again\n", oneLine(err))
		}
		lost = true
	}}
	err := c.client().Watch(ctx, watching, func(m *api.StreamMessage) error {
		lost = false
		if m.Op == "enter" || m.Op == "exit" {
			seen++
		}
		if err := c.print(a, m); err != nil {
			return err
		}
		if c.Count > 0 && seen >= c.Count {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // Ctrl-C is how a watch ends
	}
	return err
}

// print writes one message; checkpoints are for machines.
func (c *watchCommand) print(a *app, m *api.StreamMessage) error {
	if c.JSON {
		line, err := json.Marshal(m)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s\n", line)
		return err
	}
	var err error
	switch m.Op {
	case "members":
		for _, p := range m.Profiles {
			if _, err = fmt.Fprintf(a.stdout, "%-24s  is in   %s%s\n", "", harmless(p.Profile), fieldText(p.Fields)); err != nil {
				return err
			}
		}
	case "enter", "exit":
		before, op := fmt.Sprintf("%-24s  ", harmless(m.At)), opText(m.Op)
		after := fmt.Sprintf("  %s%s  (%s)\n", harmless(m.Profile), fieldText(m.Fields), harmless(m.Cause))
		if _, isTerminal := terminal(a.stdout); isTerminal {
			fmt.Fprint(a.stdout, before)
			tell(a.stdout, opColour(m.Op))
			fmt.Fprint(a.stdout, op)
			tell(a.stdout, plainColour)
			before, op = "", ""
		}
		_, err = fmt.Fprint(a.stdout, before+op+after)
	case "resync":
		_, err = fmt.Fprintf(a.stdout, "%-24s  the log no longer reaches back to the cursor (%s): the members follow\n", time.Now().UTC().Format(time.RFC3339), harmless(m.Reason))
	}
	return err
}

func opText(op string) string {
	if op == "enter" {
		return "enters"
	}
	return "leaves"
}

func opColour(op string) string {
	if op == "enter" {
		return "\x1b[32m"
	}
	return "\x1b[31m"
}

// fieldText writes fields in order of name.
func fieldText(fields map[string]any) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "  %s=%s", harmless(name), harmless(fmt.Sprint(fields[name])))
	}
	return b.String()
}

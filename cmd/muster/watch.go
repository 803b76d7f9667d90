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
	As      string   `help:"Name of a durable subscriber: printed changes are acknowledged, and --from acked continues after them." placeholder:"NAME"`
	Fields  []string `help:"Attributes to show, separated by commas." placeholder:"NAMES"`
	JSON    bool     `name:"json" help:"One JSON object per line, as the server sends it."`
	Count   int      `help:"Exit after this many changes (default: never)." placeholder:"N"`
}

// errCountReached ends a watch that has printed --count changes.
var errCountReached = errors.New("count reached")

// Run prints who enters and leaves until ctx ends.
func (c *watchCommand) Run(ctx context.Context, a *app) error {
	if c.From == "acked" && c.As == "" {
		return usageError{errors.New("--from acked needs --as NAME")}
	}
	_, isTerminal := terminal(a.stdout)
	if isTerminal && !c.JSON {
		fmt.Fprintf(a.stderr, "watching %s from %s; press Ctrl-C to stop\n", sanitize(c.Segment), sanitize(c.From))
	}
	seen, lost := 0, false
	watching := api.WatchOptions{Segment: c.Segment, From: c.From, As: c.As, Fields: c.Fields, Retrying: func(err error) {
		if !lost {
			fmt.Fprintf(a.stderr, "no connection (%s): retrying\n", oneLine(err))
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
			return errCountReached
		}
		return nil
	})
	if errors.Is(err, errCountReached) || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // Ctrl-C is the normal end of a watch
	}
	return err
}

// print prints one message. Checkpoints are printed only as JSON.
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
			if _, err = fmt.Fprintf(a.stdout, "%-24s  is in   %s%s\n", "", sanitize(p.Profile), fieldText(p.Fields)); err != nil {
				return err
			}
		}
	case "enter", "exit":
		before, op := fmt.Sprintf("%-24s  ", sanitize(m.At)), opText(m.Op)
		after := fmt.Sprintf("  %s%s  (%s)\n", sanitize(m.Profile), fieldText(m.Fields), sanitize(m.Cause))
		if _, isTerminal := terminal(a.stdout); isTerminal {
			fmt.Fprint(a.stdout, before)
			sendControl(a.stdout, opColour(m.Op))
			fmt.Fprint(a.stdout, op)
			sendControl(a.stdout, plainColour)
			before, op = "", ""
		}
		_, err = fmt.Fprint(a.stdout, before+op+after)
	case "resync":
		_, err = fmt.Fprintf(a.stdout, "%-24s  the log no longer reaches back to the cursor (%s): starting over with all members\n", time.Now().UTC().Format(time.RFC3339), sanitize(m.Reason))
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

// fieldText returns the fields as text, in order of their names.
func fieldText(fields map[string]any) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "  %s=%s", sanitize(name), sanitize(fmt.Sprint(fields[name])))
	}
	return b.String()
}

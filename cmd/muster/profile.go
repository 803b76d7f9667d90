package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/musterdb/muster/api"
)

// profileCommand is `muster profile`.
type profileCommand struct {
	Show profileShow `cmd:"" help:"Show what is known about a profile, given any of its ids."`
}

type profileShow struct {
	remote
	ID     string `arg:"" help:"A user id or an anonymous id."`
	Events int    `help:"Also show the last N messages received for it." placeholder:"N"`
	JSON   bool   `help:"Print the node's answer as JSON."`
}

// Run shows a profile.
func (c *profileShow) Run(ctx context.Context, a *app) error {
	p, err := c.client().Profile(ctx, c.ID)
	if err != nil {
		return err
	}
	timeline := &api.Timeline{}
	if c.Events > 0 {
		if timeline, err = c.client().Timeline(ctx, c.ID, "", c.Events); err != nil {
			return err
		}
	}
	if c.JSON {
		out := struct {
			api.Profile
			Timeline []api.Message `json:"timeline,omitempty"`
		}{*p, timeline.Events}
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(out)
	}
	showProfile(a, p)
	if len(timeline.Events) > 0 {
		showTimeline(a, timeline.Events)
	}
	return nil
}

func showProfile(a *app, p *api.Profile) {
	t := newTable(a.stdout)
	row := func(name, value string) {
		if value != "" {
			t.AppendRow(table.Row{sanitize(name), sanitize(value)})
		}
	}
	row("id", p.ID)
	row("user id", p.UserID)
	row("anonymous ids", strings.Join(p.AnonymousIDs, ", "))
	row("first seen", p.FirstSeen)
	row("last seen", p.LastSeen)
	row("segments", strings.Join(p.Segments, ", "))
	t.AppendSeparator()
	var names []string
	for name := range p.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		row(name, cellText(p.Attributes[name]))
	}
	t.AppendSeparator()
	for _, e := range p.Events {
		row(e.Name, fmt.Sprintf("%s, from %s to %s", plural(int(e.Count), "time"), e.First, e.Last))
	}
	t.Render()
}

func showTimeline(a *app, messages []api.Message) {
	t := newTable(a.stdout)
	t.AppendHeader(table.Row{"time", "type", "event", "properties"})
	for _, m := range messages {
		fields := m.Properties
		if len(fields) == 0 {
			fields = m.Traits
		}
		text, err := json.Marshal(fields)
		if err != nil || len(fields) == 0 {
			text = nil
		}
		t.AppendRow(table.Row{sanitize(m.Timestamp), sanitize(m.Type), sanitize(m.Event), sanitize(string(text))})
	}
	t.Render()
}

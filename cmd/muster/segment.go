package main

import (
	"context"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/musterdb/muster/api"
)

// segmentCommand is `muster segment`.
type segmentCommand struct {
	List   segmentList   `cmd:"" help:"List the saved segments."`
	Show   segmentShow   `cmd:"" help:"Show a segment and how many profiles are in it."`
	Create segmentCreate `cmd:"" help:"Save a segment."`
	Drop   segmentDrop   `cmd:"" help:"Drop a segment."`
}

type segmentList struct{ remote }

// Run lists the segments.
func (c *segmentList) Run(ctx context.Context, a *app) error {
	got, err := c.client().Segments(ctx)
	if err != nil {
		return err
	}
	t := newTable(a.stdout)
	t.AppendHeader(table.Row{"segment", "predicate", "described"})
	for _, s := range got.Segments {
		t.AppendRow(table.Row{sanitize(s.Name), sanitize(s.Predicate), sanitize(s.Described)})
	}
	t.Render()
	return nil
}

type segmentShow struct {
	remote
	Name string `arg:"" help:"Name of the segment."`
}

// Run shows one segment.
func (c *segmentShow) Run(ctx context.Context, a *app) error {
	s, err := c.client().Segment(ctx, c.Name)
	if err != nil {
		return err
	}
	count, err := c.client().Query(ctx, api.QueryRequest{Query: "count where in segment " + quoted(s.Name)})
	if err != nil {
		return err
	}
	t := newTable(a.stdout)
	t.AppendRow(table.Row{"segment", sanitize(s.Name)})
	t.AppendRow(table.Row{"predicate", sanitize(s.Predicate)})
	for _, row := range [][2]string{{"described", s.Described}, {"time zone", s.Zone}, {"refresh", s.Refresh}} {
		if row[1] != "" {
			t.AppendRow(table.Row{row[0], sanitize(row[1])})
		}
	}
	if len(count.Rows) == 1 && len(count.Rows[0]) > 0 {
		t.AppendRow(table.Row{"profiles", cellText(count.Rows[0][len(count.Rows[0])-1])})
	}
	t.Render()
	return nil
}

type segmentCreate struct {
	remote
	Name         string `arg:"" help:"Name of the segment."`
	Predicate    string `arg:"" help:"Who is in the segment: an MQL predicate, as after where."`
	Described    string `help:"What it is for."`
	Zone         string `help:"IANA time zone of its calendar windows." placeholder:"ZONE"`
	Refresh      string `help:"How often a ranked segment is recomputed, like 10m." placeholder:"DURATION"`
	AllowUnknown bool   `help:"Accept names that no profile or event has had so far."`
	Replace      bool   `help:"Replace the segment if it exists."`
}

// Run saves a segment.
func (c *segmentCreate) Run(ctx context.Context, a *app) error {
	request := api.SegmentRequest{Predicate: c.Predicate, Described: c.Described, Zone: c.Zone, Refresh: c.Refresh, AllowUnknown: c.AllowUnknown}
	saved, err := c.client().PutSegment(ctx, c.Name, request, c.Replace)
	if err != nil {
		return a.printMistake(c.Predicate, err)
	}
	for i := range saved.Warnings {
		a.warn(c.Predicate, &saved.Warnings[i])
	}
	_, err = fmt.Fprintf(a.stdout, "saved segment %s: %s\n", sanitize(saved.Name), sanitize(saved.Predicate))
	return err
}

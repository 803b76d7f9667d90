package server

import (
	"context"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// starting implements every part of a node before the real one is attached: it is not ready.
type starting struct{}

// startingNode returns the node that serves before the real one is attached.
func startingNode() *Node {
	o := starting{}
	return &Node{Ingest: o, Query: o, Catalog: o, Profiles: o, Segments: o, Members: o, Lists: o, Health: o}
}

func (starting) notReady() error {
	return busy(codes.NotReady, "the node is starting: it is reading its snapshot and log", time.Second)
}

func (o starting) Begin(context.Context, []engine.Incoming, func(catalog.Name) bool) (node.Delivery, error) {
	return nil, o.notReady()
}
func (o starting) Query(context.Context, node.Ask) (*query.Answer, error) { return nil, o.notReady() }
func (o starting) Schema() query.Schema                                   { return nil }
func (o starting) Names(context.Context, query.NameKind) ([]query.NameInfo, error) {
	return nil, o.notReady()
}
func (o starting) About(context.Context, string) (*engine.About, error) { return nil, o.notReady() }
func (o starting) Timeline(context.Context, string, string, int) ([]engine.Received, string, error) {
	return nil, "", o.notReady()
}
func (o starting) People(context.Context, []string, []string) ([]*node.Person, error) {
	return nil, o.notReady()
}
func (o starting) PutSegment(context.Context, node.SegmentText, bool, bool) ([]tree.Diagnostic, error) {
	return nil, o.notReady()
}
func (o starting) DropSegment(context.Context, string) error            { return o.notReady() }
func (o starting) Segments(context.Context) ([]node.SegmentText, error) { return nil, o.notReady() }
func (o starting) Segment(context.Context, string) (node.SegmentText, bool, error) {
	return node.SegmentText{}, false, o.notReady()
}
func (o starting) MemberOf(context.Context, string, string) (bool, error) { return false, o.notReady() }
func (o starting) Members(context.Context, string, string, int, func(string, string) bool) (query.Stats, error) {
	return query.Stats{}, o.notReady()
}
func (o starting) DropList(context.Context, string) error                     { return o.notReady() }
func (o starting) ListEdit(context.Context, string, []string, []string) error { return o.notReady() }
func (o starting) Status(context.Context) node.Status                         { return node.Status{Reason: "opening"} }

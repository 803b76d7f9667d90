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

// opening is each part of the node there is before the real one: it is not ready, whatever it is asked.
type opening struct{}

// openingNode returns the node there is before the real one.
func openingNode() *Node {
	o := opening{}
	return &Node{Ingest: o, Query: o, Catalog: o, Profiles: o, Segments: o, Members: o, Lists: o, Health: o}
}

func (opening) no() error {
	return busy(codes.NotReady, "the node is opening: it reads its snapshot and log", time.Second)
}

func (o opening) Begin(context.Context, []engine.Incoming, func(catalog.Name) bool) (node.Delivery, error) {
	return nil, o.no()
}
func (o opening) Query(context.Context, node.Ask) (*query.Answer, error) { return nil, o.no() }
func (o opening) Schema() query.Schema                                   { return nil }
func (o opening) Names(context.Context, query.NameKind) ([]query.NameInfo, error) {
	return nil, o.no()
}
func (o opening) About(context.Context, string) (*engine.About, error) { return nil, o.no() }
func (o opening) Timeline(context.Context, string, string, int) ([]engine.Received, string, error) {
	return nil, "", o.no()
}
func (o opening) People(context.Context, []string, []string) ([]*node.Person, error) {
	return nil, o.no()
}
func (o opening) PutSegment(context.Context, node.SegmentText, bool, bool) ([]tree.Diagnostic, error) {
	return nil, o.no()
}
func (o opening) DropSegment(context.Context, string) error            { return o.no() }
func (o opening) Segments(context.Context) ([]node.SegmentText, error) { return nil, o.no() }
func (o opening) Segment(context.Context, string) (node.SegmentText, bool, error) {
	return node.SegmentText{}, false, o.no()
}
func (o opening) MemberOf(context.Context, string, string) (bool, error) { return false, o.no() }
func (o opening) Members(context.Context, string, string, int, func(string, string) bool) (query.Stats, error) {
	return query.Stats{}, o.no()
}
func (o opening) DropList(context.Context, string) error                     { return o.no() }
func (o opening) ListEdit(context.Context, string, []string, []string) error { return o.no() }
func (o opening) Status(context.Context) node.Status                         { return node.Status{Reason: "opening"} }

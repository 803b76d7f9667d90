package cluster

import (
	"context"
	"fmt"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Names describes attributes, events, segments or lists and what memory has of them, in ascending order
// of name.
func (n *Node) Names(ctx context.Context, kind query.NameKind) ([]query.NameInfo, error) {
	switch kind {
	case query.AttributeName, query.EventName:
	case query.SegmentName:
		var infos []query.NameInfo
		for _, s := range n.registry.state.Load().Segments() {
			infos = append(infos, query.NameInfo{Name: s.Name, Cardinality: -1})
		}
		return infos, nil
	case query.ListName:
		return n.listNames(ctx)
	default:
		return nil, fmt.Errorf("describe names: kind %d is not supported", kind)
	}
	if err := n.asker.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer n.asker.pool.Leave()
	v := n.takeViews()
	defer v.release()
	return exec.Names(ctx, kind, v.sources())
}

// listNames describes the lists of the catalog. A shard may still have a dropped list, or not have a new
// one yet.
func (n *Node) listNames(ctx context.Context) ([]query.NameInfo, error) {
	v := n.takeViews()
	defer v.release()
	counted, err := exec.Names(ctx, query.ListName, v.sources())
	if err != nil {
		return nil, err
	}
	var infos []query.NameInfo
	for _, l := range n.registry.state.Load().Lists() {
		info := query.NameInfo{Name: l.Name, Cardinality: -1}
		for _, c := range counted {
			if c.Name == l.Name {
				info.Count = c.Count
			}
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// show answers `show segments | events | attributes`.
func (n *Node) show(ctx context.Context, what string) (*query.Answer, error) {
	answer := &query.Answer{}
	switch what {
	case "segments":
		answer.Columns = columns("segment", "string", "predicate", "string", "described", "string", "timezone", "string")
		for _, s := range n.registry.state.Load().Segments() {
			answer.Rows = append(answer.Rows, []tree.Value{tree.Str(s.Name), tree.Str(s.Canonical), textOrNone(s.Described), textOrNone(s.Zone)})
		}
	case "events":
		infos, err := n.Names(ctx, query.EventName)
		if err != nil {
			return nil, err
		}
		answer.Columns = columns("event", "string", "count", "number", "first_seen", "time", "last_seen", "time", "properties", "list")
		for _, info := range infos {
			answer.Rows = append(answer.Rows, []tree.Value{
				tree.Str(info.Name), tree.NumInt(info.Count), timeOrNone(info.FirstSeen), timeOrNone(info.LastSeen), namesOf(info.Properties),
			})
		}
	case "attributes":
		infos, err := n.Names(ctx, query.AttributeName)
		if err != nil {
			return nil, err
		}
		answer.Columns = columns("attribute", "string", "type", "string", "profiles", "number", "values", "number")
		for _, info := range infos {
			answer.Rows = append(answer.Rows, []tree.Value{tree.Str(info.Name), tree.Str(info.Type.String()), tree.NumInt(info.Count), countOrNone(info.Cardinality)})
		}
	default:
		return nil, fmt.Errorf("show %q: unknown", what)
	}
	return answer, nil
}

// describe answers `describe segment|event|attribute X`, with one fact per row.
func (n *Node) describe(ctx context.Context, stmt *tree.DescribeStmt) (*query.Answer, error) {
	switch stmt.What {
	case "segment":
		return n.describeSegment(stmt.Name)
	case "event":
		info, err := n.findName(ctx, query.EventName, "event", stmt.Name)
		if err != nil {
			return nil, err
		}
		answer := &query.Answer{Columns: columns("property", "string", "type", "string", "count", "number", "values", "number", "examples", "list")}
		for _, p := range info.Properties {
			answer.Rows = append(answer.Rows, nameRow(p))
		}
		return answer, nil
	case "attribute":
		info, err := n.findName(ctx, query.AttributeName, "attribute", stmt.Name)
		if err != nil {
			return nil, err
		}
		return &query.Answer{
			Columns: columns("attribute", "string", "type", "string", "profiles", "number", "values", "number", "examples", "list"),
			Rows:    [][]tree.Value{nameRow(*info)},
		}, nil
	}
	return nil, fmt.Errorf("describe %q: unknown", stmt.What)
}

func (n *Node) findName(ctx context.Context, kind query.NameKind, word, name string) (*query.NameInfo, error) {
	infos, err := n.Names(ctx, kind)
	if err != nil {
		return nil, err
	}
	for i := range infos {
		if infos[i].Name == name {
			return &infos[i], nil
		}
	}
	return nil, &node.Error{Code: codes.NotFound, Text: fmt.Sprintf("there is no %s %q", word, name)}
}

func (n *Node) describeSegment(name string) (*query.Answer, error) {
	s, ok := n.registry.state.Load().SegmentText(name)
	if !ok {
		return nil, noSegment(name)
	}
	q := &tree.Query{Zone: s.Zone, Stmt: &tree.CreateStmt{Segment: *s.Tree()}}
	return &query.Answer{
		Columns: columns("segment", "string", "predicate", "string", "described", "string", "timezone", "string", "statement", "string"),
		Rows: [][]tree.Value{{
			tree.Str(s.Name), tree.Str(s.Canonical), textOrNone(s.Described), textOrNone(s.Zone), tree.Str(syntax.Format(q)),
		}},
	}, nil
}

func columns(pairs ...string) []query.Column {
	all := make([]query.Column, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		all = append(all, query.Column{Name: pairs[i], Type: pairs[i+1]})
	}
	return all
}

func nameRow(info query.NameInfo) []tree.Value {
	examples := make([]tree.Value, 0, len(info.Examples))
	for _, v := range info.Examples {
		if v.Type != tree.ListType {
			examples = append(examples, v)
		}
	}
	return []tree.Value{
		tree.Str(info.Name), tree.Str(info.Type.String()), tree.NumInt(info.Count), countOrNone(info.Cardinality), tree.ListOf(examples...),
	}
}

func namesOf(infos []query.NameInfo) tree.Value {
	names := make([]tree.Value, 0, len(infos))
	for _, info := range infos {
		names = append(names, tree.Str(info.Name))
	}
	return tree.ListOf(names...)
}

func textOrNone(s string) tree.Value {
	if s == "" {
		return tree.Value{}
	}
	return tree.Str(s)
}

func timeOrNone(ms int64) tree.Value {
	if ms == 0 {
		return tree.Value{}
	}
	return tree.Time(ms)
}

func countOrNone(n int64) tree.Value {
	if n < 0 {
		return tree.Value{}
	}
	return tree.NumInt(n)
}

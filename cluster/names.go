package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// maxExamples is the number of example values of a name.
const maxExamples = 5

// Names describes attributes, events or segments with what memory holds of them, in ascending order
// of name.
func (n *Node) Names(ctx context.Context, kind query.NameKind) ([]engine.NameInfo, error) {
	switch kind {
	case query.AttributeName, query.EventName:
	case query.SegmentName:
		var infos []engine.NameInfo
		for _, s := range n.registry.state.Load().Segments() {
			infos = append(infos, engine.NameInfo{Name: s.Name, Cardinality: -1})
		}
		return infos, nil
	case query.ListName:
		return n.listNames(), nil
	default:
		return nil, fmt.Errorf("describe names: kind %d has no page", kind)
	}
	if err := n.asker.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer n.asker.pool.Leave()
	v := n.takeViews()
	defer v.release()
	merged := map[string]*engine.NameInfo{}
	for _, view := range v.all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		mergeNames(merged, view.NameInfo(kind))
	}
	infos := make([]engine.NameInfo, 0, len(merged))
	for _, info := range merged {
		infos = append(infos, *info)
	}
	return sortNames(infos), nil
}

func (n *Node) listNames() []engine.NameInfo {
	v := n.takeViews()
	defer v.release()
	var infos []engine.NameInfo
	for _, l := range n.registry.state.Load().Lists() {
		info := engine.NameInfo{Name: l.Name, Cardinality: -1}
		for _, view := range v.all {
			info.Count += int64(len(view.ListIDs(l.ID)))
		}
		infos = append(infos, info)
	}
	return infos
}

// mergeNames adds one shard's descriptions. Shards hold different profiles but maybe the same
// values, so distinct ones are counted by their hashes; where a shard has too many the number is not
// known.
func mergeNames(into map[string]*engine.NameInfo, infos []engine.NameInfo) {
	for _, info := range infos {
		have, ok := into[info.Name]
		if !ok {
			into[info.Name] = &info
			continue
		}
		have.Hashes = append(have.Hashes, info.Hashes...)
		slices.Sort(have.Hashes)
		have.Hashes = slices.Compact(have.Hashes)
		if info.Cardinality < 0 || have.Cardinality < 0 {
			have.Cardinality = -1
		} else {
			have.Cardinality = int64(len(have.Hashes))
		}
		for _, v := range info.Examples {
			if len(have.Examples) < maxExamples && !contains(have.Examples, v) {
				have.Examples = append(have.Examples, v)
			}
		}
		switch {
		case have.Count == 0:
			have.FirstSeen, have.LastSeen = info.FirstSeen, info.LastSeen
		case info.Count > 0: // times before 1970 are negative, so 0 does not say "none"
			have.FirstSeen, have.LastSeen = min(have.FirstSeen, info.FirstSeen), max(have.LastSeen, info.LastSeen)
		}
		have.Count += info.Count
		have.MemoryBytes += info.MemoryBytes
		have.Overflowed = have.Overflowed || info.Overflowed
		have.Mismatched += info.Mismatched
		have.Properties = mergeProperties(have.Properties, info.Properties)
	}
}

func mergeProperties(a, b []engine.NameInfo) []engine.NameInfo {
	if len(b) == 0 {
		return a
	}
	merged := map[string]*engine.NameInfo{}
	mergeNames(merged, a)
	mergeNames(merged, b)
	all := make([]engine.NameInfo, 0, len(merged))
	for _, info := range merged {
		all = append(all, *info)
	}
	return sortNames(all)
}

func contains(values []tree.Value, v tree.Value) bool {
	for _, w := range values {
		if w.Equal(v) {
			return true
		}
	}
	return false
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
		return nil, fmt.Errorf("show %q: not known", what)
	}
	return answer, nil
}

// describe answers `describe segment|event|attribute X`: one fact a row.
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
	return nil, fmt.Errorf("describe %q: not known", stmt.What)
}

func (n *Node) findName(ctx context.Context, kind query.NameKind, word, name string) (*engine.NameInfo, error) {
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

func nameRow(info engine.NameInfo) []tree.Value {
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

func namesOf(infos []engine.NameInfo) tree.Value {
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

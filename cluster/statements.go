package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/member"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// catalogStatement answers the statements about the catalog; ok is false for others.
func (n *Node) catalogStatement(ctx context.Context, q *tree.Query, text string) (answer *query.Answer, ok bool, err error) {
	switch stmt := q.Stmt.(type) {
	case *tree.CreateStmt:
		answer, err = n.createStatement(ctx, q, stmt, text)
	case *tree.DropStmt:
		if err = n.DropSegment(ctx, stmt.Name); err == nil {
			answer = &query.Answer{Columns: []query.Column{{Name: "segment", Type: "string"}}, Rows: [][]tree.Value{{tree.Str(stmt.Name)}}}
		} else {
			err = locate(err, stmt.At, text)
		}
	case *tree.ShowStmt:
		answer, err = n.show(ctx, stmt.What)
	case *tree.DescribeStmt:
		if answer, err = n.describe(ctx, stmt); err != nil {
			err = locate(err, stmt.At, text)
		}
	default:
		return nil, false, nil
	}
	if answer != nil {
		v := n.takeViews()
		answer.Stats.Now, answer.Stats.Shards = v.now, v.stats()
		v.release()
	}
	return answer, true, err
}

// locate turns an error about a name into a diagnostic at the name.
func locate(err error, at tree.Span, text string) error {
	if e, ok := err.(*node.Error); ok && (e.Code == codes.NoSegment || e.Code == codes.NotFound || e.Code == codes.InUse || e.Code == codes.BadName) {
		return (&tree.Diagnostic{Code: e.Code, Message: e.Text, At: at}).Locate(text)
	}
	return err
}

func (n *Node) createStatement(ctx context.Context, q *tree.Query, stmt *tree.CreateStmt, text string) (*query.Answer, error) {
	segment := stmt.Segment
	segment.Zone = q.Zone
	warnings, err := n.saveSegment(ctx, q, stmt, segment)
	if err != nil {
		if d, ok := err.(*tree.Diagnostic); ok {
			return nil, d.Locate(text)
		}
		return nil, locate(err, stmt.At, text)
	}
	return &query.Answer{
		Columns:  []query.Column{{Name: "segment", Type: "string"}, {Name: "predicate", Type: "string"}},
		Rows:     [][]tree.Value{{tree.Str(segment.Name), tree.Str(syntax.FormatPred(segment.Pred))}},
		Warnings: located(warnings, text),
	}, nil
}

func located(warnings []tree.Diagnostic, text string) []tree.Diagnostic {
	for i := range warnings {
		warnings[i].Locate(text)
	}
	return warnings
}

// PutSegment saves a segment from the text of its predicate. Names it does not know are an error, or
// warnings if allowUnknown.
func (n *Node) PutSegment(ctx context.Context, s node.SegmentText, replace, allowUnknown bool) ([]tree.Diagnostic, error) {
	pred, err := syntax.ParsePred(s.Predicate, syntax.Limits{})
	if err != nil {
		return nil, err
	}
	refresh, err := refreshDuration(s.Refresh)
	if err != nil {
		return nil, err
	}
	segment := tree.Segment{Name: s.Name, Described: s.Described, Refresh: refresh, Zone: s.Zone, Pred: pred}
	stmt := &tree.CreateStmt{Replace: replace, AllowUnknown: allowUnknown, Segment: segment}
	warnings, err := n.saveSegment(ctx, &tree.Query{Stmt: stmt, Zone: s.Zone}, stmt, segment)
	if d, ok := err.(*tree.Diagnostic); ok {
		return nil, d.Locate(s.Predicate)
	}
	return located(warnings, s.Predicate), err
}

func refreshDuration(d time.Duration) (tree.Duration, error) {
	if d < 0 || d%time.Second != 0 {
		return tree.Duration{}, refused(codes.Refused, fmt.Sprintf("refresh is %v, want whole seconds", d))
	}
	if d == 0 {
		return tree.Duration{}, nil
	}
	return tree.Duration{N: int64(d / time.Second), Unit: tree.Second}, nil
}

// saveSegment checks a segment against the newest catalog and proposes it. The check is repeated against
// the state that the change is made from, so that two segments saved at the same time cannot form a
// cycle.
func (n *Node) saveSegment(ctx context.Context, q *tree.Query, stmt *tree.CreateStmt, segment tree.Segment) ([]tree.Diagnostic, error) {
	if err := tree.CheckText("a description", segment.Described, maxDescribed); err != nil {
		return nil, refused(codes.Refused, err.Error())
	}
	var warnings []tree.Diagnostic
	admitted := false
	text := syntax.FormatPred(segment.Pred)
	if err := refuseKeptSets(n.registry.state.Load(), segment.Pred); err != nil {
		return nil, err
	}
	kept, err := n.keepPastMembers(ctx, segment.Pred, segment.Zone)
	if err != nil {
		return nil, err
	}
	state, err := n.definer.change(ctx, func(s *catalog.State) (catalog.Change, error) {
		_, exists := s.SegmentText(segment.Name)
		if exists && !stmt.Replace {
			return catalog.Change{}, &node.Error{Code: codes.SegmentExists, Text: fmt.Sprintf("segment %q exists already; use create or replace", segment.Name)}
		}
		if err := checkNewName(segment.Name, exists); err != nil {
			return catalog.Change{}, err
		}
		zone := segment.Zone
		if zone == "" {
			zone = s.Zone() // fixed: a later change of the workspace's zone does not change the segment
		}
		checked := *q
		checked.Zone = zone
		var err error
		if _, warnings, err = check.Statement(&checked, s.Schema()); err != nil {
			return catalog.Change{}, err
		}
		saved, err := savedText(s, kept)
		if err != nil {
			return catalog.Change{}, err
		}
		change := catalog.Change{Kind: catalog.PutSegment, Segment: catalog.Segment{
			Name: segment.Name, Described: segment.Described, Text: saved, Canonical: text, Zone: zone, Refresh: segment.Refresh,
		}}
		admitted = true
		return change, n.prices.admit(s, change)
	})
	if err != nil {
		if admitted {
			n.prices.withdraw(segment.Name)
		}
		return nil, err
	}
	if err := n.awaitCatalog(ctx, state.Version()); err != nil {
		return nil, err
	}
	if member.HasRank(segment.Pred) { // get its first members now, not when the refresher runs
		if err := n.refresh(ctx, segment.Name); err != nil {
			n.config.Log.Warn("cannot refresh the new segment", "segment", segment.Name, "err", err)
		}
	}
	return warnings, n.dropUnusedKept(ctx)
}

// maxDescribed is the largest length of a description, in bytes.
const maxDescribed = 4 << 10

// checkNewName refuses misleading names. A name that exists already may still be used.
func checkNewName(name string, given bool) error {
	if err := tree.CheckName(name); err != nil && !given {
		return refused(codes.BadName, err.Error())
	}
	return nil
}

// DropSegment removes a segment. It is refused while other segments use it.
func (n *Node) DropSegment(ctx context.Context, name string) error {
	state, err := n.definer.change(ctx, func(s *catalog.State) (catalog.Change, error) {
		if _, ok := s.SegmentText(name); !ok {
			return catalog.Change{}, noSegment(name)
		}
		if user, ok := segmentUser(s, name); ok {
			return catalog.Change{}, refused(codes.InUse, fmt.Sprintf("segment %q uses segment %q: drop or replace it first", user, name))
		}
		return catalog.Change{Kind: catalog.DropSegment, Name: name}, nil
	})
	if err != nil {
		return err
	}
	if err := n.awaitCatalog(ctx, state.Version()); err != nil {
		return err
	}
	if n.isSkipped(name) {
		if err := n.snapshotAll(ctx); err != nil {
			return err
		}
	}
	return n.dropUnusedKept(ctx)
}

// DropList removes a static list with all its ids. It is refused while segments use it.
func (n *Node) DropList(ctx context.Context, name string) error {
	state, err := n.definer.change(ctx, func(s *catalog.State) (catalog.Change, error) {
		if _, ok := s.List(name); !ok || s.IsKept(name) {
			return catalog.Change{}, noList(name)
		}
		if users := listUsers(s, name); len(users) > 0 {
			return catalog.Change{}, refused(codes.InUse, fmt.Sprintf("list %q is used by %s: drop or replace them first", name, users))
		}
		return catalog.Change{Kind: catalog.DropList, Name: name}, nil
	})
	if err != nil {
		return err
	}
	return n.awaitCatalog(ctx, state.Version())
}

// maxUsers is the largest number of segments that an error names.
const maxUsers = 5

// listUsers names the segments whose predicates use a list.
func listUsers(s *catalog.State, name string) (users string) {
	n := 0
	for _, other := range s.Segments() {
		if !usesList(other.Tree().Pred, name) {
			continue
		}
		if n++; n > maxUsers {
			return users + " and others"
		}
		if n > 1 {
			users += ", "
		}
		users += fmt.Sprintf("segment %q", other.Name)
	}
	return users
}

// usesList reports whether a predicate uses a list. Segments in the predicate are not searched.
func usesList(p tree.Pred, name string) bool {
	return tree.Any(p, func(n tree.Node) bool {
		asked, is := n.(*tree.InList)
		return is && asked.Name == name
	})
}

func noList(name string) error {
	return &node.Error{Code: codes.NoList, Text: fmt.Sprintf("there is no list %q", name)}
}

// segmentUser returns a segment whose predicate uses another one.
func segmentUser(s *catalog.State, name string) (user string, ok bool) {
	for _, other := range s.Segments() {
		asks := tree.Any(other.Tree().Pred, func(n tree.Node) bool {
			asked, is := n.(*tree.InSegment)
			return is && asked.Name == name
		})
		if asks && other.Name != name {
			return other.Name, true
		}
	}
	return "", false
}

func noSegment(name string) error {
	return &node.Error{Code: codes.NoSegment, Text: fmt.Sprintf("there is no segment %q", name)}
}

// ListEdit adds and removes ids of a static list. It makes the list if there is none and its name is
// allowed.
func (n *Node) ListEdit(ctx context.Context, list string, add, remove []string) error {
	state := n.registry.state.Load()
	if state.IsKept(list) || strings.HasPrefix(list, keptPrefix) {
		return refused(codes.BadName, fmt.Sprintf("list %q: a list name must not begin with %s", list, keptPrefix))
	}
	_, given := state.List(list)
	if err := checkNewName(list, given); err != nil {
		return err
	}
	return n.editList(ctx, catalog.Change{Kind: catalog.PutList, Name: list}, add, remove)
}

// editList edits a static list or a kept set, which the given change of the catalog makes if there is
// none. Every shard has the ids that are placed in it, whether or not they have a profile yet.
func (n *Node) editList(ctx context.Context, made catalog.Change, add, remove []string) error {
	list := made.Name
	if err := n.watch.admit(); err != nil {
		return err
	}
	state, err := n.definer.change(ctx, func(s *catalog.State) (catalog.Change, error) {
		if _, ok := s.List(list); ok {
			return catalog.Change{}, nil
		}
		return made, nil
	})
	if err != nil {
		return err
	}
	id, ok := state.List(list)
	if !ok {
		return fmt.Errorf("edit list %q: it is not in catalog version %d", list, state.Version())
	}
	updates := make([][]engine.ListUpdate, len(n.shards))
	n.spread(updates, id, add, func(u *engine.ListUpdate, id string) { u.Add = append(u.Add, id) })
	n.spread(updates, id, remove, func(u *engine.ListUpdate, id string) { u.Remove = append(u.Remove, id) })
	for shard, parts := range updates {
		for _, update := range parts {
			encode := func(now int64) []byte { return engine.EncodeListUpdate(now, update) }
			if _, err := n.shards[shard].proposer.do(ctx, state.Version(), listPart*32, encode); err != nil {
				if now, ok := n.registry.state.Load().List(list); !ok || now != id {
					return noList(list) // it has been dropped
				}
				return fmt.Errorf("edit list %q in shard %d: %w", list, shard, err)
			}
		}
	}
	return nil
}

// listPart is the largest number of ids in one entry.
const listPart = 4096

func (n *Node) spread(updates [][]engine.ListUpdate, list uint32, ids []string, put func(*engine.ListUpdate, string)) {
	for _, id := range ids {
		shard := place(id, len(n.shards))
		parts := updates[shard]
		if len(parts) == 0 || len(parts[len(parts)-1].Add)+len(parts[len(parts)-1].Remove) >= listPart {
			parts = append(parts, engine.ListUpdate{List: list})
		}
		put(&parts[len(parts)-1], id)
		updates[shard] = parts
	}
}

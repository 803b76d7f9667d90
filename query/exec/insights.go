package exec

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/tree"
)

const (
	insightRows = 100
	// insightValues is the most values of an attribute that takes part. One with more identifies
	// profiles rather than describing what they share.
	insightValues = 100_000
)

// contrast counts what the profiles inside and outside have, over all partials. The key of a group is
// kind, name and value; its two cells count the profiles inside and outside that have it.
type contrast struct {
	groups          *groups
	inside, outside int64
	skipped         map[string]bool // attributes with too many values
}

func newContrast(p *Plan) contrast {
	return contrast{groups: newGroups(&p.budget, tree.CountFn, tree.CountFn), skipped: map[string]bool{}}
}

func (c *contrast) add(parts []*Partial) error {
	for _, part := range parts {
		c.inside += part.Members
		c.outside += part.Others
		for _, name := range part.Skipped {
			c.skipped[name] = true
		}
		if err := c.groups.add(part.Groups); err != nil {
			return err
		}
	}
	skipMany(c.groups.all, c.skipped)
	return nil
}

// insights is `insights where P [against P]`.
type insights struct {
	stmt *tree.InsightsStmt
	contrast
}

func newInsights(p *Plan, s *tree.InsightsStmt) (statement, error) {
	return &insights{s, newContrast(p)}, nil
}

func (in *insights) preds() []tree.Pred { return []tree.Pred{in.stmt.Where, in.stmt.Against} }

func (in *insights) partial(ctx context.Context, w *worker, _ int) error {
	where, err := w.bind(in.stmt.Where)
	if err != nil {
		return err
	}
	var against *eval.Evaluator
	if in.stmt.Against != nil {
		if against, err = w.bind(in.stmt.Against); err != nil {
			return err
		}
	}
	facts, err := w.newFacts()
	if err != nil {
		return err
	}
	var inside, outside query.Bits
	err = w.profiles(ctx, func(all *query.Bits) error {
		where.Chunk(w.chunk, all, &inside)
		if against != nil {
			against.Chunk(w.chunk, all, &outside)
		} else {
			outside = *all
			outside.AndNot(&inside)
		}
		w.part.Members += int64(inside.Count())
		w.part.Others += int64(outside.Count())
		return facts.count(w, &inside, &outside)
	})
	w.part.Groups, w.part.Skipped = facts.groups()
	return err
}

// facts counts what profiles have: strings, booleans, list items, and events they ever did.
type facts struct {
	attributes []*attributeFacts
	events     []*eventFacts
}

// factBytes is charged for an attribute or event whose facts are counted, in addition to what is bound
// for it.
const factBytes = 1024

type attributeFacts struct {
	name    string
	dim     *dimension
	groups  *groups
	skipped bool
}

type eventFacts struct {
	name  string
	did   *eval.Evaluator
	cells [2]Cell
}

func (w *worker) newFacts() (*facts, error) {
	f := &facts{}
	var err error
	shared := w.scratch.Vector() // attributes are read one after the other
	w.plan.schema.Names(query.AttributeName, "", func(name string, t tree.Type) bool {
		id, _, ok := w.plan.schema.Attribute(name)
		if !ok || id < query.FirstAttribute || t != tree.StringType && t != tree.BoolType && t != tree.ListType {
			return true
		}
		if err = w.charge(factBytes); err != nil {
			return false
		}
		a := &attributeFacts{name: name, groups: newGroups(&w.plan.budget, tree.CountFn, tree.CountFn)}
		a.dim, err = w.newDimension(tree.Dimension{Name: &tree.Name{Name: name}}, shared)
		f.attributes = append(f.attributes, a)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	w.plan.schema.Names(query.EventName, "", func(name string, _ tree.Type) bool {
		if err = w.charge(factBytes); err != nil {
			return false
		}
		e := &eventFacts{name: name}
		e.did, err = w.bind(&tree.Did{Step: tree.Step{Event: name}})
		f.events = append(f.events, e)
		return err == nil
	})
	return f, err
}

// factWork is the approximate minimum time to count an attribute or event in a chunk, in nanoseconds.
const factWork = 2000

// count adds the profiles of a chunk; inside and outside may overlap.
func (f *facts) count(w *worker, inside, outside *query.Bits) error {
	either := *inside
	either.Or(outside)
	if !either.Any() {
		return nil
	}
	for _, a := range f.attributes {
		if a.skipped {
			continue
		}
		if !w.scratch.Spend(factWork) {
			return w.scratch.Err()
		}
		w.dims = []*dimension{a.dim}
		assigned, err := w.assign(&either, a.groups)
		if err != nil {
			return err
		}
		for pos := range either.All {
			for _, i := range assigned.of(pos) {
				a.groups.all[i].count(inside.Has(pos), outside.Has(pos))
			}
		}
		if a.skipped = len(a.groups.all) > insightValues; a.skipped {
			a.groups.drop()
		}
	}
	var did query.Bits
	for _, e := range f.events {
		if !w.scratch.Spend(factWork) {
			return w.scratch.Err()
		}
		e.did.Chunk(w.chunk, &either, &did)
		both := did
		both.And(inside)
		e.cells[0].N += int64(both.Count())
		did.And(outside)
		e.cells[1].N += int64(did.Count())
	}
	return nil
}

func (g *Group) count(inside, outside bool) {
	if inside {
		g.Cells[0].N++
	}
	if outside {
		g.Cells[1].N++
	}
}

// groups returns the counts, and the attributes with too many values.
func (f *facts) groups() (all []Group, skipped []string) {
	for _, a := range f.attributes {
		if a.skipped {
			skipped = append(skipped, a.name)
			continue
		}
		for _, g := range a.groups.all {
			if !g.Key[0].Missing() {
				all = append(all, Group{Key: []tree.Value{tree.Str("attribute"), tree.Str(a.name), g.Key[0]}, Cells: g.Cells})
			}
		}
	}
	for _, e := range f.events {
		if e.cells[0].N+e.cells[1].N > 0 {
			all = append(all, Group{Key: []tree.Value{tree.Str("event"), tree.Str(e.name), {}}, Cells: e.cells[:]})
		}
	}
	return all, skipped
}

func (in *insights) merge(_ int, parts []*Partial) (bool, error) {
	err := in.add(parts)
	return err == nil, err
}

// skipMany adds the attributes that have too many values over all partials together.
func skipMany(all []Group, skipped map[string]bool) {
	values := map[string]int{}
	for _, g := range all {
		if g.Key[0].Str == "attribute" {
			values[g.Key[1].Str]++
		}
	}
	for name, n := range values {
		if n > insightValues {
			skipped[name] = true
		}
	}
}

func (in *insights) answer() (*query.Answer, error) {
	a := &query.Answer{Columns: []query.Column{{Name: "kind", Type: "string"}, {Name: "name", Type: "string"}, {Name: "value", Type: "string"},
		{Name: "inside", Type: "number"}, {Name: "outside", Type: "number"}, {Name: "lift", Type: "number"}}}
	type scored struct {
		*Group
		gap int64 // |inside − outside| × both numbers of profiles: an integer, so equal gaps compare equal
	}
	var all []scored
	for i := range in.groups.all {
		g := &in.groups.all[i]
		if in.skipped[g.Key[1].Str] && g.Key[0].Str == "attribute" {
			continue
		}
		all = append(all, scored{g, abs(g.Cells[0].N*max(in.outside, 1) - g.Cells[1].N*max(in.inside, 1))})
	}
	all = firstRows(all, insightRows, &in.groups.budget.halt, func(a, b scored) int {
		if a.gap != b.gap {
			return cmp.Compare(b.gap, a.gap)
		}
		return compareRows(a.Key, b.Key)
	})
	for _, g := range all {
		inside := float64(g.Cells[0].N) / float64(max(in.inside, 1))
		outside := float64(g.Cells[1].N) / float64(max(in.outside, 1))
		lift := tree.Value{}
		if outside > 0 {
			lift = float(inside / outside)
		}
		a.Rows = append(a.Rows, append(slices.Clip(g.Key), float(inside), float(outside), lift))
	}
	a.Warnings = skippedWarnings(in.skipped)
	return a, nil
}

func skippedWarnings(skipped map[string]bool) []tree.Diagnostic {
	var names []string
	for name := range skipped {
		names = append(names, name)
	}
	sort.Strings(names)
	var warnings []tree.Diagnostic
	for _, name := range names {
		warnings = append(warnings, tree.Diagnostic{Code: tree.CodeAttributeLeftOut,
			Message: fmt.Sprintf("attribute %s has more than %d values and was left out", name, insightValues)})
	}
	return warnings
}

func abs(i int64) int64 {
	if i < 0 {
		return -i
	}
	return i
}

// float returns a finite float64 as a number.
func float(f float64) tree.Value {
	n, _ := tree.FromFloat(f)
	return tree.Num(n)
}

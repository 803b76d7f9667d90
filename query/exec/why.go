package exec

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/tree"
)

// why is `why profile "x" where P`: a row for every clause with its verdict, the facts behind it, and
// when it can next change without a new event.
type why struct {
	stmt *tree.WhyStmt
	rows []Row
}

func newWhy(_ *Plan, s *tree.WhyStmt) (statement, error) { return &why{stmt: s}, nil }

func (y *why) preds() []tree.Pred { return []tree.Pred{y.stmt.Where} }

func (y *why) partial(_ context.Context, w *worker, _ int) error {
	for w.nextChunk() {
		ordinal, ok := w.src.Find(y.stmt.Profile)
		if !ok || int(ordinal>>query.ChunkBits) != w.chunk {
			continue
		}
		w.part.Profiles++
		m, err := match.Compile(match.Env{Schema: w.plan.schema, Zone: w.env.Zone, Cuts: w.env.Cuts, Inputs: w.plan.inputs}, y.stmt.Where)
		if err != nil {
			return err
		}
		p := match.NewProfile(w.src, w.plan.schema, ordinal)
		rows := clauseRows(w.src.ID(ordinal), m.Explain(p, w.env.Now), 0)
		user, ok := w.src.UserID(ordinal)
		rows[0].Keys = []tree.Value{tree.Bool(ok && user == y.stmt.Profile)}
		rows[0].Place = w.place(uint16(ordinal & (query.ChunkSize - 1)))
		w.part.Rows = better(w.part.Rows, rows)
	}
	return nil
}

// better returns the rows of the preferred one of two profiles; either may be missing. A user id is
// preferred to the same text as an anonymous id of another profile, then the lower place.
func better(a, b []Row) []Row {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	case a[0].Keys[0].True() != b[0].Keys[0].True():
		if a[0].Keys[0].True() {
			return a
		}
		return b
	case a[0].Place <= b[0].Place:
		return a
	}
	return b
}

// clauseRows returns rows for a clause and its parts, indented by nesting depth.
func clauseRows(id string, c match.Clause, depth int) []Row {
	flips, facts := tree.Value{}, tree.Value{}
	switch {
	case c.Bounded: // no change up to this time; there need not be one then
		c.Facts = strings.TrimPrefix(c.Facts+"; no change before "+time.UnixMilli(c.Flips).UTC().Format(time.DateOnly), "; ")
	case c.Flips != calendar.Forever:
		flips = tree.Time(c.Flips)
	}
	if c.Facts != "" {
		facts = tree.Str(c.Facts)
	}
	text := strings.Repeat("  ", depth) + c.Text
	rows := []Row{{ID: id, Values: []tree.Value{tree.Str(text), tree.Bool(c.True), facts, flips}}}
	for _, arg := range c.Args {
		rows = append(rows, clauseRows(id, arg, depth+1)...)
	}
	return rows
}

func (y *why) merge(_ int, parts []*Partial) (bool, error) {
	for _, part := range parts {
		y.rows = better(y.rows, part.Rows)
	}
	return true, nil
}

func (y *why) answer() (*query.Answer, error) {
	if len(y.rows) == 0 {
		return nil, &tree.Diagnostic{Code: tree.CodeUnknownProfile, At: y.stmt.At, Message: fmt.Sprintf("there is no profile %q", y.stmt.Profile),
			Hint: "give a user id or an anonymous id as it was sent"}
	}
	a := &query.Answer{Columns: []query.Column{{Name: "clause", Type: "string"}, {Name: "holds", Type: "boolean"},
		{Name: "facts", Type: "string"}, {Name: "next_change", Type: "time"}}}
	for _, r := range y.rows {
		a.Rows = append(a.Rows, r.Values)
	}
	return a, nil
}

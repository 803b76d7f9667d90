package querytest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

var statements = flag.Int("statements", 300, "number of random statements to compare")

// TestStatementsAgree compares statements over 1, 3 and 8 shards, in whole sources and in single chunks, with
// the oracle.
func TestStatementsAgree(t *testing.T) {
	pool := exec.NewPool(2) // one pool for all statements, so that they reuse buffers
	defer pool.Close()
	failures := 0
	const perHistory = 5
	for i := 0; i < *statements && failures < 4; i += perHistory {
		seed := *firstSeed + uint64(i/perHistory)
		rng := rand.New(rand.NewPCG(seed, 4))
		g := NewGen(rng, 6+int(seed%3)*20)
		extreme := seed%4 == 0
		if extreme {
			g.MoveToExtremes()
		}
		schema := NewSchema(g.History)
		oracle, err := NewOracle(g.History, g.Now, g.Zone)
		if err != nil {
			t.Fatal(err)
		}
		sources := map[int][]*Source{}
		for _, shards := range []int{1, 3, 8} {
			sources[shards] = NewSources(g.History, schema, shards, rng)
		}
		for range perHistory {
			stmt := g.Stmt()
			if extreme && overTime(stmt) { // it would have a row for each of millions of days
				continue
			}
			want := oracle.Rows(stmt)
			for _, shards := range []int{1, 3, 8} {
				q := &tree.Query{Stmt: stmt, Zone: g.Zone}
				got, err := ask(pool, q, schema, g.Now, sources[shards])
				if err == nil {
					err = sameRows(got.Rows, want)
				}
				if err != nil {
					failures++
					t.Errorf("seed %d, %d shards:\n  %s\n%v", seed, shards, syntax.Format(q), err)
					break
				}
			}
		}
	}
}

// overTime reports whether a statement has a row for each bucket of time.
func overTime(s tree.Stmt) bool {
	switch s := s.(type) {
	case *tree.TrendStmt, *tree.RetentionStmt:
		return true
	case *tree.ExplainStmt:
		return overTime(s.Stmt)
	}
	return false
}

// ask checks and answers a statement.
func ask(pool *exec.Pool, q *tree.Query, s query.Schema, now int64, sources []*Source) (*query.Answer, error) {
	checked, warnings, err := check.Statement(q, s)
	if err != nil {
		return nil, err
	}
	a, err := answer(pool, checked, s, now, sources)
	if err != nil {
		return nil, err
	}
	a.Warnings = append(warnings, a.Warnings...)
	return a, nil
}

// answer runs a statement chunk by chunk, where a source has several partials, in a pool, where a partial
// covers several sources, and scattered over nodes. It returns an error if the answers differ.
func answer(pool *exec.Pool, q *tree.Query, s query.Schema, now int64, sources []*Source) (*query.Answer, error) {
	want, err := answerChunks(q, s, now, sources)
	if err != nil {
		return nil, err
	}
	got, err := answerPool(pool, q, s, now, sources)
	if err != nil {
		return nil, err
	}
	if err := sameRows(got.Rows, want.Rows); err != nil && !timed(q) {
		return nil, fmt.Errorf("in a pool: %w", err)
	}
	scattered, err := answerScattered(pool, q, s, now, sources)
	if err != nil {
		return nil, fmt.Errorf("scattered over nodes: %w", err)
	}
	if err := sameRows(scattered.Rows, got.Rows); err != nil && !timed(q) {
		return nil, fmt.Errorf("scattered over nodes: %w", err)
	}
	if err := sameWarnings(scattered.Warnings, got.Warnings); err != nil {
		return nil, fmt.Errorf("scattered over nodes: %w", err)
	}
	return want, nil
}

// timed reports whether the answer contains durations, which differ from run to run.
func timed(q *tree.Query) bool {
	_, ok := q.Stmt.(*tree.ExplainStmt)
	return ok
}

func answerPool(pool *exec.Pool, q *tree.Query, s query.Schema, now int64, sources []*Source) (*query.Answer, error) {
	plan, err := exec.Prepare(q, s, exec.Options{Now: now})
	if err != nil {
		return nil, err
	}
	all := make([]query.Source, len(sources))
	for i, src := range sources {
		all[i] = src
	}
	if err := pool.Enter(context.Background()); err != nil {
		return nil, err
	}
	defer pool.Leave()
	return pool.Ask(context.Background(), plan, all)
}

func answerChunks(q *tree.Query, s query.Schema, now int64, sources []*Source) (*query.Answer, error) {
	p, err := exec.Prepare(q, s, exec.Options{Now: now})
	if err != nil {
		return nil, err
	}
	for {
		var parts []*exec.Partial
		for shard, src := range sources {
			for chunk := range src.Chunks() {
				part, err := p.Partial(context.Background(), exec.Shard{Number: shard, Source: src}, chunk, chunk+1)
				if err != nil {
					return nil, err
				}
				parts = append(parts, part)
			}
		}
		done, err := p.Merge(parts)
		if err != nil {
			return nil, err
		}
		if done {
			return p.Answer()
		}
	}
}

func sameRows(got, want [][]tree.Value) error {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("%d rows, want %d; row %d is missing: %s", len(got), len(want), i, showRow(want[i]))
		case i >= len(want):
			return fmt.Errorf("%d rows, want %d; row %d is not expected: %s", len(got), len(want), i, showRow(got[i]))
		case !slices.EqualFunc(got[i], want[i], tree.Value.Equal):
			return fmt.Errorf("row %d: %s, want %s", i, showRow(got[i]), showRow(want[i]))
		}
	}
	return nil
}

func showRow(row []tree.Value) string {
	text := ""
	for _, v := range row {
		if v.Missing() {
			text += "null | "
			continue
		}
		text += show(v) + " | "
	}
	return text
}

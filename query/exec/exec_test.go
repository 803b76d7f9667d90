package exec_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// shop is a history of n customers with a plan each and three orders.
func shop(n int) *querytest.History {
	h := &querytest.History{}
	for i := range n {
		p := querytest.Profile{UserID: fmt.Sprintf("user-%05d", i), Attrs: map[string]tree.Value{
			"email": tree.Str(fmt.Sprintf("u%d@example.com", i)), "ltv": tree.NumInt(int64(i * 7 % 1000)),
			"plan": tree.Str([]string{"free", "pro", "team"}[i%3]),
		}}
		for k := range 3 {
			p.Events = append(p.Events, querytest.Event{Name: "Order", Time: int64(i*1000 + k*86_400_000),
				Props: map[string]tree.Value{"amount": tree.NumInt(int64(k))}})
		}
		h.Profiles = append(h.Profiles, p)
	}
	return h
}

const now = 10 * 86_400_000

func prepare(t testing.TB, h *querytest.History, text string, opts exec.Options) (*exec.Plan, error) {
	t.Helper()
	q, err := syntax.Parse(text, syntax.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	schema := querytest.NewSchema(h)
	checked, _, err := check.Statement(q, schema)
	if err != nil {
		t.Fatal(err)
	}
	opts.Now = now
	return exec.Prepare(checked, schema, opts)
}

func sources(h *querytest.History, shards int) []query.Source {
	var all []query.Source
	for _, s := range querytest.NewSources(h, querytest.NewSchema(h), shards, rand.New(rand.NewPCG(1, 1))) {
		all = append(all, s)
	}
	return all
}

func run(t *testing.T, h *querytest.History, text string, opts exec.Options) (*query.Answer, error) {
	t.Helper()
	p, err := prepare(t, h, text, opts)
	if err != nil {
		return nil, err
	}
	return p.Run(t.Context(), sources(h, 2))
}

func code(err error) string {
	var d *tree.Diagnostic
	if errors.As(err, &d) {
		return d.Code
	}
	return ""
}

func TestStatementsAreBounded(t *testing.T) {
	h := shop(500)
	for _, text := range []string{"count by email", "list email", "stats distinct(email)", "rfm of Order ever by amount",
		"count where in top 50% by ltv", "stats median(ltv)"} {
		_, err := run(t, h, text, exec.Options{Budget: 4096})
		if code(err) != "statement_too_large" {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := run(t, h, text, exec.Options{}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := run(t, h, "count by plan limit 100001", exec.Options{}); code(err) != "limit_too_large" {
		t.Error(err)
	}
	if _, err := run(t, h, "trend Order since 1900-01-01 by hour", exec.Options{}); code(err) != "statement_too_large" {
		t.Error(err)
	}
}

// What evaluators and tallies hold while they count is bounded, too, and given back after each partial.
func TestCountersAreBounded(t *testing.T) {
	h := shop(500)
	busy := &h.Profiles[0]
	for i := range int64(200) {
		busy.Events = append(busy.Events, querytest.Event{Name: "Order", Time: i * 3_600_000})
	}
	sums := make([]string, 40)
	for i := range sums {
		sums[i] = fmt.Sprintf("sum(amount) of Order in last %d days > 1000", 3000+i)
	}
	for _, text := range []string{"count where " + strings.Join(sums, " or "), "trend Order in last 60 days by hour of users"} {
		if _, err := run(t, h, text, exec.Options{Budget: 1 << 20}); code(err) != "statement_too_large" {
			t.Errorf("%s: %v", text, err)
		}
		p, err := prepare(t, h, text, exec.Options{Budget: 96 << 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range exec.Shards(sources(h, 20)) {
			if _, err := p.Partial(t.Context(), s, 0, s.Chunks()); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	}
}

// A list with a limit holds no more than twice its rows, however many profiles there are.
func TestShortListsAreCheap(t *testing.T) {
	a, err := run(t, shop(2000), "list email order by ltv desc limit 3", exec.Options{Budget: 16_000})
	if err != nil || len(a.Rows) != 3 {
		t.Fatal(err, a)
	}
	a, err = run(t, shop(100), "list", exec.Options{MaxRows: 7})
	if err != nil || len(a.Rows) != 7 || a.Rows[6][0].Str != "user-00006" {
		t.Fatal(err, a)
	}
}

func TestCancel(t *testing.T) {
	h := shop(10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{"count", "list", "overlap ltv > 1, ltv > 2", "count where in top 1 by ltv"} {
		p, err := prepare(t, h, text, exec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Run(ctx, sources(h, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNotHere(t *testing.T) {
	for _, text := range []string{"show segments", "drop segment \"x\"", "create segment \"x\" as ltv > 1"} {
		if _, err := prepare(t, shop(1), text, exec.Options{}); !errors.Is(err, exec.ErrNotHere) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Nodes prepare the same statement each and share nothing but partials and the state.
func TestScatteredRoundsAgree(t *testing.T) {
	h := shop(300)
	shards := sources(h, 3)
	for _, text := range []string{
		"count where in top 10% by ltv or in bottom 3 by count of Order by plan",
		"lookalike of ltv > 900 top 5",
		"list ltv where in top 5 by sum(amount) of Order",
	} {
		want, err := run(t, h, text, exec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		home, err := prepare(t, h, text, exec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for done := false; !done; {
			var parts []*exec.Partial
			for _, s := range exec.Shards(shards) {
				node, err := prepare(t, h, text, exec.Options{})
				if err != nil {
					t.Fatal(err)
				}
				node.Resume(home.State())
				part, err := node.Partial(t.Context(), s, 0, s.Chunks())
				if err != nil {
					t.Fatal(err)
				}
				parts = append(parts, part)
			}
			if done, err = home.Merge(parts); err != nil {
				t.Fatal(err)
			}
		}
		got, err := home.Answer()
		if err != nil {
			t.Fatal(err)
		}
		same := slices.EqualFunc(got.Rows, want.Rows, func(a, b []tree.Value) bool { return slices.EqualFunc(a, b, tree.Value.Equal) })
		if !same || len(got.Rows) == 0 {
			t.Errorf("%s: %v, want %v", text, got.Rows, want.Rows)
		}
	}
}

// explain analyze counts what each clause was asked and let through.
func TestExplainAnalyze(t *testing.T) {
	a, err := run(t, shop(300), `explain analyze count where plan = "pro" and not (ltv >= 500 or did Order in last 1 day)`, exec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		text     string
		in, kept int64
	}
	want := []line{
		{`count where plan = "pro" and not (ltv >= 500 or did "Order" in last 1 day)`, 300, 0},
		{"  and", 300, 0}, {`    plan = "pro"`, 300, 100}, {"    not", 100, 0}, {"      or", 100, 0}, {"        ltv >= 500", 100, 0}, {`        did "Order" in last 1 day`, 0, 0},
	}
	matching, high := int64(0), int64(0)
	for i := 1; i < 300; i += 3 {
		if i*7%1000 >= 500 {
			high++
		} else {
			matching++
		}
	}
	want[0].kept, want[1].kept, want[3].kept = matching, matching, matching
	want[4].kept, want[5].kept, want[6].in = high, high, matching
	for i, w := range want {
		if i >= len(a.Rows) {
			t.Fatalf("%d rows", len(a.Rows))
		}
		r := a.Rows[i]
		if r[0].Str != w.text || r[2].Int != w.in || r[3].Int != w.kept || r[4].Int != w.in-w.kept {
			t.Errorf("row %d: %v, want %+v", i, r, w)
		}
	}
	if a.Stats.Profiles == 0 {
		t.Error("no profiles looked at")
	}
}

package exec_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// shop returns a history of n customers, each with a plan and three orders.
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

// The memory of evaluators and totals is charged, too, and refunded after each partial.
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

// The memory of a list with a limit depends on the limit, not on the number of profiles.
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

// Nodes that each prepare the same statement share only partials and the state.
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

// explain analyze counts the profiles each clause was evaluated for, and those that satisfied it.
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
		t.Error("no profiles were counted")
	}
}

// sourceWithInputs is a source with the inputs of a statement.
type sourceWithInputs struct {
	query.Source
	inputs []query.Set
}

func (g sourceWithInputs) Inputs() []query.Set { return g.inputs }

// idSet is the set of the profiles of a source that have one of the ids.
type idSet struct {
	src query.Source
	ids map[string]bool
}

func (s idSet) Fill(chunk int, out *query.Bits) {
	var all query.Bits
	s.src.Profiles(chunk, &all)
	*out = query.Bits{}
	for pos := range all.All {
		if s.ids[s.src.ID(uint32(chunk)<<query.ChunkBits|uint32(pos))] {
			out.Set(pos)
		}
	}
}

// inputCases are statements with their inputs and with what their answers contain.
var inputCases = []struct{ text, inputs, want string }{
	{`list where in segment "rich"`, "rich", "user-00001 user-00004 user-00030"},
	{`list where in segment "pros" or in segment "rich" and plan = "free"`, "rich", "user-00001 user-00004 user-00030"},
	{`list where in segment "rich" and not was in segment "plain" at 1970-01-03`, "rich, was plain", "user-00004 user-00030"},
	{`list where in segment "pros" and was in segment "plain" at 1970-01-03 and was in segment "plain" at 1970-01-03`, "rich, was plain", "user-00001"},
	{`count by in segment "rich"`, "rich", "37 3"},
	{`list where in segment "plain" and ltv < 20`, "", "user-00001 user-00002"},
	{`why profile "user-00005" where not in segment "pros" and was in segment "plain" at 1970-01-03`, "rich, was plain", "not in segment"},
	{`explain count where in segment "rich"`, "", "as of its last refresh"},
	{`list where in segment "rich" as of 1970-01-05`, "", ""},
}

// Held segments and past memberships are inputs: the plan lists each once, and the sources provide them. A statement
// uses them as members, and fails if a source does not provide them.
func TestInputs(t *testing.T) {
	h := shop(40)
	pred := func(text string) tree.Pred {
		p, err := syntax.ParsePred(text, syntax.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	h.Segments = []*tree.Segment{
		{Name: "rich", Zone: "UTC", Pred: pred("in top 10 by ltv")}, {Name: "pros", Zone: "UTC", Pred: pred(`plan = "pro" and in segment "rich"`)},
		{Name: "plain", Zone: "UTC", Pred: pred(`ltv > 3`)},
	}
	members := map[string]map[string]bool{
		"rich": {"user-00001": true, "user-00004": true, "user-00030": true}, "was plain": {"user-00001": true, "user-00005": true},
	}
	held := func(segment string) (uint64, bool) { return 7, segment == "rich" }
	for _, c := range inputCases {
		plan, err := prepare(t, h, c.text, exec.Options{Held: held})
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		var names []string
		for _, in := range plan.Inputs() {
			if name := in.Segment; in.Past {
				names = append(names, "was "+name)
			} else if names = append(names, name); in.Version != 7 {
				t.Errorf("%s: input %+v has the wrong version", c.text, in)
			}
		}
		if got := strings.Join(names, ", "); got != c.inputs {
			t.Errorf("%s: inputs %q, want %q", c.text, got, c.inputs)
		}
		shards := sources(h, 3)
		if len(names) > 0 {
			if _, err := plan.Run(t.Context(), shards); err == nil || !strings.Contains(err.Error(), "inputs") {
				t.Errorf("%s: without its inputs: %v, want an error about inputs", c.text, err)
			}
		}
		if plan, err = prepare(t, h, c.text, exec.Options{Held: held}); err != nil {
			t.Fatal(err)
		}
		for i, src := range shards {
			g := sourceWithInputs{Source: src}
			for _, name := range names {
				g.inputs = append(g.inputs, idSet{src, members[name]})
			}
			shards[i] = g
		}
		a, err := plan.Run(t.Context(), shards)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		got := fmt.Sprint(a.Rows)
		for _, want := range strings.Fields(c.want) {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", c.text, got, c.want)
			}
		}
		if n := len(strings.Fields(c.want)); strings.HasPrefix(c.text, "list") && c.want != "" && len(a.Rows) != n {
			t.Errorf("%s: %d rows, want %d: %s", c.text, len(a.Rows), n, got)
		}
	}
}

// Members come in the order of shards and chunks, in pages that continue after the last one. Has agrees with them for
// each profile.
func TestMembers(t *testing.T) {
	h := shop(200)
	schema := querytest.NewSchema(h)
	parsed, err := syntax.ParsePred("in top 40% by ltv and plan != \"pro\"", syntax.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	pred, _, err := check.Predicate(parsed, schema)
	if err != nil {
		t.Fatal(err)
	}
	pool := exec.NewPool(2)
	defer pool.Close()
	if err := pool.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer pool.Leave()
	shards := sources(h, 3)
	find := func(after int64, limit int) (places []int64) {
		plan, err := exec.PrepareMembers(pred, schema, exec.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		defer plan.Release()
		sets, err := pool.Members(t.Context(), plan, shards, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range sets {
			for pos := range roaring.Values(set.Members) {
				places = append(places, int64(set.Place)|int64(pos))
			}
		}
		return places
	}
	all := find(-1, 0)
	if !slices.IsSorted(all) || len(all) < 20 {
		t.Fatalf("%d members, sorted %t", len(all), slices.IsSorted(all))
	}
	in := map[string]bool{}
	for i, place := range all {
		in[shards[place>>32].ID(uint32(place))] = true
		if got := find(place, 1+i%7); !slices.Equal(got, all[i+1:i+1+len(got)]) || len(got) < min(1+i%7, len(all)-i-1) {
			t.Fatalf("after member %d: got %v, want the first of %v", i, got, all[i+1:])
		}
	}
	for i := range 210 {
		id := fmt.Sprintf("user-%05d", i)
		plan, err := exec.PrepareHas(pred, id, 0, schema, exec.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		got, known, err := pool.Has(t.Context(), plan, shards)
		if err != nil || got != in[id] || known != (i < 200) {
			t.Fatalf("%s: %t, %t, %v, want %t", id, got, known, err, in[id])
		}
		plan.Release()
	}
}

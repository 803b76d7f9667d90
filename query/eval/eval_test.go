package eval_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/eval"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

func at(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

func num(text string) tree.Value {
	n, ok := tree.ParseNumber(text)
	if !ok {
		panic(text)
	}
	return tree.Num(n)
}

type props = map[string]tree.Value

// now is the instant of all test predicates. Some events are exactly at the edges of their windows.
const now = "2026-03-31T12:00:00Z"

func shop() *querytest.History {
	event := func(name, when string, p props) querytest.Event {
		return querytest.Event{Name: name, Time: at(when), Props: p}
	}
	return &querytest.History{
		Zone: "Europe/Berlin",
		Lists: map[string][]string{
			"newsletter": {"ann", "nobody-yet", "x-1"},
		},
		Profiles: []querytest.Profile{
			{UserID: "ann", Attrs: props{"country": tree.Str("BR"), "age": num("25"), "vip": tree.Bool(true),
				"tags": tree.ListOf(tree.Str("a"), tree.Str("b")), "born": tree.Time(at("1990-04-01T00:00:00Z"))},
				Events: []querytest.Event{
					event("Buy", "2026-03-01T12:00:00Z", props{"amount": num("0.1"), "kind": tree.Str("shoes")}),
					event("Buy", "2026-03-01T12:00:00.001Z", props{"amount": num("0.2"), "kind": tree.Str("hats")}),
					event("Buy", "2026-03-31T12:00:00Z", props{"amount": num("10"), "kind": tree.Str("shoes")}),
					event("Buy", "2026-03-31T12:00:00.001Z", props{"amount": num("1000"), "kind": tree.Str("future")}),
					event("View", "2026-03-31T11:00:00Z", props{"kind": tree.Str("shoes")}),
				}},
			{UserID: "bob", Attrs: props{"country": tree.Str(""), "age": num("34.5"), "vip": tree.Bool(false)},
				Events: []querytest.Event{
					event("View", "2026-03-30T22:30:00Z", props{"kind": tree.Str("hats")}), // 31 March in Berlin
					event("View", "2026-03-30T21:30:00Z", props{"kind": tree.Str("hats")}),
					event("Buy", "2026-03-30T22:30:00Z", props{"amount": num("5")}),
				}},
			{UserID: "cyd", Attrs: props{"age": num("9007199254740993")},
				Events: []querytest.Event{
					event("View", "2026-02-01T00:00:00Z", props{"kind": tree.Str("bags")}),
					event("View", "2026-02-01T00:00:00Z", props{"kind": tree.Str("hats")}),
					event("Buy", "2026-04-30T00:00:00Z", props{"amount": num("5")}),
				}},
			{Anonymous: []string{"x-1"}},
		},
	}
}

// fixture evaluates predicates over a history in random encodings.
type fixture struct {
	schema  *querytest.Schema
	sources []*querytest.Source
	env     eval.Env
}

func newFixture(t *testing.T, h *querytest.History, seed uint64) *fixture {
	t.Helper()
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		t.Fatal(err)
	}
	a := &fixture{schema: querytest.NewSchema(h)}
	a.sources = querytest.NewSources(h, a.schema, 2, rand.New(rand.NewPCG(seed, 1)))
	a.env = eval.Env{Schema: a.schema, Now: at(now), Zone: zone, Cuts: map[*tree.Rank]query.Cut{}}
	return a
}

func (a *fixture) pred(t *testing.T, text string) tree.Pred {
	t.Helper()
	p, err := syntax.ParsePred(text, syntax.Limits{})
	if err != nil {
		t.Fatalf("parse %s: %v", text, err)
	}
	p, _, err = check.Predicate(p, a.schema)
	if err != nil {
		t.Fatalf("check %s: %v", text, err)
	}
	return p
}

// chunks calls fn with every chunk and the profiles in it.
func (a *fixture) chunks(fn func(shard, chunk int, profiles *query.Bits)) {
	for shard, src := range a.sources {
		for chunk := range src.Chunks() {
			var profiles query.Bits
			src.Profiles(chunk, &profiles)
			fn(shard, chunk, &profiles)
		}
	}
}

func (a *fixture) members(t *testing.T, text string) string {
	t.Helper()
	p := a.pred(t, text)
	ranks, err := eval.Ranks(&a.env, p)
	if err != nil {
		t.Fatalf("ranks of %s: %v", text, err)
	}
	for _, q := range ranks {
		var whole eval.RankPart
		a.chunks(func(shard, chunk int, profiles *query.Bits) {
			var part eval.RankPart
			q.On(a.sources[shard]).Chunk(shard, chunk, profiles, &part)
			q.Merge(&whole, &part)
		})
		end := q.End(&whole)
		var ids []string
		for _, place := range end.Who {
			ids = append(ids, a.sources[place>>32].ID(uint32(place)))
		}
		a.env.Cuts[q.Node] = end.Cut(ids)
	}
	compiled, err := eval.Compile(&a.env, p)
	if err != nil {
		t.Fatalf("compile %s: %v", text, err)
	}
	var ids []string
	a.chunks(func(shard, chunk int, profiles *query.Bits) {
		src := a.sources[shard]
		var out query.Bits
		compiled.On(src).Chunk(chunk, profiles, &out)
		for pos := range out.All {
			ids = append(ids, src.ID(uint32(chunk)<<query.ChunkBits|uint32(pos)))
		}
	})
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

const everyone = "ann bob cyd x-1"

// predicates has a line for each form of predicate, with its members at now.
var predicates = []struct{ text, want string }{
	{`everyone`, everyone},
	{`country = "BR"`, "ann"},
	{`country != "BR"`, "bob cyd x-1"},
	{`country = ""`, "bob"},
	{`country is not set`, "cyd x-1"},
	{`country < "C"`, "ann bob"},
	{`nothing = 1 or nothing != 1`, everyone},
	{`not vip`, "bob cyd x-1"},
	{`vip = false`, "bob"},
	{`age = 9007199254740993`, "cyd"},
	{`age = 9007199254740992`, ""},
	{`age between 25 and 34.5`, "ann bob"},
	{`age between 25 and age`, "ann bob cyd"},
	{`age / 0 > 1 or not age / 0 > 1`, everyone},
	{`30 < age`, "bob cyd"},
	{`tags has all ("a", "b")`, "ann"},
	{`tags not has any ("b")`, "bob cyd x-1"},
	{`born is anniversary in next 1 day`, "ann"},
	{`born = 1990-04-01`, "ann"},
	{`born < 1990-04-01 or born > 1990-04-01`, ""},
	{`user_id = "ann"`, "ann"},
	{`user_id = "x-1"`, ""},
	{`anonymous_id = "x-1"`, "x-1"},
	{`last_seen = 2026-03-31T12:00:00Z`, "ann"},
	{`last_seen < 2026-03-01`, "cyd"},
	{`first_seen is not set`, "x-1"},
	{`did "Buy"`, "ann bob"},
	{`did not "Buy"`, "cyd x-1"},
	{`did "Buy" in last 30 days`, "ann bob"},
	{`did "Buy" exactly 2 times in last 30 days`, "ann"}, // the event 30 days ago is outside the window, the one at now inside
	{`did "Buy" at most 0 times`, "cyd x-1"},
	{`did "Buy" fewer than 0 times`, ""},
	{`did "Buy" fewer than 3 times`, "bob cyd x-1"},
	{`did "Buy" between 0 and 1 times`, "bob cyd x-1"},
	{`did "Nothing" at least 0 times`, everyone},
	{`did "Buy" where (kind != "shoes")`, "ann bob"},
	{`did "Buy" where (kind = "hats" or amount >= 10) at least 2 times`, "ann"},
	{`did "Buy" where (amount > 100)`, ""},
	{`first did "Buy" in last 30 days`, "bob"},
	{`first did "Buy" where (kind = "hats") in last 30 days`, "ann"},
	{`last did "View" more than 30 days ago`, "cyd"},
	{`sum(amount) of "Buy" where (amount < 1) = 0.3`, "ann"},
	{`sum(amount) of "Buy" = 0`, "cyd x-1"},
	{`avg(amount) of "Buy" is not set`, "cyd x-1"},
	{`count of "Buy" > count of "View"`, "ann"},
	{`count of "Buy" / count of "View" >= 0.5`, "ann bob"},
	{`days of "View" = 2`, "bob"},
	{`distinct(kind) of "View" = 2`, "cyd"},
	{`first(kind) of "View" = "bags"`, "cyd"}, // of two values in one millisecond, the smaller counts as earlier
	{`last(kind) of "View" = "hats"`, "bob cyd"},
	{`favorite(kind) of "Buy" = "shoes"`, "ann"},
	{`favorite(kind) of "View" = "hats"`, "bob cyd"},
	{`max(amount * 2) of "Buy" = 20`, "ann"},
	{`did "View" then "Buy" within 1 hour`, "ann bob"},
	{`did "View" then "Buy" within 59 minutes`, ""}, // bob's later View is in the same millisecond as his Buy
	{`did "View" then not "Buy" within 1 hour`, "bob cyd"},
	{`did "View" then not "Buy" within 2 hours`, "bob cyd"}, // ann still has an hour left
	{`did "View" then "Buy" where (kind = previous.kind) within 1 day`, "ann"},
	{`did "Buy" then "Buy" then "Buy"`, "ann"},
	{`in list "newsletter"`, "ann x-1"},
	{`in sample "s" 0% to 100%`, everyone},
	{`in top 1 by age`, "cyd"},
	{`in bottom 34% by age`, "ann bob"},
	{`in top 100% by count of "Buy"`, "ann bob"},
	{`in top 1 by distinct(kind) of "View"`, "cyd"},
	{`not in top 1 by age and country is set`, "ann bob"},
}

func TestPredicates(t *testing.T) {
	for seed := range uint64(4) {
		a := newFixture(t, shop(), seed)
		for _, c := range predicates {
			if got := a.members(t, c.text); got != c.want {
				t.Errorf("seed %d: %s: %q, want %q", seed, c.text, got, c.want)
			}
		}
	}
}

// TestRankTies: equal values are ordered by id, at both ends of a rank, in whatever parts the keys
// arrive.
func TestRankTies(t *testing.T) {
	h := &querytest.History{}
	for i := range 10 {
		h.Profiles = append(h.Profiles, querytest.Profile{UserID: fmt.Sprintf("u%d", (i*7)%10), Attrs: props{"n": num(fmt.Sprint(i % 2))}})
	}
	a := newFixture(t, h, 3)
	for text, want := range map[string]string{
		`in top 3 by n`:    "u1 u3 u5",
		`in bottom 3 by n`: "u0 u2 u4",
		`in top 51% by n`:  "u0 u1 u3 u5 u7 u9",
		`in top 0 by n`:    "",
		`in top 99 by n`:   "u0 u1 u2 u3 u4 u5 u6 u7 u8 u9",
	} {
		if got := a.members(t, text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

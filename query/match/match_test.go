package match_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/calendar"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/match"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// noon is now: a Sunday.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMilli()

// ann returns a history with one profile that has a value of each type and a few events, and another
// profile.
func ann() *querytest.History {
	seconds := func(s int64) int64 { return noon + s*1000 }
	event := func(name string, at int64, amount int64, category string) querytest.Event {
		return querytest.Event{Name: name, Time: seconds(at), Props: map[string]tree.Value{"amount": tree.NumInt(amount), "category": tree.Str(category)}}
	}
	return &querytest.History{
		Zone: "UTC", Lists: map[string][]string{"vips": {"ann"}, "others": {"bob"}},
		Segments: []*tree.Segment{{Name: "buyers", Pred: parse(`did B`)}, {Name: "aucklanders", Zone: "Pacific/Auckland", Pred: parse(`did A on 2026-11-22`)}},
		Profiles: []querytest.Profile{
			{UserID: "ann", Anonymous: []string{"anon-1", "anon-2"},
				Attrs: map[string]tree.Value{"country": tree.Str("BR"), "age": tree.NumInt(34), "ltv": tree.Num(tree.Decimal(1999, 2)), "vip": tree.Bool(true), "at": tree.Time(seconds(-60)),
					"born": tree.Time(time.Date(1984, 11, 23, 0, 0, 0, 0, time.UTC).UnixMilli()), "tags": tree.ListOf(tree.Str("a"), tree.Str("b"))},
				Events: []querytest.Event{event("A", -100, 2, "x"), event("A", -10, 1, "y"), event("B", -5, 3, "x"), event("A", 50, 9, "x")}},
			{UserID: "bob", Attrs: map[string]tree.Value{"plan": tree.Str("pro")}, Events: []querytest.Event{{Name: "C", Time: seconds(-1)}}}, // names that ann has no values of
		},
	}
}

func parse(text string) tree.Pred {
	p, err := syntax.ParsePred(text, syntax.Limits{})
	if err != nil {
		panic(err)
	}
	return p
}

// verdicts has predicates, whether each holds for ann at noon, and the second at which the passing of
// time alone may change that; - means never.
var verdicts = []struct {
	text  string
	want  bool
	until string
}{
	{"everyone", true, "-"}, {"not everyone", false, "-"},
	{"vip", true, "-"}, {"not vip", false, "-"},
	{`country = "BR"`, true, "-"}, {`country = "br"`, false, "-"}, {`country != "BR"`, false, "-"}, {`plan = "pro"`, false, "-"}, {`plan != "pro"`, true, "-"}, // missing
	{"age > 33", true, "-"}, {"age > 34", false, "-"}, {"age >= 34", true, "-"}, {"34 <= age", true, "-"}, {"35 <= age", false, "-"}, {"age < 34", false, "-"}, {"age <= 34", true, "-"}, {"age = 34.0", true, "-"},
	{"ltv * 2 = 39.98", true, "-"}, {"ltv / 0 > 1", false, "-"}, {"age > ltv", true, "-"}, {"age between 30 and 34", true, "-"}, {"age between 35 and 99", false, "-"}, {"age between 34 and 34", true, "-"},
	{`country in ("AR", "BR")`, true, "-"}, {`country not in ("AR", "BR")`, false, "-"}, {"age in (1, 34)", true, "-"}, {"plan is set", false, "-"}, {"plan is not set", true, "-"}, {"ltv is set", true, "-"},
	{`country contains "R"`, true, "-"}, {`country contains "r"`, false, "-"}, {`country contains "r" ignoring case`, true, "-"}, {`country starts with "B"`, true, "-"}, {`country ends with "B"`, false, "-"}, {`country matches "^B.$"`, true, "-"}, {`plan contains ""`, false, "-"},
	{`tags has "a"`, true, "-"}, {`tags has "c"`, false, "-"}, {`tags has any ("c", "b")`, true, "-"}, {`tags has all ("a", "b")`, true, "-"}, {`tags has all ("a", "c")`, false, "-"},
	{`user_id = "ann"`, true, "-"}, {`anonymous_id = "anon-1"`, true, "-"}, {`anonymous_id = "anon-2"`, false, "-"},
	{"at in last 2 minutes", true, "60"}, {"at in last 1 minute", false, "-"}, {"at more than 1 minute ago", true, "-"}, {"at more than 2 minutes ago", false, "60"}, {"at between 1 and 2 minutes ago", true, "60"}, {"at in next 1 minute", false, "-"},
	{"at today", true, "43200"}, {"at yesterday", false, "43200"}, {"at on 2026-11-22", true, "-"}, {"at since 2026-11-23", false, "-"}, {"at before 2026-11-23", true, "-"}, {"at > 2026-11-21", true, "-"}, {"at = 2026-11-22", true, "-"},
	{"born is anniversary today", false, "43200"}, {"born is anniversary in next 1 day", true, "43200"}, {"born is anniversary on 2026-11-23", true, "43200"},
	{"did A", true, "50"}, {"did C", false, "-"}, {"did not A", false, "50"}, {"did A exactly 2 times", true, "50"}, {"did A at least 3 times", false, "50"}, {"did A at most 2 times", true, "50"},
	{"did A in last 10 seconds", false, "50"}, {"did A in last 11 seconds", true, "1"}, {"did A more than 10 seconds ago", true, "50"}, {"did B more than 10 seconds ago", false, "5"}, {"did B between 2 and 6 seconds ago", true, "1"},
	{`did A where (category = "x")`, true, "50"}, {`did A where (category = "z")`, false, "-"}, {"did B where (amount > 2 and not category = \"y\")", true, "-"},
	{"first did A in last 60 seconds", false, "50"}, {"first did A more than 99 seconds ago", true, "50"}, {"last did A in last 60 seconds", true, "50"}, {"last did C", false, "-"},
	{"did A then B within 5 seconds", true, "50"}, {"did A then B within 4 seconds", false, "50"}, {"did B then A", false, "50"}, {"did A then not B within 4 seconds", true, "50"}, {"did B then not A within 6 seconds", false, "1"}, {`did A where (category = "y") then not B within 5 seconds`, false, "-"}, {`did A where (category = "y") then not B within 4 seconds`, true, "-"},
	{"did A then B where (amount > previous.amount) within 5 seconds", true, "50"}, {"did A then A then B", true, "50"},
	{"count of A > 1", true, "50"}, {"sum(amount) of A = 3", true, "50"}, {"avg(amount) of A = 1.5", true, "50"}, {"min(amount) of A = 1", true, "50"}, {"max(amount) of A = 2", true, "50"}, {"first(category) of A = \"x\"", true, "50"},
	{"last(category) of A = \"y\"", true, "50"}, {"distinct(category) of A = 2", true, "50"}, {"favorite(category) of B = \"x\"", true, "-"}, {"sum(amount) of C > 0", false, "-"}, {"count of A in last 11 seconds = 1", true, "1"},
	{"last_seen in last 6 seconds", true, "1"}, {"first_seen more than 99 seconds ago", true, "-"},
	{`in list "vips"`, true, "-"}, {`in list "others"`, false, "-"}, {`in segment "buyers"`, true, "-"}, {`not in segment "buyers"`, false, "-"}, {`in segment "aucklanders"`, false, "50"}, {"did A on 2026-11-22", true, "50"}, {`in sample "s" 0% to 100%`, true, "-"},
	{"did B and did A in last 11 seconds", true, "1"}, {"did C or did A in last 11 seconds", true, "1"},
}

// TestVerdicts checks each of them in several layouts of the same facts, and that nothing changes
// before the promised instant.
func TestVerdicts(t *testing.T) {
	h := ann()
	schema := querytest.NewSchema(h)
	for _, c := range verdicts {
		p, _, err := check.Predicate(parseFor(t, c.text), schema)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		m, err := match.Compile(match.Env{Schema: schema}, p)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		for seed := range uint64(3) {
			src := querytest.NewSources(h, schema, 1, rand.New(rand.NewPCG(seed, 71)))[0]
			ordinal, _ := src.Find("ann")
			profile := match.NewProfile(src, schema, ordinal)
			v := m.Match(profile, noon)
			until := "-"
			if v.Until != calendar.Forever {
				until = fmt.Sprint(float64(v.Until-noon) / 1000)
			}
			if v.True != c.want || until != c.until {
				t.Errorf("%s: %t until %s, want %t until %s", c.text, v.True, until, c.want, c.until)
				break
			}
			for _, later := range []int64{noon + 1, noon + 999, noon + 1000, noon + 49_999, noon + 43_199_999} {
				if later < v.Until && m.Match(profile, later).True != v.True {
					t.Errorf("%s changes before %s, at %d", c.text, until, later-noon)
				}
			}
		}
	}
}

func parseFor(t *testing.T, text string) tree.Pred {
	p, err := syntax.ParsePred(text, syntax.Limits{})
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return &tree.Everyone{}
	}
	return p
}

// TestRank: values above a cut are within the rank, values at the cut are decided by id, and compiling
// fails without a cut.
func TestRank(t *testing.T) {
	h := ann()
	schema := querytest.NewSchema(h)
	src := querytest.NewSources(h, schema, 1, rand.New(rand.NewPCG(1, 72)))[0]
	ordinal, _ := src.Find("ann")
	for _, bottom := range []bool{false, true} {
		rank := &tree.Rank{By: &tree.Name{Name: "age"}, Bottom: bottom}
		if _, err := match.Compile(match.Env{Schema: schema}, rank); err == nil {
			t.Error("a rank compiles without a cut")
		}
		for _, c := range []struct {
			cut  query.Cut
			want bool
		}{
			{cutAt(33, "zed"), !bottom}, {cutAt(35, "zed"), bottom}, {cutAt(34, "ann"), true}, {cutAt(34, "bob"), true}, {cutAt(34, "al"), false}, {query.Cut{None: true}, false},
		} {
			m, err := match.Compile(match.Env{Schema: schema, Cuts: map[*tree.Rank]query.Cut{rank: c.cut}}, rank)
			if err != nil {
				t.Fatal(err)
			}
			if v := m.Match(match.NewProfile(src, schema, ordinal), noon); v.True != c.want {
				t.Errorf("bottom %t, cut %+v: %t", bottom, c.cut, v.True)
			}
		}
	}
}

func cutAt(age int64, id string) (c query.Cut) {
	c.Last.Value, c.Last.ID = tree.Int(age), id
	return c
}

// TestExplain checks the verdict of each part, the facts it is based on, and when time changes it.
func TestExplain(t *testing.T) {
	h := ann()
	schema := querytest.NewSchema(h)
	p, _, err := check.Predicate(parse(`(did A in last 11 seconds or plan = "pro") and not (age > 40 and vip) and in segment "buyers"`), schema)
	if err != nil {
		t.Fatal(err)
	}
	m, err := match.Compile(match.Env{Schema: schema}, p)
	if err != nil {
		t.Fatal(err)
	}
	src := querytest.NewSources(h, schema, 1, rand.New(rand.NewPCG(1, 73)))[0]
	ordinal, _ := src.Find("ann")
	var out strings.Builder
	var write func(c match.Clause, depth int)
	write = func(c match.Clause, depth int) {
		flips := ""
		if c.Flips != calendar.Forever {
			flips = fmt.Sprint(" until ", (c.Flips-noon)/1000)
		}
		fmt.Fprintf(&out, "%s%t%s: %s [%s]\n", strings.Repeat("  ", depth), c.True, flips, c.Text, c.Facts)
		for _, arg := range c.Args {
			write(arg, depth+1)
		}
	}
	write(m.Explain(match.NewProfile(src, schema, ordinal), noon), 0)
	const want = `true until 1: (did "A" in last 11 seconds or plan = "pro") and not (age > 40 and vip) and in segment "buyers" []
  true until 1: did "A" in last 11 seconds or plan = "pro" []
    true until 1: did "A" in last 11 seconds [1 event, at 2026-11-22T11:59:50Z]
    false: plan = "pro" [plan is not set]
  true: not (age > 40 and vip) []
    false: age > 40 and vip []
      false: age > 40 [age is 34]
      true: vip [vip is true]
  true: in segment "buyers" []
    true: did "B" [1 event, at 2026-11-22T11:59:55Z]
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

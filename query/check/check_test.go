package check

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// catalog is a small fixed Schema.
type catalog struct {
	attributes map[string]tree.Type
	properties map[string]map[string]tree.Type
	segments   map[string]*tree.Segment
}

func (c *catalog) Attribute(name string) (uint32, tree.Type, bool) {
	t, ok := c.attributes[name]
	return query.FirstAttribute, t, ok
}

func (c *catalog) Event(name string) (uint32, bool) {
	i := slices.Index(c.events(), name)
	return uint32(i), i >= 0
}

func (c *catalog) events() []string {
	var names []string
	for name := range c.properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *catalog) Property(event uint32, name string) (uint32, tree.Type, bool) {
	t, ok := c.properties[c.events()[event]][name]
	return 0, t, ok
}

func (c *catalog) Segment(name string) (*tree.Segment, bool) {
	s, ok := c.segments[name]
	return s, ok
}

func (c *catalog) List(name string) (uint32, bool) { return 1, name == "newsletter" }
func (c *catalog) Zone() string                    { return "Europe/Berlin" }

func (c *catalog) Names(kind query.NameKind, event string, yield func(string, tree.Type) bool) {
	names := map[string]tree.Type{}
	switch kind {
	case query.AttributeName:
		names = c.attributes
	case query.EventName:
		for _, e := range c.events() {
			names[e] = tree.NoType
		}
	case query.PropertyName:
		names = c.properties[event]
	case query.SegmentName:
		for s := range c.segments {
			names[s] = tree.NoType
		}
	case query.ListName:
		names["newsletter"] = tree.NoType
	}
	var sorted []string
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		if !yield(name, names[name]) {
			return
		}
	}
}

func testCatalog(t *testing.T) *catalog {
	t.Helper()
	c := &catalog{
		attributes: map[string]tree.Type{
			"country": tree.StringType, "county": tree.StringType, "plan": tree.StringType, "age": tree.NumberType,
			"ltv": tree.NumberType, "tags": tree.ListType, "vip": tree.BoolType, "born": tree.TimeType,
			"user_id": tree.StringType, "last_seen": tree.TimeType,
		},
		properties: map[string]map[string]tree.Type{
			"Order Completed": {"amount": tree.NumberType, "category": tree.StringType, "labels": tree.ListType, "at": tree.TimeType},
			"App Opened":      {"screen": tree.StringType},
		},
		segments: map[string]*tree.Segment{},
	}
	for name, text := range map[string]string{
		"VIP":     `vip and did "Order Completed"`,
		"Nested":  `in segment "VIP" and in segment "VIP"`,
		"A":       `in segment "B"`,
		"B":       `not in segment "A"`,
		"Dangles": `in segment "Gone"`,
		"Was":     `was in segment "VIP" at 2026-11-01`,
		"Loose":   `colour = "red"`,
	} {
		c.segments[name] = &tree.Segment{Name: name, Zone: "Asia/Kathmandu", Pred: parsed(t, text)}
	}
	return c
}

func parsed(t *testing.T, text string) tree.Pred {
	t.Helper()
	p, err := syntax.ParsePred(text, syntax.Limits{})
	if err != nil {
		t.Fatalf("parse %s: %v", text, err)
	}
	return p
}

func TestAccepts(t *testing.T) {
	c := testCatalog(t)
	for _, text := range []string{
		`country = "BR" and age between 25 and 34`,
		`country != county`,
		`age > ltv * 2 - 1`,
		`3 < age`,
		`vip and not vip = false`,
		`tags has any ("a", "b") and tags is set`,
		`born in next 7 days and born is anniversary in next 7 days`,
		`born = "2026-01-31" or born in ("2026-01-31", 2026-02-01)`,
		`country matches "^B.$" and country contains "b" ignoring case`,
		`did "Order Completed" where (amount > 50 and category in ("shoes") and at since 2026-01-01) at least 2 times in last 30 days`,
		`sum(amount * 2) of "Order Completed" > count of "App Opened"`,
		`last(at) of "Order Completed" < "2026-01-31T10:00:00Z"`,
		`did "App Opened" then "Order Completed" where (category = previous.screen) within 1 day`,
		`did "App Opened" then not "Order Completed" within 1 day then "App Opened" where (screen = previous.screen) within 2 days`,
		`in list "newsletter" and in sample "x" 0% to 10% and in top 10% by ltv and in bottom 5 by born`,
		`in segment "Nested" and in segment "VIP"`,
		`in segment "Loose"`,
	} {
		if _, warnings, err := Predicate(parsed(t, text), c); err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, warnings %v", text, err, warnings)
		}
	}
}

func TestRefuses(t *testing.T) {
	c := testCatalog(t)
	for _, x := range []struct{ text, code, at, says string }{
		{`country = 5`, "type_mismatch", "", "country is a string and cannot be compared with a number"},
		{`age = "5"`, "type_mismatch", "", "age is a number and cannot be compared with a string"},
		{`age > country`, "type_mismatch", "", "with country, which is a string"},
		{`age in (1, "2")`, "type_mismatch", `"2"`, "cannot be compared"},
		{`age between 1 and "2"`, "type_mismatch", "", "cannot be compared"},
		{`country = BR`, "unknown_name", "BR", `"BR"`},
		{`colour = red`, "unknown_name", "red", "quotes"},
		{`did "Order Completed" where (category = shoes)`, "unknown_name", "shoes", "quotes"},
		{`did "Nothing" where (category = shoes)`, "unknown_name", "shoes", "quotes"},
		{`signed_up_at > now`, "unknown_name", "now", "in last 30 days"},
		{`tags = "vip"`, "type_mismatch", "", "tags has"},
		{`tags contains "vip"`, "type_mismatch", "", "tags has"},
		{`country has "x"`, "type_mismatch", "", "has is for lists"},
		{`age contains "x"`, "type_mismatch", "", "contains is for strings"},
		{`age`, "type_mismatch", "age", "neither true nor false"},
		{`age in last 7 days`, "type_mismatch", "age", "times"},
		{`country is anniversary today`, "type_mismatch", "country", "times"},
		{`born = "yesterday"`, "bad_time", `"yesterday"`, "neither a date nor a time"},
		{`country matches "("`, "bad_pattern", "", "regular expression"},
		{`country + 1 > 2`, "type_mismatch", "country", "takes numbers"},
		{`born between "2026-02-01T00:00:00-05:00" and "2026-02-01T00:00:00Z"`, "bad_window", "", "ends before"},
		{`sum(category) of "Order Completed" > 1`, "type_mismatch", "category", "sum takes numbers"},
		{`max(category) of "Order Completed" = "x"`, "type_mismatch", "category", "numbers and times"},
		{`distinct(labels) of "Order Completed" > 1`, "type_mismatch", "labels", "anything but lists"},
		{`in segment "VIPs"`, "unknown_segment", "", "VIPs"},
		{`in segment "A"`, "segment_cycle", "", `"A" → "B" → "A"`},
		{`in segment "Dangles"`, "unknown_segment", `in segment "Dangles"`, `segment "Dangles": there is no segment "Gone"`},
		{`was in segment "VIPs" at 2026-11-01`, "unknown_segment", "", "VIPs"},
		{`in segment "Was"`, "not_supported", "", "were not kept"},
		{`in list "newsletters"`, "unknown_list", "", "newsletters"},
		{`in top 10 by country`, "type_mismatch", "country", "by a number or a time"},
	} {
		_, _, err := Predicate(parsed(t, x.text), c)
		var d *tree.Diagnostic
		if !errors.As(err, &d) {
			t.Errorf("%s: accepted, want %s", x.text, x.code)
			continue
		}
		if d.Code != x.code || !strings.Contains(d.Message+" "+d.Hint, x.says) {
			t.Errorf("%s: %s %q (%s), want %s with %q", x.text, d.Code, d.Message, d.Hint, x.code, x.says)
		}
		if d.At.Length == 0 || d.At.Offset+d.At.Length > len(x.text) {
			t.Errorf("%s: no position in the text: %+v", x.text, d.At)
		} else if at := x.text[d.At.Offset:][:d.At.Length]; x.at != "" && at != x.at {
			t.Errorf("%s: points at %q, want %q", x.text, at, x.at)
		}
	}
}

func TestWarns(t *testing.T) {
	c := testCatalog(t)
	for _, x := range []struct {
		text, code, at string
		suggestions    []string
	}{
		{`countri = "BR"`, "unknown_attribute", "countri", []string{"country", "county"}},
		{`not colour`, "unknown_attribute", "colour", nil},
		{`did "Order Complete"`, "unknown_event", "", []string{"Order Completed"}},
		{`did "Order Completed" where (amuont > 5)`, "unknown_property", "amuont", []string{"amount"}},
		{`did "Nothing" where (a = 1 and b = 2)`, "unknown_event", "", nil},
		{`sum(total) of "Order Completed" > 5`, "unknown_property", "total", nil},
	} {
		_, warnings, err := Predicate(parsed(t, x.text), c)
		if err != nil || len(warnings) != 1 || warnings[0].Code != x.code || !slices.Equal(warnings[0].Suggestions, x.suggestions) {
			t.Errorf("%s: %v, warnings %+v; want %s suggesting %v", x.text, err, warnings, x.code, x.suggestions)
			continue
		}
		if w := warnings[0]; x.at != "" && x.text[w.At.Offset:][:w.At.Length] != x.at {
			t.Errorf("%s: points at %+v, want %q", x.text, w.At, x.at)
		}
		for _, strict := range []string{`create segment "S" as `, `create segment "S" allow unknown as `} {
			q, err := syntax.Parse(strict+x.text, syntax.Limits{})
			if err != nil {
				t.Fatalf("parse %s: %v", strict+x.text, err)
			}
			_, warnings, err := Statement(q, c)
			if loose := strings.Contains(strict, "allow"); (err == nil) != loose || (len(warnings) == 1) != loose {
				t.Errorf("%s%s: %v, warnings %v", strict, x.text, err, warnings)
			}
		}
	}
}

func TestResolves(t *testing.T) {
	c := testCatalog(t)
	p, _, err := Predicate(parsed(t, `born > "2026-01-31"`), c)
	if err != nil {
		t.Fatal(err)
	}
	if w := p.(*tree.Compare).R.(*tree.Literal).When; w == nil || *w != (tree.When{Date: true, Y: 2026, M: 1, D: 31}) {
		t.Errorf("a quoted date is %+v", w)
	}
	p, _, err = Predicate(parsed(t, `in segment "Nested" or in segment "VIP"`), c)
	if err != nil {
		t.Fatal(err)
	}
	args := p.(*tree.Or).Args
	nested, vip := args[0].(*tree.InSegment).Def, args[1].(*tree.InSegment).Def
	if nested.Zone != "Asia/Kathmandu" || nested.Pred.(*tree.And).Args[0].(*tree.InSegment).Def != vip {
		t.Errorf("a segment used twice has two definitions")
	}
	if saved := c.segments["Nested"].Pred.(*tree.And).Args[0].(*tree.InSegment); saved.Def != nil {
		t.Errorf("the saved segment was changed")
	}
}

func TestStatements(t *testing.T) {
	c := testCatalog(t)
	for text, code := range map[string]string{
		`count where vip by country, age in steps of 10, month(born), in segment "VIP"`:             "",
		`count by favorite(category) of "Order Completed"`:                                          "",
		`count by sum(amount) of "Order Completed"`:                                                 "?",
		`count by country in steps of 10`:                                                           "type_mismatch",
		`count by day(age)`:                                                                         "type_mismatch",
		`list country, sum(amount) of "Order Completed" as total order by total desc, age limit 5`:  "",
		`list order by tags`:                                                                        "type_mismatch",
		`stats count, avg(age), median(age), percentile(ltv, 95), sum(amount) of "Order Completed"`: "",
		`stats sum(country)`:                                                                        "type_mismatch",
		`stats first(category) of "Order Completed"`:                                                "?",
		`trend "Order Completed" this year by month of sum(amount) where vip by country`:            "",
		`trend "Order Completed" this year by month of sum(category)`:                               "type_mismatch",
		`funnel "App Opened" then "Order Completed" where (amount > 5) within 7 days ever`:          "",
		`retention "App Opened" then "Order Completed" this year by month where vip`:                "",
		`overlap vip, age > 5`:                                                                      "",
		`rfm of "Order Completed" ever by amount`:                                                   "",
		`rfm of "Order Completed" ever by category`:                                                 "type_mismatch",
		`why profile "u" in segment "VIP"`:                                                          "",
		`why profile "u" in segment "Gone"`:                                                         "unknown_segment",
		`create segment "S" as in segment "VIP"`:                                                    "",
		`create or replace segment "VIP" as in segment "Nested"`:                                    "segment_cycle",
		`explain count where country = 5`:                                                           "type_mismatch",
		`count in timezone "Mars/Olympus"`:                                                          "unknown_timezone",
		`insights where vip against age = "x"`:                                                      "type_mismatch",
	} {
		q, err := syntax.Parse(text, syntax.Limits{})
		if err == nil {
			_, _, err = Statement(q, c)
		} else if code != "?" {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var d *tree.Diagnostic
		switch errors.As(err, &d); {
		case code == "" && err != nil, code != "" && d == nil, code != "" && code != "?" && d.Code != code:
			t.Errorf("%s: %v, want %q", text, err, code)
		}
	}
}

func TestPreviousNeedsAnEarlierStep(t *testing.T) {
	where := &tree.Truth{X: &tree.Name{Name: "screen", Previous: true}}
	_, _, err := Predicate(&tree.Did{Step: tree.Step{Event: "App Opened", Where: where}}, testCatalog(t))
	var d *tree.Diagnostic
	if !errors.As(err, &d) || d.Code != "bad_previous" {
		t.Errorf("%v, want bad_previous", err)
	}
}

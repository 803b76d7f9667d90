package syntax

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// shop is a small catalog.
type shop struct{}

func (shop) Attributes() []Known {
	return []Known{{"country", tree.StringType, 900}, {"age", tree.NumberType, 500}, {"Lifetime Value", tree.NumberType, 400}, {"signed_up_at", tree.TimeType, 900}, {"tags", tree.ListType, 10}, {"where", tree.StringType, 1}}
}
func (shop) Events() []Known {
	return []Known{{Name: "Order Completed", Count: 100}, {Name: "App Opened", Count: 1000}, {Name: "Order Refunded", Count: 5}}
}
func (shop) Properties(event string) []Known {
	if event != "Order Completed" {
		return nil
	}
	return []Known{{"amount", tree.NumberType, 100}, {"category", tree.StringType, 90}}
}
func (shop) Segments() []Known { return []Known{{Name: "VIP", Count: 3}} }
func (shop) Lists() []Known    { return []Known{{Name: "newsletter"}} }
func (shop) Values(event, name string) []tree.Value {
	switch event + "/" + name {
	case "/country":
		return []tree.Value{tree.Str("BR"), tree.Str("DE")}
	case "Order Completed/category":
		return []tree.Value{tree.Str("shoes"), tree.Str("hats")}
	}
	return nil
}

// TestComplete completes each text at the bar. The wanted candidates must be near the top of the list, and
// the unwanted ones must be absent.
func TestComplete(t *testing.T) {
	for _, c := range []struct{ text, want, not string }{
		{"|", "count,list,stats", `"VIP"`},
		{"cou|", "count,count where", "list"},
		{"count |", "where,by", "country"},
		{"count where |", "country,`Lifetime Value`,`where`,did,in segment", `"Order Completed"`},
		{"count where li|", "`Lifetime Value`", "country"},
		{"count where did |", `"App Opened","Order Completed",not`, "country"},
		{"count where did not |", `"App Opened"`, "country"},
		{"count where did ord|", `"Order Completed","Order Refunded"`, `"App Opened"`},
		{`count where did "ord|`, `"Order Completed","Order Refunded"`, `"App Opened"`},
		{`count where did "ord|" in last 7 days`, `"Order Completed"`, `"App Opened"`},
		{`count where did "Order Completed" |`, "where (,at least,in last,then", "country"},
		{`count where did "Order Completed" where (|`, "amount,category", "country"},
		{`count where did "Order Completed" where (amount > 5 and |`, "amount,category", "country"},
		{`count where did "Order Completed" where (category = |`, `"shoes","hats"`, `"BR"`},
		{`count where did "Order Completed" where (category in ("shoes", |`, `"shoes","hats"`, `"BR"`},
		{`count where did "Order Completed" where (category = "sh|`, `"shoes"`, `"hats"`},
		{`count where did "Order Completed" where (amount > 5) |`, "and,in last", "amount"},
		{"count where country |", "=,in (,contains", "has any ("},
		{"count where age |", "=,>", "contains"},
		{"count where tags |", "has", "contains"},
		{"count where country = |", `"BR","DE"`, `"VIP"`},
		{"count where country in (|", `"BR","DE"`, "age"},
		{`count where country = "BR" |`, "and,or,by", "country"},
		{"count where in segment |", `"VIP"`, "country"},
		{"count where in list |", `"newsletter"`, `"VIP"`},
		{"count where not in |", "segment,list", "last"},
		{"count where signed_up_at in |", "last,next", "segment"},
		{"count where signed_up_at in last |", "7 days,30 days", "country"},
		{`count where sum(|) of "Order Completed" > 5`, "amount,category", ""},
		{`count where sum(amount) of |`, `"Order Completed"`, "country"},
		{"count by |", "country,age,day(", `"VIP"`},
		{"count by country order by |", "country", "day("},
		{"list |", "country,age", `"VIP"`},
		{"list country, |", "age", `"VIP"`},
		{"stats |", "count,sum(", "country"},
		{"stats sum(|", "age", "amount"},
		{"trend |", `"App Opened"`, "country"},
		{`trend "Order Completed" by |`, "day,week", "country"},
		{`trend "Order Completed" by day of users by |`, "", `"VIP"`},
		{`funnel "App Opened" then |`, `"Order Completed"`, "country"},
		{`explain |`, "analyze,count", "country"},
		{`show |`, "segments,events", "country"},
		{`drop segment |`, `"VIP"`, "country"},
		{`create segment "x" as |`, "country,did", "of"},
		{`count where email is |`, "set,not set", "country"},
		{`count -- wh|`, "", "where"},
	} {
		offset := strings.IndexByte(c.text, '|')
		text := strings.Replace(c.text, "|", "", 1)
		got := Complete(text, offset, shop{})
		texts := map[string]int{}
		for i, g := range got {
			texts[g.Text] = i + 1
			if g.Offset < 0 || g.Offset+g.Length > len(text) || g.Offset > offset {
				t.Errorf("%s: %s replaces %d bytes at %d", c.text, g.Text, g.Length, g.Offset)
			}
		}
		for _, want := range strings.Split(c.want, ",") {
			if at := texts[want]; want != "" && (at == 0 || at > 30) {
				t.Errorf("%s: %s is missing or too far down in %v", c.text, want, got)
			}
		}
		if c.not != "" && texts[c.not] > 0 {
			t.Errorf("%s: %s must not be offered", c.text, c.not)
		}
	}
}

// TestCompleted checks that accepting the first candidate gives a text that parses.
func TestCompleted(t *testing.T) {
	for _, text := range []string{`count where did "Order C|" in last 7 days`, "count where Life| > 5", "count where `Life|` > 5", "count where in segment V|", `count where country = "B|"`, "count where country = B|", "count by cou| limit 5"} {
		offset := strings.IndexByte(text, '|')
		plain := strings.Replace(text, "|", "", 1)
		got := Complete(plain, offset, shop{})
		if len(got) == 0 {
			t.Errorf("%s: nothing is offered", text)
			continue
		}
		done := plain[:got[0].Offset] + got[0].Text + plain[got[0].Offset+got[0].Length:]
		if _, err := Parse(done, Limits{}); err != nil {
			t.Errorf("%s becomes %s: %v", text, done, err)
		}
	}
}

// TestTolerant checks that completion and highlighting accept any text, valid or not.
func TestTolerant(t *testing.T) {
	texts, _ := canonicalCases(t)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	for _, text := range texts {
		cut := text[:r.IntN(len(text)+1)] + text[r.IntN(len(text)+1):]
		for offset := 0; offset <= len(cut); offset += 1 + r.IntN(7) {
			for _, c := range Complete(cut, offset, shop{}) {
				if c.Offset < 0 || c.Length < 0 || c.Offset+c.Length > len(cut) || c.Text == "" {
					t.Fatalf("seed %d: %q at %d: %+v", seed, cut, offset, c)
				}
			}
		}
		end := 0
		for _, token := range Tokens(cut) {
			if token.Offset < end || token.Length < 1 || strings.TrimSpace(cut[end:token.Offset]) != "" {
				t.Fatalf("seed %d: %q: token %+v after %d", seed, cut, token, end)
			}
			end = token.Offset + token.Length
		}
		if strings.TrimSpace(cut[end:]) != "" {
			t.Fatalf("seed %d: %q: the tokens end at %d", seed, cut, end)
		}
	}
}

func TestTokens(t *testing.T) {
	text := "count where did order where (count > 3) in last 90d -- x\nand `a b` = \"y\" ?"
	var got []string
	for _, token := range Tokens(text) {
		got = append(got, string(token.Kind)+" "+text[token.Offset:token.Offset+token.Length])
	}
	want := "keyword count|keyword where|keyword did|event order|keyword where|punctuation (|name count|operator >|number 3|punctuation )|keyword in|keyword last|time 90d|comment -- x|keyword and|name `a b`|operator =|string \"y\"|error ?"
	if joined := strings.Join(got, "|"); joined != want {
		t.Errorf("tokens\n%s\nwant\n%s", joined, want)
	}
}

package exec_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// clocked returns a shop whose orders also have their time in nanoseconds, which is beyond 10^18, and a quantity. One
// quantity of the last customer is 2 × 10^18.
func clocked(n int) *querytest.History {
	h := shop(n)
	for i := range h.Profiles {
		p := &h.Profiles[i]
		for k := range p.Events {
			p.Events[k].Props["ns"] = tree.NumInt(1_700_000_000_000_000_000 + int64(k))
			p.Events[k].Props["qty"] = tree.NumInt(int64(k))
		}
	}
	p := &h.Profiles[n-1]
	p.Events[2].Props["qty"], p.Attrs["ltv"] = tree.NumInt(2e18), tree.NumInt(-2e18)
	h.Segments = append(h.Segments, &tree.Segment{Name: "often", Zone: "UTC", Pred: &tree.Compare{Op: tree.Gt,
		L: &tree.Measure{Fn: tree.AvgFn, Arg: &tree.Name{Name: "ns"}, Event: "Order", Window: tree.Window{Kind: tree.Ever}},
		R: &tree.Literal{Value: tree.NumInt(5)}}})
	return h
}

// Statements warn at each sum how many values it left out, and do not warn if none was.
func TestLeftOutWarnings(t *testing.T) {
	h := clocked(100)
	for _, test := range []struct{ text, at, want string }{
		{"stats sum(ns) of Order", "sum(ns) of Order", "sum left out 300 values beyond ±10^18"},
		{"stats avg(ns) of Order as a, count", "avg(ns) of Order", "avg left out 300 values"},
		{"stats sum(ns / 1000000) of Order", "", ""},
		{"stats max(ns) of Order, median(ltv)", "", ""},
		{"stats sum(qty) of Order", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"stats sum(qty) of Order by plan", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"stats sum(qty) of Order where (qty < 100)", "", ""},
		{"stats sum(qty) of Order before 1970-01-02", "", ""},
		{"stats sum(qty) of Order ever where user_id != 'user-00099'", "", ""},
		{"stats sum(qty * 1000000000000000000) of Order", "sum(qty * 1000000000000000000) of Order", "sum left out 100 values beyond"}, // quantities from 2 on
		{"stats sum(ltv), avg(ltv)", "sum(ltv)", "sum left out 1 value beyond"},
		{"stats sum(ltv) where ltv >= 0", "", ""},
		{"list sum(qty) of Order as q", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"list sum(qty) of Order limit 5", "", ""},
		{"list sum(qty) of Order order by user_id desc limit 5", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"list order by sum(qty) of Order limit 5", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"list sum(qty) of Order as q order by q desc limit 5", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"trend Order ever by day of sum(qty)", "sum(qty)", "sum left out 1 value beyond"},
		{"trend Order ever by hour of avg(qty) by plan", "avg(qty)", "avg left out 1 value beyond"},
		{"trend Order before 1970-01-02 by day of sum(qty)", "", ""},
		{"rfm of Order ever by qty", "qty", "sum left out 1 value beyond"},
		{"rfm of Order ever by qty + 1", "qty + 1", "sum left out 1 value beyond"},
		{"rfm of Order ever by qty where ltv > 0", "", ""},
		{"count where sum(qty) of Order > 5", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"count where sum(qty) of Order > 5 and ltv > 0", "", ""},
		{"count where sum(qty) of Order > 5 or ltv < 0", "", ""},
		{"count where not (sum(qty) of Order > 5 or ltv > 0)", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"count where in top 5 by sum(qty) of Order", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"overlap sum(qty) of Order > 5, ltv > 0", "sum(qty) of Order", "sum left out 1 value beyond"},
		{"explain analyze count where sum(qty) of Order > 2", "", ""},
		{"count where in segment \"often\"", "in segment \"often\"", `avg of segment "often" left out 300 values beyond`},
		{"count where in segment \"often\" and ltv < 0", "in segment \"often\"", `avg of segment "often" left out 3 values beyond`},
		{"count where ltv < 0 by in segment \"often\"", "in segment \"often\"", `avg of segment "often" left out 3 values beyond`},
	} {
		a, err := run(t, h, test.text, exec.Options{})
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		var at, got string
		for _, w := range a.Warnings {
			at, got = test.text[w.At.Offset:w.At.Offset+w.At.Length], got+w.Message
			if w.Code != "values_left_out" || !strings.Contains(w.Hint, "/ 1000000") {
				t.Errorf("%s: %+v", test.text, w)
			}
		}
		if at != test.at || !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") || len(a.Warnings) > 1 {
			t.Errorf("%s: %q at %q, want %q at %q", test.text, got, at, test.want, test.at)
		}
	}
}

// A statement warns that values were left out even if it cannot count them.
func TestLeftOutUncounted(t *testing.T) {
	for n, budget := range map[int]int64{40: 64 << 20, 110: 512 << 20} { // too little memory, then too many sums
		var clauses []string
		for i := range n { // each is counted for the profiles that the others leave undecided
			clauses = append(clauses, fmt.Sprintf("sum(qty + %d) of Order > 1000", i))
		}
		a, err := run(t, clocked(100), "count where "+strings.Join(clauses, " or "), exec.Options{Budget: budget})
		if err != nil || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0].Message, "may have left out values beyond") {
			t.Errorf("%d sums: %v, %v", n, a, err)
		}
	}
}

// countingSource counts how often the profiles of a chunk are read.
type countingSource struct {
	query.Source
	chunks *atomic.Int64
}

func (s countingSource) Profiles(chunk int, out *query.Bits) int {
	s.chunks.Add(1)
	return s.Source.Profiles(chunk, out)
}

// A statement is evaluated once if no sum met a value beyond ±10^18, and counts in a second round if one did.
func TestOrdinarySumsAreEvaluatedOnce(t *testing.T) {
	h := clocked(100)
	for text, want := range map[string]int64{
		"stats sum(amount) of Order, avg(ltv) where ltv > 0":   1,
		"list sum(amount) of Order order by user_id limit 5":   1,
		"count where sum(amount) of Order > 2":                 1,
		"trend Order ever by day of sum(amount)":               1,
		"rfm of Order ever by amount":                          1,
		"stats sum(ns / 1000000) of Order, max(ns) of Order":   1,
		"stats sum(qty) of Order ever":                         2,
		"count where sum(qty) of Order > 2":                    2,
		"trend Order ever by day of sum(qty)":                  2,
		"rfm of Order ever by qty":                             2,
		"stats sum(qty) of Order where (qty < 100) by plan":    1,
		"count where max(qty) of Order > 1000000000000000000":  1,
		"stats sum(qty) of Order before 1970-01-02, count":     1,
		"funnel Order then Order within 7 days where ltv < 50": 1,
	} {
		p, err := prepare(t, h, text, exec.Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var chunks atomic.Int64
		all := sources(h, 1)
		for i := range all {
			all[i] = countingSource{all[i], &chunks}
		}
		pool := exec.NewPool(1)
		if err := pool.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = pool.Ask(t.Context(), p, all)
		pool.Leave()
		pool.Close()
		if rounds := chunks.Load() / int64(all[0].Chunks()); err != nil || rounds != want {
			t.Errorf("%s: %d rounds, want %d; %v", text, rounds, want, err)
		}
	}
}

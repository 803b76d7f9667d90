package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// askShard runs a statement on a shard and returns the rows as text.
func askShard(t *testing.T, s *Shard, now int64, text string) [][]string {
	t.Helper()
	v := s.View()
	defer v.Release()
	q, err := syntax.Parse(text, syntax.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	checked, _, err := check.Statement(q, v.Catalog().Schema())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	plan, err := exec.Prepare(checked, v.Catalog().Schema(), exec.Options{Now: now})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	answer, err := plan.Run(t.Context(), []query.Source{v})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var rows [][]string
	for _, row := range answer.Rows {
		var cells []string
		for _, value := range row {
			cells = append(cells, describeValue(value))
		}
		rows = append(rows, cells)
	}
	return rows
}

// TestBreakdownsOfAnySize breaks people down by attributes whose numbers of values, and numbers whose
// range, are just below and just above the bound up to which combinations are numbered. It compares
// the result with a map.
func TestBreakdownsOfAnySize(t *testing.T) {
	const people = 3000
	for _, size := range []struct{ texts, span int }{
		{1, 0}, {254, 253}, {254, 254}, {254, 255}, {254, 256}, {255, 254}, {256, 253}, {257, 300}, {3, 1<<14 - 3}, {3, 1<<14 - 2}, {3, 1<<14 - 1}, {3, 1 << 14}, {2999, 20}, {1, 1<<16 - 2},
	} {
		rng := rand.New(rand.NewPCG(uint64(size.texts), uint64(size.span)))
		s := newTestShard(t)
		groups := map[string][2]int64{}
		var messages []Message
		for n := range people {
			m := Message{Kind: Identify, UserID: fmt.Sprint("u", n)}
			text, number, yes := "", "", ""
			x := int64(0)
			if n < size.texts || rng.IntN(5) > 0 {
				text = fmt.Sprint("text ", n%size.texts)
				m.Fields = append(m.Fields, Field{query.FirstAttribute + 2, tree.Str(text)})
			}
			if n < 2 || rng.IntN(5) > 0 {
				switch x = 1000 + rng.Int64N(int64(size.span)+1); n {
				case 0:
					x = 1000
				case 1:
					x = 1000 + int64(size.span)
				}
				number = tree.Decimal(x, 1).String()
				m.Fields = append(m.Fields, Field{query.FirstAttribute + 1, tree.Num(tree.Decimal(x, 1))})
			}
			if rng.IntN(3) > 0 {
				yes = "b1"
				m.Fields = append(m.Fields, Field{query.FirstAttribute, tree.Bool(true)})
			}
			messages = append(messages, m)
			for _, by := range []string{"text|" + text, "number|" + number, "both|" + text + "|" + number, "all|" + text + "|" + number + "|" + yes} {
				g := groups[by]
				groups[by] = [2]int64{g[0] + 1, g[1] + x}
			}
		}
		mustApply(t, s, 4, EncodeMessages(3, testStart, messages))
		for by, text := range map[string]string{
			"text": "count by attribute2", "number": "count by attribute1", "both": "count by attribute2, attribute1", "all": "count by attribute2, attribute1, attribute0",
		} {
			compareBreakdown(t, s, fmt.Sprintf("%v", size), by, text+" limit 100000", groups, false)
		}
		compareBreakdown(t, s, fmt.Sprintf("%v", size), "both", "stats sum(attribute1), count by attribute2, attribute1 limit 100000", groups, true)
	}
}

// compareBreakdown compares the last column of an answer, and the sum before it if sums, with the
// groups of a breakdown.
func compareBreakdown(t *testing.T, s *Shard, size, by, text string, groups map[string][2]int64, sums bool) {
	t.Helper()
	want := 0
	for key := range groups {
		if strings.HasPrefix(key, by+"|") {
			want++
		}
	}
	rows := askShard(t, s, testStart, text)
	if len(rows) != want {
		t.Fatalf("%s, %s: %d groups, want %d", size, text, len(rows), want)
	}
	for _, row := range rows {
		cells := row[:len(row)-1]
		if sums {
			cells = row[:len(row)-2]
		}
		key := by
		for _, cell := range cells {
			switch cell = strings.Trim(cell, `"`); cell {
			case "none:0":
				cell = ""
			case "boolean:1":
				cell = "b1"
			}
			key += "|" + cell
		}
		g, ok := groups[key]
		if !ok || row[len(row)-1] != fmt.Sprint(g[0]) {
			t.Fatalf("%s, %s: %q has %s, want %d; the group exists: %t", size, text, key, row[len(row)-1], g[0], ok)
		}
		if sum := tree.Decimal(g[1], 1).String(); sums && row[len(row)-2] != sum && !strings.HasSuffix(key, "|") {
			t.Fatalf("%s, %s: %q adds up to %s, want %s", size, text, key, row[len(row)-2], sum)
		}
	}
}

// TestTrendsOfManyBuckets counts the distinct people of each hour, for numbers of hours just below
// and just above the bound up to which there is a set for each hour.
func TestTrendsOfManyBuckets(t *testing.T) {
	s, rng := newTestShard(t), rand.New(rand.NewPCG(1, 15))
	people := map[int64]map[int]bool{}
	events := map[int64]int{}
	end := int64(testStart) / hour * hour
	var messages []Message
	for range 40_000 {
		who, at := rng.IntN(50), end-rng.Int64N(200*day)
		messages = append(messages, Message{Kind: Track, UserID: fmt.Sprint("u", who), Event: 0, Time: at})
		h := at / hour * hour
		if people[h] == nil {
			people[h] = map[int]bool{}
		}
		people[h][who] = true
		events[h]++
	}
	for from := 0; from < len(messages); from += 5000 {
		mustApply(t, s, uint64(4+from/5000), EncodeMessages(3, end, messages[from:from+5000]))
		s.Maintain(1 << 20)
	}
	for _, hours := range []int{24, 2000, 4094, 4095, 4096, 4097, 4500} {
		for what, want := range map[string]func(h int64) int{"of users": func(h int64) int { return len(people[h]) }, "": func(h int64) int { return events[h] }} {
			text := fmt.Sprintf("trend event0 in last %d hours by hour %s", hours, what)
			rows := askShard(t, s, end, text)
			if len(rows) < hours {
				t.Fatalf("%s: %d rows", text, len(rows))
			}
			for _, row := range rows {
				at, err := time.Parse(time.RFC3339, strings.Trim(row[0], `"`))
				if err != nil {
					t.Fatal(row[0], err)
				}
				if n := want(at.UnixMilli()); row[1] != fmt.Sprint(n) && at.UnixMilli() > end-int64(hours)*hour {
					t.Fatalf("%s: %s at %s, want %d", text, row[1], row[0], n)
				}
			}
		}
	}
}

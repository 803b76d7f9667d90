package querytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// shop is a history of some size in a few shards, for tests of memory and cancellation.
type shop struct {
	gen     *Gen
	schema  *Schema
	sources []query.Source
}

// newShop draws a history with about size profiles.
func newShop(t *testing.T, size int) *shop {
	t.Helper()
	rng := rand.New(rand.NewPCG(*firstSeed, 16))
	g := NewGen(rng, 1)
	for i := range size {
		g.History.Profiles = append(g.History.Profiles, g.profile(1+i))
	}
	s := &shop{gen: g, schema: NewSchema(g.History)}
	for _, src := range NewSources(g.History, s.schema, 3, rng) {
		s.sources = append(s.sources, src)
	}
	return s
}

// repeated joins n copies of format, with the index of the copy in place of %d.
func repeated(n int, sep, format string) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = format
		if strings.Contains(format, "%d") {
			texts[i] = fmt.Sprintf(format, i)
		}
	}
	return strings.Join(texts, sep)
}

// long returns statements with n parts, of each kind of part.
func long(n int) []string {
	return []string{
		"count where did " + repeated(n, " then ", `"Viewed"`),
		"count where did " + repeated(n, " then ", `"Viewed" where (category != "%d")`),
		`count where did "Viewed" then ` + repeated(n, " then ", `"Viewed" where (category = previous.category)`),
		`count where did "Viewed" then ` + repeated(n, " then ", `"Viewed" where (category = previous.category and amount != previous.amount)`),
		`count where did "Viewed" then ` + repeated(n, " then ", `not "Rare" within %d days`),
		"count where " + repeated(n, " or ", `did "Viewed" then "Order Completed" within %d days`),
		"count where " + repeated(n, " or ", `did "Viewed" at least 3%d times`),
		"count where " + repeated(n, " or ", `sum(amount) of "Order Completed" where (qty != %d) > 1000000`),
		"count where " + repeated(n, " or ", `avg(amount * %d) of "Order Completed" > 1000000000`),
		"count where " + repeated(n, " or ", `distinct(product_id) of "Viewed" in last %d days > 1000`),
		"count where " + repeated(n, " or ", `distinct(weight) of "Order Completed" where (qty != %d) > 1000`),
		"count where " + repeated(n, " or ", `favorite(category) of "Viewed" in last %d days = "nothing"`),
		"count where " + repeated(n, " or ", `days of "Viewed" in last %d days > 1000`),
		"count where " + repeated(n, " or ", `age + ltv + score = %d.123456`),
		"count where " + repeated(n, " or ", `email matches "nobody.*%d"`),
		"count where " + repeated(n, " or ", `user_id contains "nobody%d"`),
		"count where " + repeated(n, " or ", `tags has any ("nobody%d", "nothing")`),
		"count where " + repeated(n, " or ", `in list "vips" and age = %d.5`),
		"count where " + repeated(n, " or ", `in sample "s%d" 0%% to 1%% and age < -5`),
		"count where " + repeated(n, " or ", `first did "Viewed" in last %d days and age < -5`),
		"count where " + repeated(n/2, " or ", `in top 3%d by ltv`),
		"count where " + repeated(n/2, " or ", `in top 10%% by sum(amount) of "Order Completed" where (qty != %d)`),
		"funnel " + repeated(n, " then ", `"Viewed"`) + " within 7 days",
		"stats " + repeated(n, ", ", `median(ltv + %d)`),
		"stats " + repeated(n, ", ", `distinct(email)`),
		"stats " + repeated(n, ", ", `sum(amount + %d) of "Order Completed"`) + " by country",
		"list " + repeated(n, ", ", `ltv + %d as c%[1]d`) + " order by score",
		"list " + repeated(n, ", ", `favorite(category) of "Viewed" in last %d days as c%[1]d`),
		"list email order by " + repeated(n, ", ", `ltv + %d`) + " limit 50",
		"count by " + repeated(4, ", ", "tags"),
		"count by email, country, age",
		"stats distinct(email), median(score), max(ltv) by email",
		`trend "Viewed" by hour of distinct(product_id) by country`,
		`trend "Viewed" by day of users by email`,
		`retention "Viewed" then "Order Completed" by day`,
		`rfm of "Order Completed" by amount`,
		`insights where did "Viewed"`,
		`lookalike of vip top 1000`,
		`overlap vip, did "Viewed", age > 10`,
	}
}

// statements returns random statements from the generator, and long ones with n parts.
func (s *shop) statements(t *testing.T, random, n int) []*tree.Query {
	t.Helper()
	var all []*tree.Query
	for range random {
		all = append(all, &tree.Query{Stmt: s.gen.Stmt(), Zone: s.gen.Zone}, &tree.Query{Stmt: &tree.CountStmt{Where: s.gen.Pred(2), Limit: -1}, Zone: s.gen.Zone})
	}
	for _, text := range long(n) {
		q, err := syntax.Parse(text, syntax.Limits{})
		if err != nil {
			t.Fatalf("%.200s: %v", text, err)
		}
		all = append(all, q)
	}
	for i, q := range all {
		checked, _, err := check.Statement(q, s.schema)
		if err != nil {
			t.Fatalf("%.200s: %v", syntax.Format(q), err)
		}
		all[i] = checked
	}
	return all
}

// hooked is a context whose Err is look.
type hooked struct {
	context.Context
	look func() error
}

func (h *hooked) Err() error { return h.look() }

// run answers a statement over sources, with the given memory.
func (s *shop) run(ctx context.Context, pool *exec.Pool, q *tree.Query, memory *exec.Memory, sources []query.Source) error {
	plan, err := exec.Prepare(q, s.schema, exec.Options{Now: s.gen.Now, Memory: memory})
	if err != nil {
		return err
	}
	defer plan.Release()
	if err := pool.Enter(context.Background()); err != nil {
		return err
	}
	defer pool.Leave()
	_, err = pool.Ask(ctx, plan, sources)
	return err
}

// liveHeap returns the bytes of live objects after a collection.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemoryIsReserved compares the live heap during statements of every kind with the memory that they have
// reserved.
func TestMemoryIsReserved(t *testing.T) {
	s := newShop(t, 3000)
	pool := exec.NewPool(2)
	defer pool.Close()
	const (
		free = 2*(4<<20) + 2<<20 // for two workers, and for what has a constant size
	)
	for _, q := range s.statements(t, 8, 40) {
		memory := exec.NewMemory(1 << 40)
		base := liveHeap()
		var mu sync.Mutex
		looked, next := 0, 4
		most := int64(0)
		ctx := &hooked{context.Background(), func() error {
			mu.Lock()
			defer mu.Unlock()
			if looked++; looked < next {
				return nil
			}
			next *= 4
			if found := liveHeap() - base - memory.Held(); found > most {
				most = found
			}
			return nil
		}}
		if err := s.run(ctx, pool, q, memory, s.sources); err != nil {
			var d *tree.Diagnostic
			if !errors.As(err, &d) || d.Code != "statement_too_large" && d.Code != "too_many_groups" {
				t.Errorf("%.200s: %v", syntax.Format(q), err)
			}
		}
		if most > free {
			t.Errorf("%.200s: holds %d KiB more than it has reserved", syntax.Format(q), most>>10)
		}
		if memory.Held() != 0 {
			t.Errorf("%.200s: still holds %d bytes after it has ended", syntax.Format(q), memory.Held())
		}
	}
}

// counting counts the reads of a source.
type counting struct {
	query.Source
	reads *atomic.Int64
}

func (c counting) Attribute(id uint32, chunk int) []query.Vec {
	c.reads.Add(1)
	return c.Source.Attribute(id, chunk)
}

func (c counting) ValueSets(id uint32, chunk int) query.ValueSets {
	c.reads.Add(1)
	return c.Source.ValueSets(id, chunk)
}

func (c counting) Series(event uint32, chunk int) query.Series {
	c.reads.Add(1)
	return c.Source.Series(event, chunk)
}

func (c counting) ID(ordinal uint32) string {
	c.reads.Add(1)
	return c.Source.ID(ordinal)
}

func (c counting) UserID(ordinal uint32) (string, bool) {
	c.reads.Add(1)
	return c.Source.UserID(ordinal)
}

func (c counting) InList(list uint32, chunk int, out *query.Bits) {
	c.reads.Add(1)
	c.Source.InList(list, chunk, out)
}

// TestStatementsEnd cancels statements of every kind after a part of their work, and counts the reads of the
// sources after that.
func TestStatementsEnd(t *testing.T) {
	s := newShop(t, 3000)
	pool := exec.NewPool(2)
	defer pool.Close()
	var reads atomic.Int64
	sources := make([]query.Source, len(s.sources))
	for i, src := range s.sources {
		sources[i] = counting{src, &reads}
	}
	const most = 30_000 // reads while a statement is compiled, and one more visit of each clause
	ended := 0
	for _, q := range s.statements(t, 8, 40) {
		var looks atomic.Int64
		whole := &hooked{context.Background(), func() error { looks.Add(1); return nil }}
		if err := s.run(whole, pool, q, nil, sources); err != nil {
			continue // too large
		}
		for _, share := range []int64{1, 3} {
			end := 1 + looks.Load()*share/4
			var at, read atomic.Int64
			ctx := &hooked{context.Background(), func() error {
				if at.Add(1) < end {
					return nil
				}
				read.CompareAndSwap(0, max(reads.Load(), 1))
				return context.Canceled
			}}
			err := s.run(ctx, pool, q, nil, sources)
			if read.Load() == 0 {
				continue // it ended before
			}
			if ended++; !errors.Is(err, context.Canceled) {
				t.Errorf("%.200s: error %v, want the error of the context", syntax.Format(q), err)
			}
			if more := reads.Load() - read.Load(); more > most {
				t.Errorf("%.200s: %d reads after it was canceled", syntax.Format(q), more)
			}
		}
	}
	if ended == 0 {
		t.Error("no statement was canceled")
	}
}

// TestExplainTakesEveryStatement explains statements of every kind, with and without analyze.
func TestExplainTakesEveryStatement(t *testing.T) {
	s := newShop(t, 200)
	pool := exec.NewPool(2)
	defer pool.Close()
	var stmts []tree.Stmt
	for range 60 {
		stmts = append(stmts, s.gen.Stmt(), &tree.CountStmt{Where: s.gen.Pred(2), Limit: -1})
	}
	for _, text := range []string{
		`create segment "new" as country = "BR" and did "Viewed"`, `create or replace segment "new" as in top 10 by ltv`,
		`drop segment "VIP"`, "show segments", "show events", "show attributes", `describe segment "VIP"`, `describe event "Viewed"`,
		"describe attribute country", `why profile "user-1" where vip`, `why profile "nobody" where vip or did "Viewed"`, "list email", "lookalike of vip top 3",
	} {
		q, err := syntax.Parse(text, syntax.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		stmts = append(stmts, q.Stmt)
	}
	for _, stmt := range stmts {
		for _, analyze := range []bool{false, true} {
			text := syntax.Format(&tree.Query{Stmt: stmt})
			q, _, err := check.Statement(&tree.Query{Stmt: &tree.ExplainStmt{Analyze: analyze, Stmt: stmt}, Zone: s.gen.Zone}, s.schema)
			if err != nil {
				t.Errorf("check explain of %s: %v", text, err)
				continue
			}
			plan, err := exec.Prepare(q, s.schema, exec.Options{Now: s.gen.Now})
			if err != nil {
				t.Errorf("explain %s: %v", text, err)
				continue
			}
			a, err := plan.Run(context.Background(), s.sources)
			if err != nil {
				t.Errorf("explain (analyze %v) %s: %v", analyze, text, err)
			} else if len(a.Rows) == 0 || a.Rows[0][0].Str != text {
				t.Errorf("explain %s: the answer begins with %v", text, a.Rows)
			}
		}
	}
}

package bench

import (
	"testing"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
)

// BenchmarkSteps measures the cost of each step of a small statement: the part that does not depend on the amount
// of data, apart from one chunk per shard.
func BenchmarkSteps(b *testing.B) {
	m, err := NewMuster(MusterConfig{Shards: 8})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	shop, err := Size{Name: "steps", Users: 20_000, Events: 200_000}.Shop(1)
	if err != nil {
		b.Fatal(err)
	}
	if err := m.Load(b.Context(), shop); err != nil {
		b.Fatal(err)
	}
	for _, q := range []struct{ name, text string }{
		{"event", `count where did "Order Completed" in last 7 days`},
		{"attributes", `count where country = "BR" and plan = "pro"`},
		{"mixed", `count where did "Product Viewed" where (amount > 50 and category in ("shoes", "bags")) at least 2 times
			in last 30 days and country = "US" and did not "Order Completed" in last 1 day`},
		{"trend", `trend "App Opened" in last 90 days by day of users`},
	} {
		b.Run(q.name, func(b *testing.B) { benchmarkSteps(b, m, q.text) })
	}
}

func benchmarkSteps(b *testing.B, m *Muster, text string) {
	measure := func(name string, step func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := step(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	views := make([]*engine.View, len(m.shards))
	sources := make([]query.Source, len(m.shards))
	for i, s := range m.shards {
		v := s.View()
		sources[i] = v
		defer v.Release()
	}
	schema := sources[0].(*engine.View).Catalog().Schema()
	q, err := syntax.Parse(text, syntax.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	checked, _, err := check.Statement(q, schema)
	if err != nil {
		b.Fatal(err)
	}
	prepare := func() (*exec.Plan, error) {
		return exec.Prepare(checked, schema, exec.Options{Now: Now().UnixMilli()})
	}
	measure("parse", func() error { _, err := syntax.Parse(text, syntax.Limits{}); return err })
	measure("check", func() error { _, _, err := check.Statement(q, schema); return err })
	measure("known", func() error {
		t, err := m.texts.Parse(text)
		if err == nil {
			_, err = m.texts.Check(t, schema)
		}
		return err
	})
	measure("view", func() error {
		for i, s := range m.shards {
			views[i] = s.View()
		}
		for _, v := range views {
			v.Release()
		}
		return nil
	})
	measure("prepare", func() error { _, err := prepare(); return err })
	measure("nothing", func() error { return ask(b, m, prepare, nil) })
	measure("rounds", func() error { return ask(b, m, prepare, sources) })
	measure("all", func() error { _, err := m.Query(b.Context(), text); return err })
}

// ask prepares a statement and runs it on some sources.
func ask(b *testing.B, m *Muster, prepare func() (*exec.Plan, error), sources []query.Source) error {
	plan, err := prepare()
	if err != nil {
		return err
	}
	if err := m.pool.Enter(b.Context()); err != nil {
		return err
	}
	defer m.pool.Leave()
	_, err = m.pool.Ask(b.Context(), plan, sources)
	return err
}

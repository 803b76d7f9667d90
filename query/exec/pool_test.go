package exec_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/querytest"
	"github.com/musterdb/muster/query/tree"
)

// pool returns a pool that is closed at the end of the test.
func pool(t *testing.T, slots int) *exec.Pool {
	p := exec.NewPool(slots)
	t.Cleanup(p.Close)
	return p
}

func ask(ctx context.Context, t *testing.T, p *exec.Pool, h *querytest.History, text string, sources []query.Source) (*query.Answer, error) {
	t.Helper()
	plan, err := prepare(t, h, text, exec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Enter(ctx); err != nil {
		return nil, err
	}
	defer p.Leave()
	return p.Ask(ctx, plan, sources)
}

// A pool returns the answer of a single goroutine, whichever goroutine takes which chunk.
func TestPoolAnswersLikeRun(t *testing.T) {
	h := shop(250)
	slow := make([]query.Source, 0, 5)
	for _, s := range sources(h, 5) {
		slow = append(slow, yieldingSource{s})
	}
	for _, slots := range []int{3} {
		p := pool(t, slots)
		for _, text := range []string{
			"count", "count where ltv > 500 by plan", "count where in top 10% by ltv by plan limit 2", "list", "list ltv order by ltv limit 7",
			"list plan where in top 5 by sum(amount) of Order", "stats sum(ltv), median(ltv), sum(amount) of Order by plan",
			"trend Order in last 30 days by day of users by plan", "trend Order ever by day of sum(amount)", "overlap ltv > 100, ltv > 500",
			"funnel Order then Order within 2 days", "retention Order then Order in last 20 days by day", "rfm of Order ever by amount",
			"insights where ltv > 200", "lookalike of ltv > 900 top 5", `why profile "user-00007" where ltv > 3`, "explain count where ltv > 3",
		} {
			want, err := run(t, h, text, exec.Options{})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got, err := ask(t.Context(), t, p, h, text, slow)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			same := slices.EqualFunc(got.Rows, want.Rows, func(a, b []tree.Value) bool { return slices.EqualFunc(a, b, tree.Value.Equal) })
			if !same || got.Stats.Profiles != want.Stats.Profiles {
				t.Errorf("%d slots: %s: %v, want %v", slots, text, got.Rows, want.Rows)
			}
		}
	}
}

// yieldingSource yields to other goroutines at each chunk, and takes long enough for helpers to be called.
type yieldingSource struct{ query.Source }

func (y yieldingSource) Profiles(chunk int, out *query.Bits) int {
	for range 10 {
		runtime.Gosched()
	}
	return y.Source.Profiles(chunk, out)
}

// brokenSource calls fail when the profiles are read.
type brokenSource struct {
	query.Source
	fail func()
}

func (b brokenSource) Profiles(chunk int, out *query.Bits) int {
	b.fail()
	return b.Source.Profiles(chunk, out)
}

func TestPoolEndsWithTheStatement(t *testing.T) {
	h := shop(300)
	p := pool(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []query.Source
	for _, s := range sources(h, 8) {
		all = append(all, brokenSource{yieldingSource{s}, cancel})
	}
	if _, err := ask(ctx, t, p, h, "count where ltv > 5", all); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := p.Enter(ctx); err == nil {
		p.Leave() // a slot may be taken even if the context has ended
	}
	if _, err := ask(t.Context(), t, p, h, "count where ltv > 5", sources(h, 8)); err != nil {
		t.Error("after a cancelled statement:", err)
	}
}

// A panic reaches the caller, whichever goroutine panicked, and only after no goroutine reads the sources any more. The
// pool still works afterwards.
func TestPoolPanicsInTheCaller(t *testing.T) {
	h := shop(300)
	p := pool(t, 4)
	for _, after := range []int{0, 1, 5} {
		var mu sync.Mutex
		calls := 0
		var all []query.Source
		for _, s := range sources(h, 8) {
			all = append(all, brokenSource{yieldingSource{s}, func() {
				mu.Lock()
				defer mu.Unlock()
				if calls++; calls > after {
					panic("broken page")
				}
			}})
		}
		func() {
			defer func() {
				if recover() != "broken page" {
					t.Error("the panic did not reach the caller")
				}
			}()
			_, _ = ask(t.Context(), t, p, h, "count where ltv > 5", all)
		}()
		if a, err := ask(t.Context(), t, p, h, "count", sources(h, 8)); err != nil || a.Rows[0][0].Int != 300 {
			t.Error("after a panic:", a, err)
		}
	}
}

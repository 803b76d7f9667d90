package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/bench/gen"
)

// TestAudit loads a shop with more profiles than a dictionary holds before it changes its representation. It
// checks that an audit passes, and that it reports missing data and counts that differ.
func TestAudit(t *testing.T) {
	m, err := NewMuster(MusterConfig{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	shop, err := gen.New(gen.Config{Users: 9000, Events: 20_000, Seed: 1, End: Now(), Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	if err := m.audit(t.Context(), shop); err != nil {
		t.Error(err)
	}
	other, err := gen.New(gen.Config{Users: 9001, Events: 20_001, Seed: 1, End: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	err = m.audit(t.Context(), other)
	if err == nil || !strings.Contains(err.Error(), "count: 9000, want 9001") || !strings.Contains(err.Error(), "20000 events") {
		t.Errorf("another shop: %v", err)
	}
	answers := map[string]Answer{"count": {{"3"}}, "stats distinct(user_id)": {{"2"}}, "count by plan limit 1000": {{"free", "1"}, {"pro", "1"}}}
	audit := &Audit{Profiles: 3, Groups: []string{"plan"}, Ask: func(_ context.Context, statement string) (Answer, error) { return answers[statement], nil }}
	err = audit.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "stats distinct(user_id): 2, want 3") || !strings.Contains(err.Error(), "count by plan limit 1000: 2, want 3") {
		t.Errorf("a profile counted twice: %v", err)
	}
}

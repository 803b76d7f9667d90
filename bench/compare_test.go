package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/bench/gen"
)

func small() Size { return Size{Name: "test", Users: 10_000, Events: 200_000} }

// TestQuestionsAreAnswered checks that every question is valid, uses names that the shop has, and is not
// trivial: an answer of no profiles or all profiles would be fast to find.
func TestQuestionsAreAnswered(t *testing.T) {
	m, err := NewMuster(MusterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	c := CompareConfig{Size: small(), Seed: 1, Repeat: 1, Subjects: []Subject{m}, Touched: m.Touched}
	result, err := Compare(t.Context(), c, 1e9)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range result.Rows {
		if row.Answer == "0" || row.Answer == fmt.Sprint(small().Users) || row.Answer == "0 rows" {
			t.Errorf("%s: answer %s is trivial", row.Name, row.Answer)
		}
		if row.Touched <= 0 || row.Distance <= 0 {
			t.Errorf("%s: touches %d bytes, %g times the limit", row.Name, row.Touched, row.Distance)
		}
	}
}

// fake answers every question with one number.
type fake struct {
	name string
	n    int
	took time.Duration
}

func (f *fake) Name() string                            { return f.name }
func (f *fake) Load(context.Context, *gen.Shop) error   { return nil }
func (f *fake) Memory(context.Context) ([]Bytes, error) { return []Bytes{{"total", 1 << 20}}, nil }
func (f *fake) Close() error                            { return nil }
func (f *fake) Ask(context.Context, Question) (Answer, Cost, error) {
	return Answer{{fmt.Sprint(f.n)}}, Cost{f.took, f.took}, nil
}

func TestUnequalAnswersShowNoTime(t *testing.T) {
	var out strings.Builder
	subjects := []Subject{&fake{"one", 5, time.Millisecond}, &fake{"two", 5, time.Second}, &fake{"three", 6, time.Second}}
	err := RunQueries(t.Context(), QueriesConfig{Compare: CompareConfig{Size: small(), Subjects: subjects}, Out: &out})
	if !errors.Is(err, ErrAnswers) || !strings.Contains(err.Error(), "one and three") || !strings.Contains(err.Error(), `"5" against "6"`) {
		t.Errorf("error %v", err)
	}
	if strings.Contains(out.String(), "median") {
		t.Errorf("a table was written although answers differ:\n%s", out.String())
	}
}

func TestRatioIsToTheFasterPeer(t *testing.T) {
	subjects := []Subject{&fake{"one", 5, time.Millisecond}, &fake{"two", 5, 50 * time.Millisecond}, &fake{"three", 5, 20 * time.Millisecond}}
	result, err := Compare(t.Context(), CompareConfig{Size: small(), Repeat: 3, Subjects: subjects}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range result.Rows {
		if row.Ratio != 20 || row.ProcessorRatio != 20 {
			t.Errorf("%s: ratio %g, want 20", row.Name, row.Ratio)
		}
	}
	if result.GeoMean < 19.99 || result.GeoMean > 20.01 {
		t.Errorf("geometric mean %g, want 20", result.GeoMean)
	}
}

func TestDiffer(t *testing.T) {
	for _, test := range []struct {
		a, b  Answer
		equal bool
	}{
		{Answer{{"3"}}, Answer{{"3"}}, true},
		{Answer{{"3"}}, Answer{{"4"}}, false},
		{Answer{{"0"}}, Answer{{"4"}}, false},
		{Answer{{"0"}}, nil, false},
		{Answer{{"a", "1"}, {"b", "2"}}, Answer{{"b", "2"}, {"a", "1"}}, true},
		{Answer{{"a", "1"}, {"b", "2"}, {"c", "0"}}, Answer{{"b", "2"}, {"a", "1"}}, true},
		{Answer{{"a", "1"}, {"b", "2"}, {"c", "1"}}, Answer{{"b", "2"}, {"a", "1"}}, false},
	} {
		if diff := test.a.Differ(test.b); (diff == "") != test.equal {
			t.Errorf("%v and %v: %q", test.a, test.b, diff)
		}
	}
}

func TestDialects(t *testing.T) {
	q := Question{SQL: "a\n\t@7d b", ClickHouse: "c @0d"}
	at := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	if got, want := q.In(DuckDB, at), "a TIMESTAMP '2026-02-24 12:00:00.000' b"; got != want {
		t.Errorf("DuckDB %q, want %q", got, want)
	}
	if got, want := q.In(ClickHouse, at), "c toDateTime64('2026-03-03 12:00:00.000', 3, 'UTC')"; got != want {
		t.Errorf("ClickHouse %q, want %q", got, want)
	}
}

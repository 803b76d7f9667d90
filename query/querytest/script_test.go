package querytest

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the answers in the acceptance scripts")

// local answers with the evaluators of this repository, over Sources of three shards with a layout drawn from
// seed.
type local struct {
	seed    uint64
	schema  *Schema
	sources []*Source
}

func (l *local) Load(h History) error {
	l.schema = NewSchema(&h)
	l.sources = NewSources(&h, l.schema, 3, rand.New(rand.NewPCG(l.seed, 7)))
	return nil
}

func (l *local) Query(text string) (*query.Answer, error) {
	q, err := syntax.Parse(text, syntax.Limits{})
	if err != nil {
		return nil, err
	}
	pool := exec.NewPool(2)
	defer pool.Close()
	return ask(pool, q, l.schema, time.Now().UnixMilli(), l.sources)
}

func TestAcceptance(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, err := ParseScript(string(text))
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(8) {
				got, err := script.Run(&local{seed: seed})
				if err != nil {
					t.Fatal(err)
				}
				if *rewrite {
					if err := os.WriteFile(file, []byte(script.Rewritten(got)), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				for i, c := range script.Cases {
					if !c.Holds(got[i]) {
						t.Errorf("seed %d: %s\ngot:\n%s\nwant:\n%s", seed, c.Statement, got[i], c.Want)
					}
				}
			}
		})
	}
}

// TestCaseHolds checks that a case fails for a different answer.
func TestCaseHolds(t *testing.T) {
	c := Case{Want: "error unknown attribute"}
	if !c.Holds("error 1:13: unknown attribute \"countri\"") || c.Holds("error unknown event") {
		t.Error("an error case must compare what the message contains")
	}
	c.Want = "count\n2"
	if !c.Holds("count\n2") || c.Holds("count\n3") || c.Holds(strings.Repeat("count\n2", 2)) {
		t.Error("a case must compare the whole answer")
	}
}

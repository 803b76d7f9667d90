package exec

import (
	"sync"
	"sync/atomic"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Texts caches recent statements, parsed and checked. Dashboards send the same statements again, and
// parsing a short one takes longer than answering it. It caches nothing of an answer; Prepare resolves
// what depends on the current time. The zero Texts is ready to use.
type Texts struct {
	mu struct {
		sync.Mutex
		schema     query.Schema // of the last check
		young, old map[string]*Text
	}
}

// Text is a parsed statement. Its trees are shared and must not be changed.
type Text struct {
	Text    string
	Query   *tree.Query
	checked atomic.Pointer[Checked]
}

// Checked is a statement checked against one version of the catalog.
type Checked struct {
	Query      *tree.Query
	Warnings   []tree.Diagnostic
	Properties []Property // that the statement reads
	schema     query.Schema
}

const (
	// keptTexts is the number of statements in a generation. When the young generation is full it
	// replaces the old one. An old statement that is used again becomes young.
	keptTexts = 256
	// keptLength is the greatest length of a cached statement, in bytes.
	keptLength = 4096
)

// Parse returns a parsed statement, from the cache if possible.
func (t *Texts) Parse(text string) (*Text, error) {
	if known := t.known(text); known != nil {
		return known, nil
	}
	q, err := syntax.Parse(text, syntax.Limits{})
	if err != nil {
		return nil, err
	}
	parsed := &Text{Text: text, Query: q}
	if len(text) <= keptLength {
		t.keep(parsed)
	}
	return parsed, nil
}

// Check returns a statement checked against a catalog. REQUIRES: schemas are comparable, and each is
// equal only to itself.
func (t *Texts) Check(text *Text, schema query.Schema) (*Checked, error) {
	if c := text.checked.Load(); c != nil && c.schema == schema {
		return c, nil
	}
	t.forgetOthers(schema)
	q, warnings, err := check.Statement(text.Query, schema)
	if err != nil {
		return nil, err
	}
	c := &Checked{Query: q, Warnings: warnings, Properties: Properties(q.Stmt), schema: schema}
	text.checked.Store(c)
	return c, nil
}

func (t *Texts) known(text string) *Text {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.mu.young[text]; known != nil {
		return known
	}
	known := t.mu.old[text]
	if known != nil {
		t.keepLocked(known)
	}
	return known
}

func (t *Texts) keep(text *Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keepLocked(text)
}

func (t *Texts) keepLocked(text *Text) {
	if t.mu.young == nil || len(t.mu.young) >= keptTexts {
		t.mu.old, t.mu.young = t.mu.young, make(map[string]*Text, keptTexts)
	}
	t.mu.young[text.Text] = text
}

// forgetOthers drops what was checked against other catalogs, which would keep them in memory.
func (t *Texts) forgetOthers(schema query.Schema) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.schema == schema {
		return
	}
	t.mu.schema = schema
	for _, generation := range []map[string]*Text{t.mu.young, t.mu.old} {
		for _, text := range generation {
			text.checked.Store(nil)
		}
	}
}

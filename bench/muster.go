package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/musterdb/muster/bench/gen"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// MusterConfig says how the engine is run.
type MusterConfig struct {
	Shards  int // 8 by default
	Workers int // that evaluate one statement; GOMAXPROCS by default
	Batch   int // messages per entry; 2,000 by default
}

func (c *MusterConfig) setDefaults() {
	if c.Shards == 0 {
		c.Shards = 8
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Batch == 0 {
		c.Batch = 2000
	}
}

// Validate reports all faults.
func (c MusterConfig) Validate() error {
	var faults []error
	if c.Shards < 0 || c.Shards > 64 {
		faults = append(faults, fmt.Errorf("shards %d: want 1 to 64", c.Shards))
	}
	if c.Workers < 0 {
		faults = append(faults, fmt.Errorf("workers %d: want 1 or more", c.Workers))
	}
	if c.Batch < 0 || c.Batch > engine.MaxMessages {
		faults = append(faults, fmt.Errorf("batch %d: want 1 to %d", c.Batch, engine.MaxMessages))
	}
	return errors.Join(faults...)
}

// Muster is the engine as a Subject: the shards of a node in this process, filled through log entries and
// queried as a node does it, without log, disk and HTTP.
type Muster struct {
	config MusterConfig
	shards []*engine.Shard
	pool   *exec.Pool
	texts  exec.Texts
	tell   func(format string, args ...any) // called now and then with the progress of loading
}

var _ Subject = (*Muster)(nil)

// NewMuster returns empty shards.
func NewMuster(c MusterConfig) (*Muster, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.setDefaults()
	m := &Muster{config: c, pool: exec.NewPool(c.Workers), tell: func(string, ...any) {}}
	for i := range c.Shards {
		shard, err := engine.New(engine.Config{Number: i, Parse: parsePred})
		if err != nil {
			return nil, err
		}
		m.shards = append(m.shards, shard)
	}
	return m, nil
}

func parsePred(text string) (tree.Pred, error) { return syntax.ParsePred(text, syntax.Limits{}) }

// Name implements Subject.
func (m *Muster) Name() string { return "Muster" }

// Close implements Subject.
func (m *Muster) Close() error {
	m.pool.Close()
	m.shards = nil
	return nil
}

// Load implements Subject.
func (m *Muster) Load(ctx context.Context, shop *gen.Shop) error {
	return newFiller(m).fill(ctx, shop)
}

// Ask implements Subject.
func (m *Muster) Ask(ctx context.Context, q Question) (Answer, Cost, error) {
	watch := StartStopwatch()
	answer, err := m.Query(ctx, q.MQL)
	if err != nil {
		return nil, Cost{}, fmt.Errorf("ask %q: %w", q.MQL, err)
	}
	cost := watch.Stop()
	return textOf(answer), cost, nil
}

// Query answers one statement as of Now.
func (m *Muster) Query(ctx context.Context, text string) (*query.Answer, error) {
	q, err := m.texts.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := m.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer m.pool.Leave()
	views := make([]*engine.View, len(m.shards))
	for i, shard := range m.shards {
		views[i] = shard.View()
		defer views[i].Release()
	}
	schema := views[0].Catalog().Schema()
	checked, err := m.texts.Check(q, schema)
	if err != nil {
		return nil, err
	}
	if len(checked.Warnings) > 0 {
		return nil, &checked.Warnings[0] // a question with a wrong name would be answered very fast
	}
	plan, err := exec.Prepare(checked.Query, schema, exec.Options{Now: Now().UnixMilli()})
	if err != nil {
		return nil, err
	}
	sources := make([]query.Source, len(views))
	for i, v := range views {
		sources[i] = v
	}
	return m.pool.Ask(ctx, plan, sources)
}

// textOf returns an answer as text.
func textOf(a *query.Answer) Answer {
	rows := make(Answer, len(a.Rows))
	for i, row := range a.Rows {
		for _, v := range row {
			rows[i] = append(rows[i], textOfValue(v))
		}
	}
	return rows
}

func textOfValue(v tree.Value) string {
	switch v.Type {
	case tree.NumberType:
		return v.Number().String()
	case tree.BoolType:
		return strconv.FormatBool(v.True())
	case tree.TimeType:
		return time.UnixMilli(v.Int).UTC().Format(time.RFC3339Nano)
	case tree.NoType:
		return ""
	}
	return v.Str
}

// Memory implements Subject: what the shards count, then the memory of the process.
func (m *Muster) Memory(context.Context) ([]Bytes, error) {
	var lines []Bytes
	at := map[string]int{}
	total := int64(0)
	for _, shard := range m.shards {
		for _, line := range shard.Memory() {
			i, known := at[line.Name]
			if !known {
				i = len(lines)
				at[line.Name] = i
				lines = append(lines, Bytes{Name: line.Name})
			}
			lines[i].Bytes += line.Bytes
			total += line.Bytes
		}
	}
	resident, err := ResidentBytes(os.Getpid()) // includes garbage from loading
	if err != nil {
		return nil, err
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return append(lines, Bytes{"total", total}, Bytes{"heap in use", int64(stats.HeapInuse)}, Bytes{"process", resident}), nil
}

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/musterdb/muster/bench/gen"
)

// imported is how one file went in.
type imported struct {
	lines     int
	elapsed   time.Duration
	node, own float64 // processor seconds of the node and of the command
}

// rate is the lines a second.
func (i imported) rate() float64 { return float64(i.lines) / i.elapsed.Seconds() }

// figures returns the rate and what a line costs: on a busy machine that says more. unit is line or row.
func (i imported) figures(format, unit string, goal float64, note string) []Figure {
	each := func(seconds float64) float64 { return seconds * 1e6 / float64(i.lines) }
	return []Figure{
		{Name: "import, " + format, Value: i.rate(), Unit: unit + "s/s", Goal: goal, More: true, Note: note},
		{Name: "import, " + format + ", processor time of the node", Value: each(i.node), Unit: "µs/" + unit},
		{Name: "import, " + format + ", processor time of the command", Value: each(i.own), Unit: "µs/" + unit},
	}
}

// imports runs `muster import` with the shop as NDJSON; before that a node that is thrown away takes
// the events as Parquet.
func (c *StoredConfig) imports(ctx context.Context, node *Node) ([]Figure, error) {
	columns, err := c.importParquet(ctx)
	if err != nil {
		return nil, err
	}
	lines, err := c.importLines(ctx, node)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d profiles, %d events, muster import beside the node", c.Size.Users, c.Size.Events)
	return append(lines.figures("NDJSON", "line", 300_000, what), columns.figures("Parquet", "row", 800_000, "the events alone")...), nil
}

// load imports the shop as NDJSON and returns lines a second.
func (c *ShopConfig) load(ctx context.Context, node *Node) (rate float64, err error) {
	lines, err := c.importLines(ctx, node)
	if err != nil {
		return 0, err
	}
	return lines.rate(), nil
}

// importLines imports the shop as NDJSON.
func (c *ShopConfig) importLines(ctx context.Context, node *Node) (imported, error) {
	file := filepath.Join(c.Dir, "shop.ndjson")
	c.Log("writing %s: %d profiles, %d events", filepath.Base(file), c.Size.Users, c.Size.Events)
	lines, err := c.writeLines(ctx, file)
	if err != nil {
		return imported{}, fmt.Errorf("write the shop: %w", err)
	}
	in, err := c.importFile(ctx, node, file, lines)
	if err != nil {
		return in, err
	}
	health, err := node.Client.Health(ctx)
	if err != nil {
		return in, err
	}
	if health.Events != int64(c.Size.Events) || health.Profiles != int64(c.Size.Users) {
		return in, fmt.Errorf("import NDJSON: the node has %d profiles and %d events", health.Profiles, health.Events)
	}
	return in, ShopAudit(c.Size.Users, c.Size.Events, Asks(node.Client, asOfNow())).Run(ctx)
}

// importFile runs the command; the file is removed.
func (c *ShopConfig) importFile(ctx context.Context, node *Node, file string, lines int, args ...string) (in imported, err error) {
	c.Log("import of %s: %d lines", filepath.Base(file), lines)
	before, err := node.processorTime()
	if err != nil {
		return in, err
	}
	started := time.Now()
	quiet := c.tell(ctx, node, started)
	defer quiet()
	command := exec.CommandContext(ctx, c.Binary, append([]string{"import", "--server", node.Client.BaseURL, file}, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return in, fmt.Errorf("import %s: %w\n%s", file, errors.Join(ctx.Err(), err), out)
	}
	in = imported{lines: lines, elapsed: time.Since(started), own: (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds()}
	after, err := node.processorTime()
	if err != nil {
		return in, err
	}
	in.node = after - before
	return in, os.Remove(file)
}

// tellEvery is how often a long import, or loading, says how far it is.
const tellEvery = 15 * time.Second

// tell says how much a node has taken, until it is told to be quiet.
func (c *ShopConfig) tell(ctx context.Context, node *Node, started time.Time) (quiet func()) {
	ctx, cancel := context.WithCancel(ctx)
	var teller sync.WaitGroup
	teller.Go(func() {
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if health, err := node.Client.Health(ctx); err == nil {
				c.Log("%d profiles and %d events after %s", health.Profiles, health.Events, time.Since(started).Round(time.Second))
			}
		}
	})
	return func() { cancel(); teller.Wait() }
}

// importParquet measures on a node of its own.
func (c *ShopConfig) importParquet(ctx context.Context) (in imported, err error) {
	dir := filepath.Join(c.Dir, "parquet")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return in, err
	}
	file := filepath.Join(dir, "events.parquet")
	c.Log("writing %s: %d events", filepath.Base(file), c.Size.Events)
	if err := c.writeParquet(ctx, file); err != nil {
		return in, fmt.Errorf("write the shop: %w", err)
	}
	node, err := NewNode(c.Binary, dir)
	if err != nil {
		return in, err
	}
	node.args = c.Args
	defer func() { err = errors.Join(err, node.Close(), os.RemoveAll(dir)) }()
	if _, err := node.Start(ctx); err != nil {
		return in, err
	}
	in, err = c.importFile(ctx, node, file, c.Size.Events, "--events", "--id", "user_id", "--event", "event", "--time", "time")
	if err != nil {
		return in, err
	}
	health, err := node.Client.Health(ctx)
	if err == nil && health.Events != int64(c.Size.Events) {
		err = fmt.Errorf("import Parquet: the node has %d events", health.Events)
	}
	if err != nil {
		return in, err
	}
	audit := &Audit{Profiles: -1, Events: int64(c.Size.Events), Names: gen.EventNames(), Ask: Asks(node.Client, asOfNow())}
	return in, audit.Run(ctx)
}

// untold is how many lines are written between two looks whether anybody still waits for them.
const untold = 1 << 14

func (c *ShopConfig) writeLines(ctx context.Context, file string) (lines int, err error) {
	shop, err := c.Size.Shop(c.Seed)
	if err != nil {
		return 0, err
	}
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriterSize(f, 1<<20) // keeps its first error
	var line []byte
	for p := range shop.Profiles() {
		line = p.AppendMessage(line[:0])
		out.Write(line)
		if lines++; lines%untold == 0 && ctx.Err() != nil {
			break
		}
	}
	for e := range shop.Events() {
		line = e.AppendMessage(line[:0])
		out.Write(line)
		if lines++; lines%untold == 0 && ctx.Err() != nil {
			break
		}
	}
	return lines, errors.Join(ctx.Err(), out.Flush(), f.Close())
}

// parquetEvent is a row of events.parquet; an event without price has neither amount nor category. What may
// be missing is a pointer, see the tests of the import.
type parquetEvent struct {
	UserID   string  `parquet:"user_id"`
	Event    string  `parquet:"event,dict"`
	Time     int64   `parquet:"time,timestamp(millisecond)"`
	Amount   *int64  `parquet:"amount,optional,decimal(2:12)"`
	Category *string `parquet:"category,optional,dict"`
}

func (c *ShopConfig) writeParquet(ctx context.Context, file string) error {
	shop, err := c.Size.Shop(c.Seed)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := parquet.NewGenericWriter[parquetEvent](f, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(1<<20))
	rows := make([]parquetEvent, 0, 4096)
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := w.Write(rows)
		rows = rows[:0]
		return err
	}
	for e := range shop.Events() {
		row := parquetEvent{UserID: gen.UserID(e.User), Event: e.Name, Time: e.Time}
		if e.Category != "" {
			row.Amount, row.Category = &e.AmountCents, &e.Category
		}
		rows = append(rows, row)
		if len(rows) == cap(rows) {
			if err := flush(); err != nil {
				return errors.Join(err, f.Close())
			}
		}
	}
	return errors.Join(flush(), w.Close(), f.Close())
}

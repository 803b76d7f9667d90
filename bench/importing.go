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

// imported is the result of importing one file.
type imported struct {
	lines     int
	elapsed   time.Duration
	node, own float64 // processor seconds of the node and of the command
}

// rate returns the lines per second.
func (i imported) rate() float64 { return float64(i.lines) / i.elapsed.Seconds() }

// figures returns the rate and the processor time per line, which says more on a busy machine. unit is line
// or row.
func (i imported) figures(format, unit string, goal float64, note string) []Figure {
	each := func(seconds float64) float64 { return seconds * 1e6 / float64(i.lines) }
	return []Figure{
		{Name: "import, " + format, Value: i.rate(), Unit: unit + "s/s", Goal: goal, More: true, Note: note},
		{Name: "import, " + format + ", processor time of the node", Value: each(i.node), Unit: "µs/" + unit},
		{Name: "import, " + format + ", processor time of the command", Value: each(i.own), Unit: "µs/" + unit},
	}
}

// imports runs `muster import` with the shop as NDJSON. Before that it imports the events as Parquet into a
// temporary node.
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

// load imports the shop as NDJSON and returns the lines per second.
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
	return in, ShopAudit(c.Size.Users, c.Size.Events, AskHTTP(node.Client, asOfNow())).Run(ctx)
}

// importFile runs the command and removes the file.
func (c *ShopConfig) importFile(ctx context.Context, node *Node, file string, lines int, args ...string) (in imported, err error) {
	c.Log("import of %s: %d lines", filepath.Base(file), lines)
	before, err := node.processorTime()
	if err != nil {
		return in, err
	}
	started := time.Now()
	quiet := c.logProgress(ctx, node, started)
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

// progressEvery is how often the progress of a long import is logged.
const progressEvery = 15 * time.Second

// logProgress logs how much the node has ingested, until stop is called.
func (c *ShopConfig) logProgress(ctx context.Context, node *Node, started time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var logger sync.WaitGroup
	logger.Go(func() {
		tick := time.NewTicker(progressEvery)
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
	return func() { cancel(); logger.Wait() }
}

// importParquet imports into a separate node.
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
	audit := &Audit{Profiles: -1, Events: int64(c.Size.Events), Names: gen.EventNames(), Ask: AskHTTP(node.Client, asOfNow())}
	return in, audit.Run(ctx)
}

// checkEvery is how many lines are written between two checks whether ctx has ended.
const checkEvery = 1 << 14

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
		if lines++; lines%checkEvery == 0 && ctx.Err() != nil {
			break
		}
	}
	for e := range shop.Events() {
		line = e.AppendMessage(line[:0])
		out.Write(line)
		if lines++; lines%checkEvery == 0 && ctx.Err() != nil {
			break
		}
	}
	return lines, errors.Join(ctx.Err(), out.Flush(), f.Close())
}

// parquetEvent is a row of events.parquet; an event without a price has neither amount nor category. Optional
// values are pointers, see the tests of the import.
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

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/parquet-go/parquet-go"
)

// imports runs `muster import` with the shop as NDJSON; before that a node that is thrown away takes
// the events as Parquet.
func (c *StoredConfig) imports(ctx context.Context, node *Node) ([]Figure, error) {
	columns, err := c.importParquet(ctx)
	if err != nil {
		return nil, err
	}
	rate, err := c.load(ctx, node)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d profiles, %d events, muster import beside the node", c.Size.Users, c.Size.Events)
	return []Figure{
		{Name: "import, NDJSON", Value: rate, Unit: "lines/s", Goal: 300_000, More: true, Note: what},
		{Name: "import, Parquet", Value: columns, Unit: "rows/s", Goal: 800_000, More: true, Note: "the events alone"},
	}, nil
}

// load imports the shop as NDJSON and returns lines a second.
func (c *ShopConfig) load(ctx context.Context, node *Node) (rate float64, err error) {
	file := filepath.Join(c.Dir, "shop.ndjson")
	lines, err := c.writeLines(file)
	if err != nil {
		return 0, err
	}
	if rate, err = c.importFile(ctx, node, file, lines); err != nil {
		return 0, err
	}
	health, err := node.Client.Health(ctx)
	if err != nil {
		return 0, err
	}
	if health.Events != int64(c.Size.Events) || health.Profiles != int64(c.Size.Users) {
		return 0, fmt.Errorf("import NDJSON: the node has %d profiles and %d events", health.Profiles, health.Events)
	}
	return rate, nil
}

// importFile runs the command and returns lines a second; the file is removed.
func (c *ShopConfig) importFile(ctx context.Context, node *Node, file string, lines int, args ...string) (float64, error) {
	c.Log("import of %s: %d lines", filepath.Base(file), lines)
	started := time.Now()
	command := exec.CommandContext(ctx, c.Binary, append([]string{"import", "--server", node.Client.BaseURL, file}, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("import %s: %w\n%s", file, err, out)
	}
	return float64(lines) / time.Since(started).Seconds(), os.Remove(file)
}

// importParquet measures on a node of its own.
func (c *ShopConfig) importParquet(ctx context.Context) (rate float64, err error) {
	dir := filepath.Join(c.Dir, "parquet")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return 0, err
	}
	node, err := NewNode(c.Binary, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, node.Close(), os.RemoveAll(dir)) }()
	if _, err := node.Start(ctx); err != nil {
		return 0, err
	}
	file := filepath.Join(dir, "events.parquet")
	if err := c.writeParquet(file); err != nil {
		return 0, fmt.Errorf("write the shop: %w", err)
	}
	rate, err = c.importFile(ctx, node, file, c.Size.Events, "--events", "--id", "user_id", "--event", "event", "--time", "time")
	if err != nil {
		return 0, err
	}
	health, err := node.Client.Health(ctx)
	if err == nil && health.Events != int64(c.Size.Events) {
		err = fmt.Errorf("import Parquet: the node has %d events", health.Events)
	}
	return rate, err
}

func (c *ShopConfig) writeLines(file string) (lines int, err error) {
	shop, err := c.Size.Shop(c.Seed)
	if err != nil {
		return 0, err
	}
	f, err := os.Create(file)
	if err != nil {
		return 0, fmt.Errorf("write the shop: %w", err)
	}
	out := bufio.NewWriterSize(f, 1<<20) // keeps its first error
	var line []byte
	for p := range shop.Profiles() {
		line = p.AppendMessage(line[:0])
		out.Write(line)
		lines++
	}
	for e := range shop.Events() {
		line = e.AppendMessage(line[:0])
		out.Write(line)
		lines++
	}
	return lines, errors.Join(out.Flush(), f.Close())
}

// parquetEvent is a row of events.parquet; an event without price has neither amount nor category.
type parquetEvent struct {
	UserID   string `parquet:"user_id"`
	Event    string `parquet:"event,dict"`
	Time     int64  `parquet:"time,timestamp(millisecond)"`
	Amount   int64  `parquet:"amount,optional,decimal(2:12)"`
	Category string `parquet:"category,optional,dict"`
}

func (c *ShopConfig) writeParquet(file string) error {
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
		_, err := w.Write(rows)
		rows = rows[:0]
		return err
	}
	for e := range shop.Events() {
		rows = append(rows, parquetEvent{fmt.Sprintf("user-%d", e.User), e.Name, e.Time, e.AmountCents, e.Category})
		if len(rows) == cap(rows) {
			if err := flush(); err != nil {
				return errors.Join(err, f.Close())
			}
		}
	}
	return errors.Join(flush(), w.Close(), f.Close())
}

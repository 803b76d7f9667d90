package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/bench"
	"github.com/musterdb/muster/bench/gen"
)

//go:embed click.py
var script []byte

// click is ClickHouse in a child process, with its tables in files in memory.
type click struct {
	threads int
	dir     string
	child   *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	version string
}

var _ bench.Subject = (*click)(nil)

// newClick starts ClickHouse with a Python that has chdb. Its files are under dir.
func newClick(ctx context.Context, python, dir string, threads int) (*click, error) {
	dir, err := os.MkdirTemp(dir, "muster-bench-")
	if err != nil {
		return nil, err
	}
	c := &click{threads: threads, dir: dir}
	if err := c.start(ctx, python); err != nil {
		return nil, errors.Join(fmt.Errorf("start ClickHouse: %w", err), c.Close())
	}
	return c, nil
}

func (c *click) start(ctx context.Context, python string) error {
	file := filepath.Join(c.dir, "click.py")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		return err
	}
	child := exec.CommandContext(ctx, python, file, filepath.Join(c.dir, "db"))
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		return err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	c.child, c.in, c.out = child, in, bufio.NewReaderSize(out, 1<<20)
	rows, _, err := c.query("SELECT version()")
	if err != nil {
		return err
	}
	c.version = rows[0][0]
	return nil
}

// Name implements bench.Subject.
func (c *click) Name() string { return "ClickHouse " + c.version }

// Close implements bench.Subject.
func (c *click) Close() error {
	var err error
	if c.child != nil {
		err = errors.Join(c.in.Close(), c.child.Wait())
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// query runs one statement and returns its rows and its cost.
func (c *click) query(sql string) (bench.Answer, bench.Cost, error) {
	text, err := json.Marshal(sql)
	if err != nil {
		return nil, bench.Cost{}, err
	}
	if _, err := c.in.Write(append(text, '\n')); err != nil {
		return nil, bench.Cost{}, fmt.Errorf("write to ClickHouse: %w", err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return nil, bench.Cost{}, fmt.Errorf("read from ClickHouse: %w", err)
	}
	var answer struct {
		NS    int64
		CPU   int64
		Rows  bench.Answer
		Fault string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, bench.Cost{}, fmt.Errorf("read from ClickHouse: %w", err)
	}
	if answer.Fault != "" {
		return nil, bench.Cost{}, fmt.Errorf("%s: %s", sql, answer.Fault)
	}
	return answer.Rows, bench.Cost{Wall: time.Duration(answer.NS), Processor: time.Duration(answer.CPU)}, nil
}

const (
	clickProfile = `id UInt32, country LowCardinality(String), plan LowCardinality(String), age UInt8, ltv Decimal(12, 2), signed_up_at DateTime64(3, 'UTC'), opt_in Bool, platform LowCardinality(String), email String`
	clickEvent   = `id UInt32, event LowCardinality(String), ts DateTime64(3, 'UTC'), amount Decimal(12, 2), category LowCardinality(String)`
	chunkRows    = 1_000_000
)

// Load implements bench.Subject. Rows are loaded through files of a million.
func (c *click) Load(ctx context.Context, shop *gen.Shop) error {
	for _, statement := range []string{
		"CREATE TABLE u (" + clickProfile + ") ENGINE = MergeTree ORDER BY id",
		"CREATE TABLE e (" + clickEvent + ") ENGINE = MergeTree ORDER BY (event, toDate(ts), id)",
	} {
		if _, _, err := c.query(statement); err != nil {
			return err
		}
	}
	profiles := chunk{click: c, table: "u", columns: clickProfile}
	for p := range shop.Profiles() {
		b := binary.LittleEndian.AppendUint32(profiles.data, uint32(p.Number))
		b = append(appendString(appendString(b, p.Country), p.Plan), byte(p.Age))
		b = binary.LittleEndian.AppendUint64(b, uint64(p.LTVCents))
		b = binary.LittleEndian.AppendUint64(b, uint64(p.SignedUpAt))
		b = appendString(append(b, boolByte(p.OptIn)), p.Platform)
		profiles.data = appendString(b, gen.Email(p.Number))
		if err := profiles.row(ctx); err != nil {
			return err
		}
	}
	events := chunk{click: c, table: "e", columns: clickEvent}
	for e := range shop.Events() {
		b := appendString(binary.LittleEndian.AppendUint32(events.data, uint32(e.User)), e.Name)
		b = binary.LittleEndian.AppendUint64(b, uint64(e.Time))
		b = binary.LittleEndian.AppendUint64(b, uint64(e.AmountCents))
		events.data = appendString(b, e.Category)
		if err := events.row(ctx); err != nil {
			return err
		}
	}
	if err := errors.Join(profiles.flush(), events.flush()); err != nil {
		return err
	}
	for _, table := range []string{"u", "e"} {
		if _, _, err := c.query("OPTIMIZE TABLE " + table + " FINAL"); err != nil {
			return err
		}
	}
	return nil
}

// chunk collects rows in RowBinary.
type chunk struct {
	click   *click
	table   string
	columns string
	data    []byte
	rows    int
}

func (k *chunk) row(ctx context.Context) error {
	if k.rows++; k.rows < chunkRows {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return k.flush()
}

func (k *chunk) flush() error {
	if k.rows == 0 {
		return nil
	}
	file := filepath.Join(k.click.dir, "chunk")
	if err := os.WriteFile(file, k.data, 0o600); err != nil {
		return err
	}
	k.data, k.rows = k.data[:0], 0
	_, _, err := k.click.query("INSERT INTO " + k.table + " SELECT * FROM file('" + file + "', RowBinary, '" + strings.ReplaceAll(k.columns, "'", `\'`) + "')")
	return errors.Join(err, os.Remove(file))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Ask implements bench.Subject.
func (c *click) Ask(_ context.Context, q bench.Question) (bench.Answer, bench.Cost, error) {
	return c.query(q.In(bench.ClickHouse, bench.Now()) + " SETTINGS max_threads = " + strconv.Itoa(c.threads))
}

// Memory implements bench.Subject: the files, which are in memory, and the memory of the process.
func (c *click) Memory(context.Context) ([]bench.Bytes, error) {
	rows, _, err := c.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active")
	if err != nil {
		return nil, err
	}
	files, err := strconv.ParseInt(rows[0][0], 10, 64)
	if err != nil {
		return nil, err
	}
	resident, err := bench.ResidentBytes(c.child.Process.Pid)
	return []bench.Bytes{{Name: "total", Bytes: files}, {Name: "process", Bytes: resident}}, err
}

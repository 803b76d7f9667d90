package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/musterdb/muster/bench"
	"github.com/musterdb/muster/bench/gen"
)

// duck is DuckDB in this process, with all tables in memory.
type duck struct {
	connector *duckdb.Connector
	db        *sql.DB
	version   string
}

var _ bench.Subject = (*duck)(nil)

func newDuck(ctx context.Context, threads int) (*duck, error) {
	connector, err := duckdb.NewConnector(fmt.Sprintf("?threads=%d", threads), nil)
	if err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	d := &duck{connector: connector, db: sql.OpenDB(connector)}
	if err := d.db.QueryRowContext(ctx, "SELECT version()").Scan(&d.version); err != nil {
		return nil, errors.Join(fmt.Errorf("open DuckDB: %w", err), d.Close())
	}
	return d, nil
}

// Name implements bench.Subject.
func (d *duck) Name() string { return "DuckDB " + strings.TrimPrefix(d.version, "v") }

// Close implements bench.Subject.
func (d *duck) Close() error { return errors.Join(d.db.Close(), d.connector.Close()) }

// Load implements bench.Subject. Rows are loaded into plain staging tables, which are then rewritten in order,
// with enums for strings with few values.
func (d *duck) Load(ctx context.Context, shop *gen.Shop) error {
	for _, statement := range []string{
		`CREATE TABLE raw_u (id UINTEGER, country VARCHAR, plan VARCHAR, age UTINYINT, ltv BIGINT, signed_up_at TIMESTAMP, opt_in BOOLEAN, platform VARCHAR, email VARCHAR)`,
		`CREATE TABLE raw_e (id UINTEGER, event UTINYINT, ts TIMESTAMP, amount BIGINT, category UTINYINT)`,
	} {
		if _, err := d.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	err := d.append(ctx, "raw_u", func(put func(...driver.Value) error) error {
		for p := range shop.Profiles() {
			if err := put(uint32(p.Number), p.Country, p.Plan, uint8(p.Age), p.LTVCents, time.UnixMilli(p.SignedUpAt).UTC(), p.OptIn, p.Platform, gen.Email(p.Number)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var names, categories codes
	err = d.append(ctx, "raw_e", func(put func(...driver.Value) error) error {
		for e := range shop.Events() {
			if err := put(uint32(e.User), names.of(e.Name), time.UnixMilli(e.Time).UTC(), e.AmountCents, categories.of(e.Category)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.arrange(ctx, names, categories)
}

// arrange makes u and e from the staging tables.
func (d *duck) arrange(ctx context.Context, names, categories codes) error {
	enum := func(column string) string {
		return "CREATE TYPE " + column + "_enum AS ENUM (SELECT DISTINCT " + column + " FROM raw_u ORDER BY 1)"
	}
	for _, statement := range []string{
		enum("country"), enum("plan"), enum("platform"),
		"CREATE TYPE event_enum AS ENUM (" + names.list() + ")",
		"CREATE TYPE category_enum AS ENUM (" + categories.list() + ")",
		`CREATE TABLE u AS SELECT id, country::country_enum AS country, plan::plan_enum AS plan, age,
			CAST(ltv * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(12, 2)) AS ltv, signed_up_at, opt_in, platform::platform_enum AS platform, email
			FROM raw_u ORDER BY id`,
		"DROP TABLE raw_u",
		`CREATE TABLE e AS SELECT id, [` + names.list() + `][event + 1]::event_enum AS event, ts,
			CAST(amount * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(12, 2)) AS amount,
			[` + categories.list() + `][category + 1]::category_enum AS category FROM raw_e ORDER BY 2, 1, 3`,
		"DROP TABLE raw_e",
		"CHECKPOINT",
	} {
		if _, err := d.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement[:min(len(statement), 40)], err)
		}
	}
	return nil
}

// append calls fill with a function that appends a row to a table.
func (d *duck) append(ctx context.Context, table string, fill func(put func(...driver.Value) error) error) error {
	conn, err := d.connector.Connect(ctx)
	if err != nil {
		return fmt.Errorf("append to %s: %w", table, err)
	}
	appender, err := duckdb.NewAppenderFromConn(conn, "", table)
	if err != nil {
		return errors.Join(fmt.Errorf("append to %s: %w", table, err), conn.Close())
	}
	n := 0
	err = fill(func(values ...driver.Value) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return appender.AppendRow(values...)
	})
	return errors.Join(err, appender.Close(), conn.Close())
}

// Ask implements bench.Subject.
func (d *duck) Ask(ctx context.Context, q bench.Question) (bench.Answer, bench.Cost, error) {
	text := q.In(bench.DuckDB, bench.Now())
	watch := bench.StartStopwatch()
	rows, err := d.db.QueryContext(ctx, text)
	if err != nil {
		return nil, bench.Cost{}, fmt.Errorf("%s: %w", text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, bench.Cost{}, err
	}
	var answer bench.Answer
	for rows.Next() {
		values := make([]any, len(columns))
		at := make([]any, len(columns))
		for i := range values {
			at[i] = &values[i]
		}
		if err := rows.Scan(at...); err != nil {
			return nil, bench.Cost{}, err
		}
		answer = append(answer, texts(values))
	}
	cost := watch.Stop()
	return answer, cost, rows.Err()
}

func texts(values []any) []string {
	row := make([]string, len(values))
	for i, v := range values {
		if t, ok := v.(time.Time); ok {
			row[i] = t.Format(time.DateOnly)
			continue
		}
		row[i] = fmt.Sprint(v)
	}
	return row
}

// Memory implements bench.Subject.
func (d *duck) Memory(ctx context.Context) ([]bench.Bytes, error) {
	var bytes int64
	err := d.db.QueryRowContext(ctx, "SELECT CAST(sum(memory_usage_bytes) AS BIGINT) FROM duckdb_memory()").Scan(&bytes)
	return []bench.Bytes{{Name: "total", Bytes: bytes}}, err
}

// codes numbers strings in order of appearance.
type codes struct {
	known map[string]uint8
	all   []string
}

func (c *codes) of(s string) uint8 {
	code, ok := c.known[s]
	if !ok {
		if c.known == nil {
			c.known = map[string]uint8{}
		}
		code = uint8(len(c.all))
		c.known[s] = code
		c.all = append(c.all, s)
	}
	return code
}

// list returns the strings as SQL.
func (c *codes) list() string {
	quoted := slices.Clone(c.all)
	for i, s := range quoted {
		quoted[i] = "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return strings.Join(quoted, ", ")
}

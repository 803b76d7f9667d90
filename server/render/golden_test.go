package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

var update = flag.Bool("update", false, "rewrite testdata")

// golden compares a text with a golden file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if the new output is right, run go test ./server/render -update\n%s", path, difference(got, string(want)))
	}
}

func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d:\n got %s\nwant %s", i+1, x, y)
		}
	}
	return ""
}

func num(text string) tree.Value {
	n, ok := tree.ParseNumber(text)
	if !ok {
		panic(text)
	}
	return tree.Num(n)
}

func at(text string) tree.Value {
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return tree.Time(when.UnixMilli())
}

// everything returns an answer with a column of each type and values of each form.
func everything() *query.Answer {
	columns := []query.Column{{Name: "name", Type: "string"}, {Name: "n", Type: "number"}, {Name: "ok", Type: "boolean"}, {Name: "at", Type: "time"}, {Name: "tags", Type: "list"},
		{Name: "n", Type: "number"}, {Name: `a "b", c`, Type: "string"}}
	list := func(items ...string) tree.Value {
		var all []tree.Value
		for _, s := range items {
			all = append(all, tree.Str(s))
		}
		return tree.ListOf(all...)
	}
	rows := [][]tree.Value{
		{tree.Str("plain"), num("0"), tree.Bool(true), at("2026-11-22T12:00:00Z"), list("x"), num("1"), tree.Str("")},
		{{}, {}, {}, {}, {}, {}, {}},
		{tree.Str("comma, \"quote\" and\nline"), num("9007199254740993"), tree.Bool(false), at("2026-03-29T03:30:00.001+02:00"), list("a,b", `c"d`), num("0.1"), tree.Str("\u2028<b>&amp;")},
		{tree.Str("=1+1"), num("-9223372036854775807"), tree.Bool(true), at("0001-01-01T00:00:00Z"), list("=1;=2"), num("-0.000000001"), tree.Str("+49 (0)30")},
		{tree.Str("\x1b[31mred\x1b[0m\x07\x00"), num("9223372036854775808"), tree.Bool(true), at("9999-12-31T23:59:59.999Z"), list("", "ß", "日本"), num("19.99"), tree.Str("\t@SUM")},
		{tree.Str("not \xff UTF-8"), num("1e300"), tree.Bool(false), at("1969-12-31T23:59:59.999Z"), list("\r\n"), num("123456789.123456789"), tree.Str("-5")},
		{tree.Str("e\u0301 \U0001F600"), num("1e-30"), tree.Bool(true), at("1970-01-01T00:00:00Z"), list("-1"), num("0.123456789012345678"), tree.Str("\ufeffbom")},
	}
	return &query.Answer{Columns: columns, Rows: rows,
		Stats: query.Stats{ElapsedMillis: 1.23456, Profiles: 7, EventsScanned: 1 << 40, Now: at("2026-11-22T12:00:00.5Z").Int,
			Shards: []query.ShardStat{{Shard: 0, Seq: 1<<64 - 1, Time: 0, SettledTo: 999}, {Shard: 1, Seq: 0, Time: 1, SettledTo: -1}}},
		Warnings: []tree.Diagnostic{
			{Code: "unknown_event", Message: `there is no event "x"`, Line: 1, Column: 7, Length: 3, Hint: "write \"y\"", Suggestions: []string{"y", "ß\n"}},
			{Code: "left_out", Message: "3 values were left out"},
		}}
}

// TestAnswers writes an answer as JSON and as each kind of table.
func TestAnswers(t *testing.T) {
	a := everything()
	body := AppendAnswer(nil, a)
	if !json.Valid(body) {
		t.Error("the answer is not JSON")
	}
	golden(t, "answer.json", string(body))
	golden(t, "empty.json", string(AppendAnswer(nil, &query.Answer{Stats: query.Stats{ElapsedMillis: math.NaN()}}))+string(AppendAnswer(nil, &query.Answer{Stats: query.Stats{ElapsedMillis: math.Inf(1)}})))
	for format, name := range map[Format]string{CSV: "answer.csv", SafeCSV: "answer-safe.csv", NDJSON: "answer.ndjson"} {
		var out bytes.Buffer
		if err := Table(&out, format, a.Columns, AllRows(a)); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.String())
		if format == NDJSON {
			for line := range strings.Lines(out.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
		}
	}
	golden(t, "answer.parquet.txt", parquetAsText(t, a.Columns, a.Rows))
}

// TestParquetNumbers: a column of numbers gets the narrowest type that holds all of them exactly.
func TestParquetNumbers(t *testing.T) {
	var out strings.Builder
	for _, numbers := range []string{
		"1 -2 9223372036854775807", "1 2.5", "0.01 100 -3.125", "0.125 0.5", "999999999999999999 0", "0.5 999999999999999999", "0.5 99999999999999999", "0.000000000000000001 0", "0.000000000000000001 1",
		"1 1e300", "1e300 0.5", "0.5 1e300", "9223372036854775808", "-0.5 -99999999999999999", "-0.5 -999999999999999999", "none", "none 3",
	} {
		var rows [][]tree.Value
		for text := range strings.FieldsSeq(numbers) {
			if text == "none" {
				rows = append(rows, []tree.Value{{}})
			} else {
				rows = append(rows, []tree.Value{num(text)})
			}
		}
		fmt.Fprintf(&out, "%s\n%s\n", numbers, parquetAsText(t, []query.Column{{Name: "n", Type: "number"}}, rows))
	}
	golden(t, "numbers.parquet.txt", out.String())
}

// TestOddRows: rows that are shorter than the columns, values of another type than their column, and more
// rows than one batch.
func TestOddRows(t *testing.T) {
	columns := []query.Column{{Name: "b", Type: "boolean"}, {Name: "a", Type: "time"}, {Name: "b", Type: "list"}, {Name: "s", Type: "string"}, {Name: "b_2", Type: "number"}}
	rows := [][]tree.Value{{}, {tree.Bool(true)}, {num("1"), num("2"), num("3"), num("4.5"), tree.Str("five")}, {tree.Str("x"), tree.Str("y"), tree.Str("z"), tree.ListOf(num("1"), tree.Bool(true)), tree.Bool(false)}}
	out := parquetAsText(t, columns, rows)
	for _, format := range []Format{CSV, NDJSON} {
		var b bytes.Buffer
		if err := Table(&b, format, columns, AllRows(&query.Answer{Rows: rows})); err != nil {
			t.Fatal(err)
		}
		out += b.String()
	}
	golden(t, "odd.txt", out)
	many := make([][]tree.Value, 2*parquetBatch+3)
	for i := range many {
		many[i] = []tree.Value{tree.NumInt(int64(i))}
	}
	text := parquetAsText(t, []query.Column{{Name: "i", Type: "number"}}, many)
	if !strings.HasSuffix(text, "\n"+fmt.Sprint(len(many)-1)+"\n") || strings.Count(text, "\n") != len(many)+strings.Count(parquetAsText(t, []query.Column{{Name: "i", Type: "number"}}, nil), "\n") {
		t.Errorf("%d rows became %d lines", len(many), strings.Count(text, "\n"))
	}
}

// TestManyLines: more lines than the buffer holds are all written once, in order.
func TestManyLines(t *testing.T) {
	rows := make([][]tree.Value, 30_000)
	var want strings.Builder
	for i := range rows {
		rows[i] = []tree.Value{tree.NumInt(int64(i))}
		fmt.Fprintf(&want, "{\"i\":%d}\n", i)
	}
	var out bytes.Buffer
	if err := Table(&out, NDJSON, []query.Column{{Name: "i", Type: "number"}}, AllRows(&query.Answer{Rows: rows})); err != nil || out.String() != want.String() {
		t.Errorf("%d bytes, want %d, %v", out.Len(), want.Len(), err)
	}
}

// parquetAsText returns the schema of a Parquet file and its rows as text.
func parquetAsText(t *testing.T, columns []query.Column, rows [][]tree.Value) string {
	t.Helper()
	var file bytes.Buffer
	if err := Table(&file, Parquet, columns, AllRows(&query.Answer{Rows: rows})); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	out := f.Schema().String() + "\n"
	for _, group := range f.RowGroups() {
		reader := group.Rows()
		defer reader.Close()
		buffer := make([]parquet.Row, 1)
		for {
			n, err := reader.ReadRows(buffer)
			if n == 0 || err != nil && n == 0 {
				break
			}
			var cells []string
			for _, v := range buffer[0] {
				cell := fmt.Sprintf("%q", v.String())
				if v.IsNull() {
					cell = "null"
				} else if v.Kind() != parquet.ByteArray {
					cell = v.String()
				}
				if v.RepetitionLevel() > 0 {
					cell = "+" + cell
				}
				cells = append(cells, cell)
			}
			out += strings.Join(cells, " | ") + "\n"
		}
	}
	return out
}

// TestChanges writes changes in every format: of a known profile, an anonymous one and one that is gone.
func TestChanges(t *testing.T) {
	people := []*node.Person{
		nil,
		{UserID: "u\"1", AnonymousIDs: []string{"a1", "a2"}, Fields: fieldsOf("plan", tree.Str("p\nx"), "ltv", num("19.99"), "at", at("2026-11-22T12:00:00Z"), "none", tree.Value{})},
		{AnonymousIDs: []string{"anon"}},
		{UserID: "alone", Fields: fieldsOf()},
	}
	var out strings.Builder
	var all []*Change
	for i, p := range people {
		for _, enter := range []bool{true, false} {
			c := &Change{ID: ChangeID(3, 1<<64-1, i), Segment: `Big "Spenders" 2026-ß`, Profile: fmt.Sprint("p", i), Enter: enter, At: at("2026-11-22T12:00:00.25Z").Int, Cause: "event", Version: 7, Cursor: "cur", Person: p}
			all = append(all, c)
			for _, format := range []ChangeFormat{Native, SegmentTrack, SegmentIdentify, CloudEvent} {
				payload := AppendPayload(nil, format, c)
				if !json.Valid(payload) {
					t.Errorf("%s: not JSON: %s", format, payload)
				}
				fmt.Fprintf(&out, "%s %t %d\n%s\n", format, enter, i, payload)
			}
		}
	}
	again := *all[0] // the first profile enters again
	all = append(all, &again)
	for name, some := range map[string][]*Change{"both": all, "none": nil} {
		cohort := AppendCohort(nil, `Big "Spenders" 2026-ß`, some)
		if !json.Valid(cohort) {
			t.Errorf("%s: not JSON: %s", name, cohort)
		}
	}
	fmt.Fprintf(&out, "cohort\n%s\n%s\n%s\n", AppendCohort(nil, "S", all), AppendCohort(nil, "S", nil), AppendCohort(nil, "S", all[3:4]))
	golden(t, "changes.txt", out.String())
}

// TestChangeFormats: each name is parsed, and any other is an error.
func TestChangeFormats(t *testing.T) {
	for name, person := range map[string]bool{"": false, "native": false, "segment-track": true, "segment-identify": true, "cohort-batch": true, "cloudevent": false} {
		f, err := ParseChangeFormat(name)
		if err != nil || f.NeedsPerson() != person || name != "" && string(f) != name {
			t.Errorf("%q: %q, %v", name, f, err)
		}
	}
	for _, name := range []string{"Native", "csv", strings.Repeat("x", 999)} {
		if _, err := ParseChangeFormat(name); err == nil || len(err.Error()) > 200 {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestWriterFails: an error of the writer is returned, in every format and however few bytes it accepts.
func TestWriterFails(t *testing.T) {
	a := everything()
	for range 12 {
		a.Rows = append(a.Rows, a.Rows...)
	}
	for _, format := range []Format{CSV, SafeCSV, NDJSON, Parquet} {
		for _, space := range []int{0, 100, 70_000} {
			if format == Parquet && space > 100 { // the compressed file is smaller
				continue
			}
			if err := Table(&full{space}, format, a.Columns, AllRows(a)); !errors.Is(err, errFull) {
				t.Errorf("format %d with space for %d bytes: %v", format, space, err)
			}
		}
	}
	if err := Table(&full{}, JSON, a.Columns, AllRows(a)); err == nil {
		t.Error("JSON was accepted as a table format")
	}
}

var errFull = errors.New("full")

type full struct{ space int }

func (f *full) Write(b []byte) (int, error) {
	if f.space -= len(b); f.space < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func fieldsOf(pairs ...any) []engine.NamedField {
	fields := []engine.NamedField{}
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, engine.NamedField{Name: pairs[i].(string), Value: pairs[i+1].(tree.Value)})
	}
	return fields
}

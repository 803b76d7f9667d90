package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// testVisit is a row with a column of each sort that has its own code for reading. Columns that may be
// missing are pointers: with optional fields that are not pointers, parquet-go v0.32.0 sometimes read a
// missing value back as zero, with its own reader too.
type testVisit struct {
	Who    string   `parquet:"who,dict"`
	At     int64    `parquet:"at,timestamp(millisecond)"`
	Paid   *int64   `parquet:"paid,optional,decimal(2:12)"`
	Small  int32    `parquet:"small,decimal(3:9)"`
	Share  *float64 `parquet:"share,optional"`
	Sort   *string  `parquet:"sort,optional,dict"`
	Note   string   `parquet:"note"`
	Day    int32    `parquet:"day,date"`
	New    bool     `parquet:"new"`
	Tags   []string `parquet:"tags,list"`
	Counts []int64  `parquet:"counts"`
	Unused []string `parquet:"unused,list"`
}

func randomVisit(r *rand.Rand) testVisit {
	v := testVisit{Who: fmt.Sprint("user-", r.IntN(50)), At: r.Int64N(2e12) - 1e12, Small: r.Int32N(2_000_000) - 1_000_000,
		Note: fmt.Sprintf("%q\n\t%d é", string(rune(r.IntN(300))), r.IntN(1000)), Day: r.Int32N(40_000) - 10_000, New: r.IntN(2) == 0}
	if r.IntN(3) > 0 {
		paid, sort := r.Int64N(2_000_000)-1_000_000, fmt.Sprint("sort ", r.IntN(20))
		v.Paid, v.Sort = &paid, &sort
	}
	if r.IntN(2) > 0 {
		share := float64(r.IntN(1000)) / 8
		v.Share = &share
	}
	for range r.IntN(40) * r.IntN(2) {
		v.Tags = append(v.Tags, fmt.Sprint("tag", r.IntN(9)))
	}
	for range r.IntN(3) * r.IntN(500) * r.IntN(2) {
		v.Counts = append(v.Counts, r.Int64N(1<<40)-1<<39)
	}
	v.Unused = v.Tags
	return v
}

// sent returns the message that a visit should be sent as, with the plan of the test.
func (v testVisit) sent(line int) map[string]any {
	properties := map[string]any{"small": float64(v.Small) / 1000, "note": v.Note, "new": v.New,
		"day": map[string]any{"$time": float64(v.Day) * 86_400_000}}
	if v.Paid != nil {
		properties["paid"], properties["sort"] = float64(*v.Paid)/100, *v.Sort
	}
	if v.Share != nil {
		properties["share"] = *v.Share
	}
	var tags, counts []any
	for _, tag := range v.Tags {
		tags = append(tags, tag)
	}
	for _, n := range v.Counts {
		counts = append(counts, float64(n))
	}
	if tags != nil {
		properties["tags"] = tags
	}
	if counts != nil {
		properties["counts"] = counts
	}
	return map[string]any{"type": "track", "event": "Visited", "userId": v.Who, "timestamp": float64(v.At), "_line": float64(line), "properties": properties}
}

// TestParquetRows reads rows from many small pages and row groups, some with lists longer than the buffer,
// and compares each message with its row.
func TestParquetRows(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	plan := &Plan{Mode: Events, ID: "who", EventName: "Visited", Time: "at",
		Keep: []string{"paid", "small", "share", "sort", "note", "day", "new", "tags", "counts"}}
	for _, version := range []int{1, 2} {
		rows := make([]testVisit, 3000)
		for i := range rows {
			rows[i] = randomVisit(r)
		}
		var file bytes.Buffer
		w := parquet.NewGenericWriter[testVisit](&file, parquet.PageBufferSize(700+r.IntN(5000)), parquet.DataPageVersion(version),
			parquet.MaxRowsPerRowGroup(int64(500+r.IntN(2000))), parquet.Compression(&parquet.Snappy))
		for from := 0; from < len(rows); from += 100 {
			if _, err := w.Write(rows[from : from+100]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		in, err := newParquet(bytes.NewReader(file.Bytes()), int64(file.Len()), plan)
		if err != nil {
			t.Fatal(err)
		}
		batch := &Batch{}
		for err == nil {
			err = in.read(batch)
		}
		if err != io.EOF || len(batch.Rejects) > 0 || len(batch.sent) != len(rows) {
			t.Fatalf("seed %d, version %d: %v, %d rejects, %d of %d rows", seed, version, err, len(batch.Rejects), len(batch.sent), len(rows))
		}
		for i := range rows {
			want, _ := json.Marshal(rows[i].sent(i + 1))
			var message any
			if err := json.Unmarshal(batch.Piece(i, i+1), &message); err != nil {
				t.Fatalf("seed %d, version %d, row %d: %v in %s", seed, version, i, err, batch.Piece(i, i+1))
			}
			if got, _ := json.Marshal(message); string(got) != string(want) {
				t.Fatalf("seed %d, version %d, row %d:\n%s\nwant\n%s", seed, version, i, got, want)
			}
		}
	}
}

// TestDecimal checks that decimals become JSON numbers.
func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		n     int64
		scale int
		want  string
	}{{0, 0, "0"}, {0, 2, "0.00"}, {5, 2, "0.05"}, {-5, 2, "-0.05"}, {123, 2, "1.23"}, {-12345, 3, "-12.345"}, {99, 2, "0.99"}, {-1 << 63, 4, "-922337203685477.5808"}, {7, 0, "7"}} {
		if got := string(appendDecimal(nil, c.n, c.scale)); got != c.want {
			t.Errorf("%d at scale %d is %s, want %s", c.n, c.scale, got, c.want)
		}
	}
	wide := make([]byte, 16) // -12345 in two's complement
	for i := range wide {
		wide[i] = 0xff
	}
	wide[14], wide[15] = 0xcf, 0xc7
	text, ok := decimal(3, parquet.FixedLenByteArray)(nil, parquet.FixedLenByteArrayValue(wide))
	if string(text) != "-12.345" || !ok {
		t.Errorf("a decimal of 16 bytes is %s, %v, want -12.345", text, ok)
	}
}

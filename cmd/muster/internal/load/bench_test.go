package load

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// sale is a row of a typical file: an id, a time, two numbers and two strings.
type sale struct {
	Who    string  `parquet:"who,dict"`
	At     int64   `parquet:"at,timestamp(millisecond)"`
	Amount float64 `parquet:"amount"`
	Count  int64   `parquet:"count"`
	Sort   string  `parquet:"sort,dict"`
	Note   string  `parquet:"note"`
}

func sales(n int) []sale {
	rows := make([]sale, n)
	for i := range rows {
		rows[i] = sale{fmt.Sprint("user-", i%5000), 1_500_000_000_000 + int64(i)*1000, float64(i%9000) / 100, int64(i % 7), fmt.Sprint("sort ", i%20), fmt.Sprint("note number ", i)}
	}
	return rows
}

// BenchmarkRead measures how fast lines are encoded as messages. One operation is one line.
func BenchmarkRead(b *testing.B) {
	rows := sales(200_000)
	plan := Plan{Mode: Events, ID: "who", EventName: "Sold", Time: "at"}
	var csv, ndjson bytes.Buffer
	csv.WriteString("who,at,amount,count,sort,note\n")
	for _, r := range rows {
		fmt.Fprintf(&csv, "%s,%d,%g,%d,%s,%s\n", r.Who, r.At, r.Amount, r.Count, r.Sort, r.Note)
		fmt.Fprintf(&ndjson, `{"who":"%s","at":%d,"amount":%g,"count":%d,"sort":"%s","note":"%s"}`+"\n", r.Who, r.At, r.Amount, r.Count, r.Sort, r.Note)
	}
	var columns bytes.Buffer
	if err := parquet.Write(&columns, rows, parquet.Compression(&parquet.Zstd)); err != nil {
		b.Fatal(err)
	}
	inputs := map[string]func() (input, error){
		"csv":    func() (input, error) { return newCSV(bytes.NewReader(csv.Bytes()), &plan, ',') },
		"ndjson": func() (input, error) { return newNDJSON(bytes.NewReader(ndjson.Bytes()), &plan), nil },
		"parquet": func() (input, error) {
			return newParquet(bytes.NewReader(columns.Bytes()), int64(columns.Len()), &plan)
		},
	}
	for name, open := range inputs {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			batch := &Batch{}
			for done := 0; done < b.N; {
				in, err := open()
				if err != nil {
					b.Fatal(err)
				}
				for ; err == nil && done < b.N; done++ {
					if len(batch.Body) > bodyBytes {
						batch.reset()
					}
					err = in.read(batch)
				}
				if err != nil && err != io.EOF {
					b.Fatal(err)
				}
			}
			if len(batch.Rejects) > 0 {
				b.Fatal(batch.Rejects[0])
			}
		})
	}
}

package load

import (
	"bytes"
	"encoding/csv"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readAll returns the fields of every record, their line numbers, and the faults with their lines.
func readAll(t testing.TB, r io.Reader) (rows [][]string, lines []uint64, faults []string) {
	t.Helper()
	c := records{window: newWindow(r), comma: ','}
	for {
		rec, err := c.next()
		if err == io.EOF {
			return rows, lines, faults
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.fault != "" {
			faults = append(faults, rec.fault+" in "+string(rec.raw))
			continue
		}
		var row []string
		for _, f := range rec.fields {
			row = append(row, string(f))
		}
		rows, lines = append(rows, row), append(lines, rec.number)
	}
}

func TestRecords(t *testing.T) {
	text := "a,b\n1,\"x \"\"y\"\"\"\n\n2,\"two\nlines\"\r\n3,\n\"4\",last"
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
		rows, lines, faults := readAll(t, r)
		want := [][]string{{"a", "b"}, {"1", `x "y"`}, {"2", "two\nlines"}, {"3", ""}, {"4", "last"}}
		if !slices.EqualFunc(rows, want, slices.Equal) || len(faults) > 0 {
			t.Errorf("%s: rows %q, faults %q, want %q", name, rows, faults, want)
		}
		if want := []uint64{1, 2, 4, 6, 7}; !slices.Equal(lines, want) {
			t.Errorf("%s: lines %v, want %v", name, lines, want)
		}
	}
}

// TestRecordsRecover checks that a malformed line does not affect the lines after it.
func TestRecordsRecover(t *testing.T) {
	long := strings.Repeat("x", maxLine+10)
	text := "a,b\n\"1\"x,2\nok,1\n\"open,2\nok,3\n" + long + "\nok,4\n"
	rows, lines, faults := readAll(t, strings.NewReader(text))
	if want := [][]string{{"a", "b"}, {"ok", "1"}, {"ok", "3"}, {"ok", "4"}}; !slices.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if want := []uint64{1, 3, 5, 7}; !slices.Equal(lines, want) {
		t.Errorf("lines %v, want %v", lines, want)
	}
	if len(faults) != 3 {
		t.Errorf("%d faults, want 3", len(faults))
	}
}

// FuzzRecords compares records with encoding/csv on all input that encoding/csv accepts.
func FuzzRecords(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "\"a\"\"b\",c\r\n", "x,\"y\nz\"\n\nq", "\"\",\n", "a\rb,c\r"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, _, faults := readAll(t, bytes.NewReader(text))
		if again, _, _ := readAll(t, iotest.HalfReader(bytes.NewReader(text))); !slices.EqualFunc(rows, again, slices.Equal) {
			t.Fatalf("read in pieces %q, whole %q", again, rows)
		}
		twin := csv.NewReader(bytes.NewReader(text))
		twin.FieldsPerRecord = -1
		want, err := twin.ReadAll()
		// The twin turns \r\n inside quotes into \n, and takes a \r before the end of the file as a line end.
		if err != nil || bytes.IndexByte(text, '\r') >= 0 {
			return
		}
		if !slices.EqualFunc(rows, want, slices.Equal) || len(faults) > 0 {
			t.Fatalf("rows %q, faults %q, twin %q", rows, faults, want)
		}
	})
}

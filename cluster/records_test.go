package cluster

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// TestRecords: after random entries, some of them damaged, a table has what was put.
func TestRecords(t *testing.T) {
	var s records
	want := map[string][]byte{}
	r := rand.New(rand.NewPCG(2, 2))
	for range 300 {
		put := map[string][]byte{}
		for range 1 + r.IntN(5) {
			key := fmt.Sprint("consumers/", r.IntN(20))
			if put[key] = bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(200_000)); r.IntN(3) == 0 {
				put[key] = nil
			}
		}
		for _, entry := range encodeRecords(put) {
			if len(entry) > recordsEntry+maxRecord+maxRecordKey {
				t.Fatalf("an entry of %d bytes", len(entry))
			}
			if err := s.apply(entry[:len(entry)-1]); err == nil && len(entry) > 1 && entry[len(entry)-1] != 0 {
				t.Fatal("a truncated entry is accepted")
			}
			if err := s.apply(entry); err != nil {
				t.Fatal(err)
			}
		}
		for key, value := range put {
			if value == nil {
				delete(want, key)
			} else {
				want[key] = value
			}
		}
	}
	if got := s.all(); !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	size := 0
	for _, value := range want {
		size += len(value)
	}
	if s.mu.bytes != size {
		t.Errorf("%d bytes counted, %d there", s.mu.bytes, size)
	}
}

// TestRecordsAreBounded: an entry that exceeds the limit is refused as a whole, and removing always
// works.
func TestRecordsAreBounded(t *testing.T) {
	var s records
	value := make([]byte, maxRecord)
	for i := range maxRecords / maxRecord {
		if err := s.apply(encodeRecords(map[string][]byte{fmt.Sprint(i): value})[0]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.apply(encodeRecords(map[string][]byte{"more": {1}})[0]); err == nil {
		t.Error("a record above the limit is accepted")
	}
	if err := s.apply(encodeRecords(map[string][]byte{"0": nil, "more": {1}})[0]); err != nil {
		t.Errorf("one record in place of another: %v", err)
	}
}

package wire

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

// randomSet returns a set with arrays, bitsets and runs, in up to six containers.
func randomSet(r *rand.Rand) *roaring.Bitmap {
	s := roaring.New()
	for range r.IntN(6) {
		base := uint64(r.IntN(20)) << 16
		switch r.IntN(4) {
		case 0:
			for range 1 + r.IntN(4096) {
				s.Add(uint32(base) | r.Uint32N(1<<16))
			}
		case 1:
			for range 10_000 + r.IntN(30_000) {
				s.Add(uint32(base) | r.Uint32N(1<<16))
			}
		case 2:
			for range 1 + r.IntN(40) {
				from := base + uint64(r.IntN(1<<16))
				s.AddRange(from, min(from+uint64(r.IntN(3000)), base+1<<16))
			}
		case 3:
			s.AddRange(base, base+1<<16)
			s.Remove(uint32(base) | r.Uint32N(1<<16))
		}
	}
	return s
}

// TestSetRoundTrip: sets of all forms are read back unchanged, and the same set has the same bytes,
// whatever its form in memory.
func TestSetRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		s := randomSet(r)
		held := s.Clone()
		data := AppendSet([]byte("before"), s)
		in := NewReader(data[len("before"):])
		back := in.Set()
		if err := in.Done(); err != nil || !back.Equals(s) {
			t.Fatalf("%d positions are read back as %d: %v", s.GetCardinality(), back.GetCardinality(), err)
		}
		if s.HasRunCompression() != held.HasRunCompression() || !s.Equals(held) {
			t.Fatal("the set was changed")
		}
		other := roaring.New()
		other.AddMany(s.ToArray())
		if other.RunOptimize(); !bytes.Equal(AppendSet(nil, other), data[len("before"):]) || !bytes.Equal(AppendSet(nil, back), data[len("before"):]) {
			t.Fatal("an equal set has different bytes")
		}
		clear(data)
		if !back.Equals(s) {
			t.Fatal("the set shares memory with the input")
		}
	}
}

// TestSetBytes compares the encoding with bytes derived from the format specification.
func TestSetBytes(t *testing.T) {
	ranges := roaring.New()
	ranges.AddRange(0, 1<<16)
	for _, x := range []struct {
		set  *roaring.Bitmap
		want string
	}{
		{roaring.New(), "08" + "3a300000" + "00000000"},
		{roaring.BitmapOf(5, 7, 1<<16|9), "1e" + "3a300000" + "02000000" + "00000100" + "01000000" + "18000000" + "1c000000" + "05000700" + "0900"},
		{ranges, "0f" + "3b300000" + "01" + "0000ffff" + "0100" + "0000ffff"},
	} {
		if got := hex.EncodeToString(AppendSet(nil, x.set)); got != x.want {
			t.Errorf("%v is %s, want %s", x.set, got, x.want)
		}
	}
}

// TestSetRefuses: truncated input, extra bytes and wrong lengths, offsets or orders are errors.
func TestSetRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 40 {
		data := AppendSet(nil, randomSet(r))
		for range 20 {
			if n := r.IntN(len(data)); readsSet(data[:n]) {
				t.Fatalf("the first %d of %d bytes are accepted", n, len(data))
			}
		}
		if readsSet(append(bytes.Clone(data), 0)) {
			t.Fatal("an extra byte is accepted")
		}
	}
	for what, text := range map[string]string{
		"no cookie":                      "08" + "00000000" + "00000000",
		"too many containers":            "08" + "3a300000" + "01000100",
		"a wrong offset":                 "12" + "3a300000" + "01000000" + "00000000" + "11000000" + "0500",
		"positions out of order":         "14" + "3a300000" + "01000000" + "00000100" + "10000000" + "07000500",
		"a position twice":               "14" + "3a300000" + "01000000" + "00000100" + "10000000" + "05000500",
		"containers out of order":        "1c" + "3a300000" + "02000000" + "01000000" + "00000000" + "18000000" + "1a000000" + "0500" + "0700",
		"a run beyond its end":           "0f" + "3b300000" + "01" + "0000ffff" + "0100" + "0100ffff",
		"runs that touch":                "13" + "3b300000" + "01" + "00000300" + "0200" + "00000100" + "02000100",
		"no run":                         "0b" + "3b300000" + "01" + "00000000" + "0000",
		"a bitset with a wrong count":    "9040" + "3a300000" + "01000000" + "0000ffff" + "10000000" + zeros(setBitsBytes),
		"more runs than a bitset allows": runsOf(setMaxRuns + 1),
	} {
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if readsSet(data) {
			t.Errorf("%s: it is accepted", what)
		}
	}
	if data, _ := hex.DecodeString(runsOf(setMaxRuns)); !readsSet(data) {
		t.Error("the greatest number of runs is refused")
	}
}

func zeros(n int) string { return hex.EncodeToString(make([]byte, n)) }

// runsOf returns the encoding of a set with n runs of one position each.
func runsOf(n int) string {
	body := []byte{0x3b, 0x30, 0, 0, 1, 0, 0, byte(n - 1), byte((n - 1) >> 8), byte(n), byte(n >> 8)}
	for i := range n {
		body = append(body, byte(2*i), byte(2*i>>8), 0, 0)
	}
	return hex.EncodeToString(AppendBytes(nil, body))
}

func readsSet(data []byte) bool {
	r := NewReader(data)
	r.Set()
	return r.Done() == nil
}

// TestSetMemory: reading takes memory in proportion to the input, whatever the header claims.
func TestSetMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, head := range []string{"3a300000" + "00000100", "3a300000" + "ffffffff", "3b30ffff" + "ffffffff", "3b300000" + "01" + "0000ffff" + "ffff"} {
		body, err := hex.DecodeString(head)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			data := AppendBytes(nil, append(bytes.Clone(body), make([]byte, r.IntN(3000))...))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			read := readsSet(data)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; read || grown > 64<<10 {
				t.Fatalf("%d bytes of memory for %d of input, read: %v", grown, len(data), read)
			}
		}
	}
}

// FuzzSet: anything that is read as a set is valid and survives a round trip.
func FuzzSet(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 6 {
		f.Add(AppendSet(nil, randomSet(r)))
	}
	f.Add(AppendSet(nil, roaring.BitmapOf(5, 7, 1<<16|9)))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := NewReader(data)
		s := in.Set()
		if in.Err() != nil {
			if !s.IsEmpty() {
				t.Fatal("there is a set despite the error")
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		out := AppendSet(nil, s)
		if len(out) > len(data)-in.Len()+2 {
			t.Fatalf("the set takes %d bytes, %d were read", len(out), len(data)-in.Len())
		}
		again := NewReader(out)
		if back := again.Set(); again.Done() != nil || !back.Equals(s) {
			t.Fatalf("the set is not read back: %v", again.Err())
		}
	})
}

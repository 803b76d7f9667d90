package engine

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// TestDictionary adds 50,000 values, past the split of the index and several widths of codes, while
// readers look up values that they know are there.
func TestDictionary(t *testing.T) {
	const values = 50_000
	d := newDictionary(tree.StringType)
	text := func(i int) string {
		s := fmt.Sprintf("value-%d-%s", i, "long enough to fill blocks"[:i%26])
		if i/10_000 == 2 {
			s += strings.Repeat("x", 80) // blocks of more than 64 KiB
		}
		return s
	}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := d.Len()
				if n == 0 {
					continue
				}
				code := uint32(i * 7919 % n)
				if got, ok := d.Find(d.Value(code)); int(code) < n-1 && (!ok || got != code) {
					t.Errorf("value of code %d of %d is found as %d, %v", code, n, got, ok)
					return
				}
			}
		})
	}
	for i := range values {
		s := text(i)
		if code, ok := d.find(s, xxh3.HashString(s)); ok {
			t.Fatalf("%q is already there, as %d", s, code)
		}
		if code := d.add(s, xxh3.HashString(s)); code != uint32(i) {
			t.Fatalf("code of %q is %d", s, code)
		}
	}
	close(stop)
	readers.Wait()
	for i := range values {
		if code, ok := d.Find(tree.Str(text(i))); !ok || code != uint32(i) || d.Value(code).Str != text(i) {
			t.Fatalf("code of %q is %d, %v", text(i), code, ok)
		}
	}
	for i, b := range *d.blocks.Load() {
		if full := i < values/dictBlockCodes; (b.short != nil) != (full && len(b.bytes) < 1<<16) {
			t.Fatalf("block %d of %d bytes: short ends %t", i, len(b.bytes), b.short != nil)
		}
	}
	if _, ok := d.Find(tree.Str("another")); ok {
		t.Fatal("a value that was never added is found")
	}
}

func TestDictionaryOfLists(t *testing.T) {
	d := newDictionary(tree.ListType)
	lists := []tree.Value{
		tree.ListOf(tree.Str("a")), tree.ListOf(tree.Str("a"), tree.Str("b")), tree.ListOf(tree.Str("ab")),
		tree.ListOf(tree.NumInt(1), tree.Bool(true), tree.Time(5)),
	}
	for i, list := range lists {
		text := string(encodeList(nil, list))
		d.add(text, xxh3.HashString(text))
		if code, ok := d.Find(list); !ok || code != uint32(i) || !d.Value(code).Equal(list) {
			t.Errorf("list %d is found as %d, %v", i, code, ok)
		}
	}
}

// TestPrefetch compares codes that are prefetched with those found one by one, for texts that a
// dictionary has and for others, many of which have similar hashes.
func TestPrefetch(t *testing.T) {
	d := newDictionary(tree.StringType)
	text := func(n int) string { return strconv.Itoa(n * 7919) }
	known, wrong := 0, 0
	for n := range 30_000 {
		x := prefetchedText{dict: d, text: text(n), xxh: xxh3.HashString(text(n))}
		x.loadSlot()
		if x.findCandidate(); x.code != 0 {
			wrong++
		}
		if x.confirm(); x.code != 0 {
			t.Fatalf("%q, which is not there, has code %d", x.text, x.code-1)
		}
		d.add(x.text, x.xxh)
		old := prefetchedText{dict: d, text: text(n / 2), xxh: xxh3.HashString(text(n / 2))}
		old.findCandidate()
		if old.confirm(); old.code != 0 {
			known++
			if int(old.code-1) != n/2 {
				t.Fatalf("%q has code %d, want %d", old.text, old.code-1, n/2)
			}
		}
	}
	if wrong == 0 || known < 29_000 {
		t.Errorf("%d wrong candidates, %d texts found", wrong, known)
	}
}

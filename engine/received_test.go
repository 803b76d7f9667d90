package engine

import (
	"bytes"
	"testing"
)

// checkSplit compares SplitMessages with a decoder that reads everything. c is entry decoded.
func checkSplit(t *testing.T, entry []byte, c *Command) {
	t.Helper()
	n := 0
	err := SplitMessages(entry, func(i int, id string, head, message []byte) {
		if i != n || i >= len(c.Messages) {
			t.Fatalf("message %d comes as %d of %d", n, i, len(c.Messages))
		}
		n++
		m := &c.Messages[i]
		if id != m.UserID && (m.UserID != "" || id != m.AnonymousID) {
			t.Fatalf("message %d of %q and %q is one of %q", i, m.UserID, m.AnonymousID, id)
		}
		alone := append(bytes.Clone(head), message...)
		one, err := DecodeCommand(alone)
		if err != nil || len(one.Messages) != 1 || one.Now != c.Now || one.Catalog != c.Catalog {
			t.Fatalf("message %d alone: %+v, %v", i, one, err)
		}
		got, want := EncodeMessages(c.Catalog, c.Now, one.Messages), EncodeMessages(c.Catalog, c.Now, c.Messages[i:i+1])
		if !bytes.Equal(got, want) {
			t.Fatalf("message %d is %+v, alone %+v", i, m, one.Messages[0])
		}
	})
	if err != nil || n != len(c.Messages) {
		t.Fatalf("%d messages of %d, %v", n, len(c.Messages), err)
	}
}

// TestSplitMessages cuts random entries, and no others.
func TestSplitMessages(t *testing.T) {
	const seed = 23
	log := newScript(seed, 20)
	for range 300 {
		entry := log.step(nil)
		c, err := DecodeCommand(entry)
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind == MessagesCommand {
			checkSplit(t, entry, &c)
			for cut := range len(entry) {
				if SplitMessages(entry[:cut], func(int, string, []byte, []byte) {}) == nil {
					t.Fatalf("seed %d: %d bytes of %d are an entry", seed, cut, len(entry))
				}
			}
		} else if SplitMessages(entry, func(int, string, []byte, []byte) {}) == nil {
			t.Fatalf("seed %d: an entry of kind %d has messages", seed, c.Kind)
		}
	}
}

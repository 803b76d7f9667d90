package engine

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

// checkSplit compares SplitMessages with a full decoder. c is the decoded entry.
func checkSplit(t *testing.T, entry []byte, c *Command) {
	t.Helper()
	n := 0
	err := SplitMessages(entry, func(i int, id string, head, message []byte) {
		if i != n || i >= len(c.Messages) {
			t.Fatalf("message %d is passed as %d of %d", n, i, len(c.Messages))
		}
		n++
		m := &c.Messages[i]
		if id != m.UserID && (m.UserID != "" || id != m.AnonymousID) {
			t.Fatalf("message %d of %q and %q is passed with id %q", i, m.UserID, m.AnonymousID, id)
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

// TestSplitMessages splits random entries, and checks that truncated ones and other kinds are refused.
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
					t.Fatalf("seed %d: %d bytes of %d are accepted as an entry", seed, cut, len(entry))
				}
			}
		} else if SplitMessages(entry, func(int, string, []byte, []byte) {}) == nil {
			t.Fatalf("seed %d: an entry of kind %d has messages", seed, c.Kind)
		}
	}
}

// TestSameSource encodes lines of two files: each source is written where it changes, and an entry
// that repeats it for each message, as older builds wrote them, decodes to the same messages.
func TestSameSource(t *testing.T) {
	var msgs []Message
	for i, source := range []string{"", "a.csv#1", "a.csv#1", "a.csv#1", "b.csv#2", "", "b.csv#2", "b.csv#2", "a.csv#1"} {
		m := Message{Kind: Track, Source: source, UserID: "u", Time: int64(i), ReceivedAt: 7}
		if source != "" {
			m.Line = uint64(i)
		}
		if i%3 == 0 {
			m.To = "v"
		}
		msgs = append(msgs, m)
	}
	entry := EncodeMessages(3, 9, msgs)
	if n := bytes.Count(entry, []byte("a.csv#1")) + bytes.Count(entry, []byte("b.csv#2")); n != 4 {
		t.Errorf("sources are written %d times, want 4", n)
	}
	long := binary.AppendUvarint(binary.AppendUvarint(appendHeader(nil, MessagesCommand, 9), 3), uint64(len(msgs)))
	for i := range msgs {
		long = appendMessage(long, &msgs[i], 9, "")
	}
	for _, e := range [][]byte{entry, long} {
		c, err := DecodeCommand(e)
		if err != nil || !reflect.DeepEqual(c.Messages, msgs) {
			t.Fatalf("%v: decoded %+v, want %+v", err, c.Messages, msgs)
		}
		checkSplit(t, e, &c)
	}
	entry[bytes.Index(entry, []byte("a.csv#1"))-5] |= isSameSource // of a message after one without a source
	if _, err := DecodeCommand(entry); err == nil {
		t.Error("a message has the source of one that has none")
	}
}

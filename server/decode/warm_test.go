package decode

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/internal/node"
)

// corrupted returns text with a few bytes deleted, doubled or replaced. Some results are JSON with its
// names in other places, and some are not JSON.
func corrupted(r *rand.Rand, text string) string {
	b := []byte(text)
	for range r.IntN(4) {
		at := r.IntN(len(b))
		switch r.IntN(4) {
		case 0:
			b = slices.Delete(b, at, min(at+1+r.IntN(12), len(b)))
		case 1:
			b = slices.Insert(b, at, b[at:min(at+1+r.IntN(12), len(b))]...)
		case 2:
			b = slices.Insert(b, at, " \n\\\"{}[],:"[r.IntN(10)])
		case 3:
			b[at] = "0a\"{}[],: "[r.IntN(10)]
		}
		if len(b) == 0 {
			return "{}"
		}
	}
	return string(b)
}

func testMessages(t *testing.T) []string {
	data, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	messages := []string{sdkMessage, importLine}
	for _, block := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		_, rest, _ := strings.Cut(block, "\n")
		input, _, _ := strings.Cut(rest, "\n----\n")
		messages = append(messages, input)
	}
	return messages
}

// TestWarmDecoder compares a Decoder that has read many messages, and expects the names of the last one,
// with a new one.
func TestWarmDecoder(t *testing.T) {
	seed := rand.Uint64()
	r, messages, warm := rand.New(rand.NewPCG(seed, 0)), testMessages(t), NewDecoder(Limits{})
	taken := 0
	for n := range 5000 {
		if n%10 == 0 { // otherwise it has seen every name at every index
			warm = NewDecoder(Limits{})
		}
		text := messages[r.IntN(len(messages))]
		if r.IntN(3) > 0 {
			text = corrupted(r, text)
		}
		m, err := warm.Message([]byte(text), testEnvelope())
		got := show(m, warm.Notes(), err)
		fresh := NewDecoder(Limits{})
		m, err = fresh.Message([]byte(text), testEnvelope())
		if want := show(m, fresh.Notes(), err); got != want {
			t.Fatalf("seed %d: %s\ngot\n%s\nwant\n%s", seed, text, got, want)
		}
		if err == nil {
			taken++
		}
	}
	if taken < 1000 {
		t.Errorf("only %d messages were accepted", taken)
	}
}

// TestUnreadItems compares a body whose messages Split has not read with one whose messages it has read.
// If the body is not JSON, then Split, a message, or the Check after a refused message must say so.
func TestUnreadItems(t *testing.T) {
	seed := rand.Uint64()
	r, messages, d := rand.New(rand.NewPCG(seed, 0)), testMessages(t), NewDecoder(Limits{})
	whole := 0
	for range 3000 {
		var items []string
		for range r.IntN(5) {
			items = append(items, messages[r.IntN(len(messages))])
		}
		text := `{"batch":[` + strings.Join(items, ",") + `],"sentAt":"2026-11-05T12:00:00.000Z"}`
		if r.IntN(3) > 0 {
			text = corrupted(r, text)
		}
		want := d.Check([]byte(text))
		b, err := d.Split([]byte(text))
		if want == nil {
			whole++
			if full, _ := d.split([]byte(text), false); err != nil || b.Broken != nil || !slices.Equal(full.Items, b.Items) || full.SentAt != b.SentAt {
				t.Fatalf("seed %d: %s\ncut into %v, want %v (%v)", seed, text, b.Items, full.Items, err)
			}
			continue
		}
		var refusal *node.Error
		if err != nil && (!errors.As(err, &refusal) || err.Error() != want.Error()) {
			t.Fatalf("seed %d: %s\ngot %v\nwant %v", seed, text, err, want)
		}
		last := 0
		for _, at := range b.Items {
			if at.Start < last || at.End <= at.Start || at.End > len(text) {
				t.Fatalf("seed %d: %s\ncut into %v", seed, text, b.Items)
			}
			last = at.End
			if _, err := d.Message([]byte(text[at.Start:at.End]), testEnvelope()); err != nil && !errors.As(err, &refusal) {
				t.Fatalf("seed %d: an error that is not a refusal: %v", seed, err)
			}
		}
	}
	if whole < 500 {
		t.Errorf("only %d bodies were JSON", whole)
	}
}

// TestUsualTimes compares parseUsual with package time.
func TestUsualTimes(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	short := 0
	for range 20_000 {
		at := time.UnixMilli(minTime + r.Int64N(maxTime-minTime)).UTC()
		if r.IntN(2) == 0 {
			at = time.UnixMilli(r.Int64N(2e12)).UTC()
		}
		text := []byte(at.Format("2006-01-02T15:04:05.000Z"))
		if r.IntN(3) == 0 {
			text[r.IntN(len(text))] = "0123456789-:TZ. "[r.IntN(16)]
		}
		ms, ok := parseUsual(string(text))
		if !ok {
			continue
		}
		short++
		if want, err := time.Parse(time.RFC3339Nano, string(text)); err != nil || want.UnixMilli() != ms {
			t.Fatalf("seed %d: %s is %d, want %d, %v", seed, text, ms, want.UnixMilli(), err)
		}
	}
	if short < 10_000 {
		t.Errorf("only %d times had the usual form", short)
	}
}

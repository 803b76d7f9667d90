package decode

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query/tree"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// received is the time at which the messages of the tests arrive.
var received = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC).UnixMilli()

func testEnvelope() *Envelope {
	n := 0
	return &Envelope{ReceivedAt: received, NewID: func() string { n++; return fmt.Sprintf("made-%d", n) }}
}

// TestMessages checks the blocks of testdata/messages.txt: a heading with options, a message, a line of
// dashes, and the result.
func TestMessages(t *testing.T) {
	const file = "testdata/messages.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	d := NewDecoder(Limits{ID: 40, Name: 40, String: 60, Fields: 6, Depth: 8})
	for _, block := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		head, rest, _ := strings.Cut(block, "\n")
		input, want, _ := strings.Cut(rest, "\n----\n")
		env := testEnvelope()
		for _, option := range strings.Fields(head) {
			switch option {
			case "[import]":
				env.Import, env.Source = true, "file"
			case "[sent]":
				env.SentAt = received - 3600_000
			case "[context]":
				env.Context = []byte(`{"ip":"1.2.3.4","app":{"name":"shop"}}`)
			case "[track]":
				env.Kind = engine.Track
			}
		}
		m, err := d.Message([]byte(input), env)
		got := show(m, d.Notes(), err)
		fmt.Fprintf(&out, "%s\n%s\n----\n%s\n\n", head, input, got)
		if !*rewrite && got != want {
			t.Errorf("%s\n%s\ngot\n%s\nwant\n%s", head, input, got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func show(m engine.Incoming, notes []Note, err error) string {
	var b strings.Builder
	var r *node.Error
	if errors.As(err, &r) {
		return "refused " + r.Code + ": " + r.Text
	}
	fmt.Fprintf(&b, "%s", m.Kind)
	for _, f := range []struct{ name, value string }{{"message", m.MessageID}, {"source", m.Source}, {"user", m.UserID}, {"anonymous", m.AnonymousID}, {"previous", m.PreviousID}, {"group", m.GroupID}, {"event", m.Event}} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s=%q", f.name, f.value)
		}
	}
	if m.Line > 0 {
		fmt.Fprintf(&b, " line=%d", m.Line)
	}
	fmt.Fprintf(&b, " at=%s", time.UnixMilli(m.Time).UTC().Format(time.RFC3339Nano))
	for _, f := range m.Fields {
		fmt.Fprintf(&b, "\n  %s: %s", f.Name, showValue(f.Value))
		if f.Exact {
			b.WriteString(" exactly")
		}
	}
	if len(m.Context) > 0 {
		fmt.Fprintf(&b, "\n  rest %s", m.Context)
	}
	for _, n := range notes {
		fmt.Fprintf(&b, "\n  note %s: %s", n.Code, n.Reason)
	}
	return b.String()
}

func showValue(v tree.Value) string {
	switch v.Type {
	case tree.BoolType:
		return fmt.Sprint(v.True())
	case tree.NumberType:
		return v.Number().String()
	case tree.StringType:
		return fmt.Sprintf("%q", v.Str)
	case tree.TimeType:
		return "time " + time.UnixMilli(v.Int).UTC().Format(time.RFC3339Nano)
	}
	var items []string
	for _, i := range v.List {
		items = append(items, showValue(i))
	}
	return "[" + strings.Join(items, " ") + "]"
}

// FuzzMessage: any message is either accepted with valid contents or refused, and the JSON kept of it is
// valid.
func FuzzMessage(f *testing.F) {
	data, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, block := range strings.Split(string(data), "\n\n") {
		_, rest, _ := strings.Cut(block, "\n")
		input, _, _ := strings.Cut(rest, "\n----\n")
		f.Add([]byte(input), true)
		f.Add([]byte(input), false)
	}
	limits := Limits{ID: 40, Name: 40, String: 60, Fields: 6, Depth: 8}
	d := NewDecoder(limits)
	f.Fuzz(func(t *testing.T, raw []byte, bulk bool) {
		env := testEnvelope()
		env.Import, env.Context = bulk, []byte(`{"ip":"1.2.3.4"}`)
		m, err := d.Message(raw, env)
		if err != nil {
			var r *node.Error
			if !errors.As(err, &r) || r.Text == "" {
				t.Fatalf("an error that is not a refusal: %v", err)
			}
			if _, known := codes.Lookup(r.Code); !known {
				t.Fatalf("an error that is not a refusal: %v", err)
			}
			return
		}
		if m.Kind == 0 || m.UserID == "" && m.AnonymousID == "" || m.MessageID == "" || m.Time > received {
			t.Fatalf("an invalid message: %+v", m)
		}
		seen := map[string]bool{}
		for _, field := range m.Fields {
			if field.Name == "" || len(field.Name) > limits.Name || seen[field.Name] || field.Value.Missing() || len(field.Value.Str) > limits.String {
				t.Fatalf("an invalid field %+v of %s", field, raw)
			}
			seen[field.Name] = true
		}
		if len(m.Fields) > limits.Fields+2 {
			t.Fatalf("%d fields", len(m.Fields))
		}
		if m.Context != nil {
			if err := d.Check(m.Context); err != nil {
				t.Fatalf("the rest %q of %q is not JSON: %v", m.Context, raw, err)
			}
		}
	})
}

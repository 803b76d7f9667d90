package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node"
)

func track(n int) string {
	return fmt.Sprintf(`{"type":"track","messageId":"m%d","userId":"u%d","event":"E","properties":{"n":%d}}`, n, n%10, n)
}

// TestEvents: of lines, an array and unusual line ends, every message arrives once and in order.
func TestEvents(t *testing.T) {
	var lines []string
	for i := range 20_000 { // several chunks
		lines = append(lines, track(i))
	}
	for name, body := range map[string]string{
		"lines":     strings.Join(lines, "\n"),
		"last end":  strings.Join(lines, "\n") + "\n",
		"windows":   "\ufeff" + strings.Join(lines, "\r\n") + "\r\n\r\n",
		"array":     "\n [" + strings.Join(lines, " ,\n") + "]\n",
		"gaps":      "\n\n" + strings.Join(lines, "\n\n"),
		"duplicate": strings.Join(lines, "\n") + "\n" + lines[3] + "\n" + lines[4],
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fakeIngester{}
			s := newTestServer(t, &Node{Ingest: fake}, nil)
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 1))
			got := resultOf(t, ask(s, "POST", "/v1/events", &ragged{[]byte(body), r}))
			want := api.IngestResult{Accepted: 20_000, Problems: []api.MessageProblem{}}
			if name == "duplicate" {
				want.Duplicate = 2
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d: %+v", seed, got)
			}
			for i, m := range fake.got() {
				if m.MessageID != fmt.Sprintf("m%d", i) || m.Fields[0].Value.Int != int64(i) {
					t.Fatalf("seed %d: message %d is %s", seed, i, m.MessageID)
				}
			}
			if s.inFlight.used.Load() != 0 {
				t.Error("bytes are still in flight")
			}
		})
	}
}

// ragged returns its bytes in pieces of random length, as a network does.
type ragged struct {
	text []byte
	r    *rand.Rand
}

func (g *ragged) Read(b []byte) (int, error) {
	if len(g.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+g.r.IntN(64<<10))], g.text)
	g.text = g.text[n:]
	return n, nil
}

// TestEventProblems: bad lines are reported with their numbers, and do not affect the others.
func TestEventProblems(t *testing.T) {
	fake := &fakeIngester{}
	s := newTestServer(t, &Node{Ingest: fake}, func(c *Config) { c.MaxLine = 4096 })
	long := `{"type":"track","x":"` + strings.Repeat("x", 3<<20) + `"}`
	body := strings.Join([]string{track(1), "{broken", "", track(2), long, track(3), strings.Repeat("y", 5000), "caf\xe9", track(4)}, "\n")
	got := resultOf(t, ask(s, "POST", "/v1/events", text(body)))
	want := `{4 0 4 [{2 bad_json} {5 too_large} {7 too_large} {8 bad_json}]}`
	if s := shortResult(got); s != want || len(fake.got()) != 4 {
		t.Errorf("got %s\nwant %s", s, want)
	}
	for name, c := range map[string]struct{ body, code string }{
		"array breaks": {"[" + track(1) + "," + track(2) + `,{"a":"`, "bad_json"},
		"array ends":   {"[" + track(1) + "," + track(2), "bad_json"},
		"array too":    {"[" + track(1) + "," + track(2) + "] x", "bad_json"},
	} {
		fake := &fakeIngester{}
		w := ask(newTestServer(t, &Node{Ingest: fake}, func(c *Config) { c.MaxLine = 4096 }), "POST", "/v1/events", text(c.body))
		var p api.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if p.Code != c.code || p.Progress == nil || p.Progress.Lines != 2 || p.Progress.Accepted != 2 || len(fake.got()) != 2 {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func shortResult(r api.IngestResult) string {
	var problems []string
	for _, p := range r.Problems {
		problems = append(problems, fmt.Sprintf("{%d %s}", p.Line, p.Code))
	}
	return fmt.Sprintf("{%d %d %d [%s]}", r.Accepted, r.Duplicate, r.Rejected, strings.Join(problems, " "))
}

// TestImport: with a source, a line is identified by its number in the file, also in problems.
func TestImport(t *testing.T) {
	fake := &fakeIngester{}
	s := newTestServer(t, &Node{Ingest: fake}, nil)
	body := `{"_line":2,"type":"profile","userId":"u1","traits":{"since":{"$time":1762336800123},"zip":{"$string":"2026-01-31"}}}
{"_line":3,"type":"profile","traits":{"x":1}}
{"_line":5,"type":"track","userId":"u1","event":"E","timestamp":1762336800123,"properties":{"n":1}}
{"type":"track","userId":"u1","event":"E"}`
	for range 2 {
		got := resultOf(t, ask(s, "POST", "/v1/events?source=shop.csv-1", text(body)))
		if got.Accepted+got.Duplicate != 2 || shortResult(api.IngestResult{Problems: got.Problems}) != "{0 0 0 [{3 no_id} {4 bad_line}]}" {
			t.Errorf("%+v", got)
		}
	}
	if m := fake.got(); len(m) != 2 || m[0].Source != "shop.csv-1" || m[0].Line != 2 || m[0].Kind != engine.Profile || m[1].Line != 5 || m[1].Time != 1762336800123 || m[0].MessageID != "" || !m[0].Fields[1].Exact {
		t.Errorf("%+v", m)
	}
}

// TestEventsBreakOff: if the node fails in the middle, the answer says how many lines have certainly been
// handled, and the rest of the body is read so that the sender receives the answer. Messages after those
// lines may have been accepted too.
func TestEventsBreakOff(t *testing.T) {
	var lines []string
	for i := range 60_000 {
		lines = append(lines, track(i))
	}
	body := strings.Join(lines, "\n")
	fake := &fakeIngester{}
	calls := 0
	fake.ingest = func(_ context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		if calls++; calls == 2 {
			return nil, &node.Error{Code: codes.Overloaded, Text: "the queue is full"}
		}
		return fake.keep(m), nil
	}
	s := newTestServer(t, &Node{Ingest: fake}, nil)
	in := strings.NewReader(body)
	w := ask(s, "POST", "/v1/events", in)
	p := problemOf(t, w, 429, "overloaded")
	if w.Header().Get("Retry-After") != "1" || p.Progress == nil || p.Progress.Lines > uint64(len(fake.got())) || p.Progress.Lines == 0 || p.Progress.Accepted != p.Progress.Lines {
		t.Fatalf("%s", w.Body)
	}
	if in.Len() != 0 {
		t.Errorf("%d bytes were not read", in.Len())
	}
	extra := uint64(len(fake.got())) - p.Progress.Lines
	rest := resultOf(t, ask(s, "POST", "/v1/events", text(strings.Join(lines[p.Progress.Lines:], "\n"))))
	if rest.Accepted+rest.Duplicate+p.Progress.Accepted != 60_000 || rest.Duplicate != extra {
		t.Errorf("%+v after %+v", rest, p.Progress)
	}
}

// TestEventsPending: the node gets a chunk before it has finished earlier ones, except for chunks with
// attributes. If it has no space, the stream waits.
func TestEventsPending(t *testing.T) {
	identify := `{"type":"identify","userId":"u1","traits":{"plan":"free"}}`
	for name, c := range map[string]struct{ space, most int }{"space": {9, maxPendingChunks}, "no space": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			flying, most := 0, 0
			fake := &fakeIngester{}
			fake.begin = func(msgs []engine.Incoming) (func(), error) {
				if flying == c.space {
					return nil, &node.Error{Code: codes.Overloaded, Text: "the queue is full"}
				}
				if flying > 0 && slices.ContainsFunc(msgs, func(m engine.Incoming) bool { return m.Kind == engine.Identify }) {
					t.Error("an attribute might be overtaken")
				}
				flying++
				most = max(most, flying)
				return func() { flying-- }, nil
			}
			var body strings.Builder
			for i := range 60_000 {
				if body.WriteString(track(i) + "\n"); i == 40_000 {
					body.WriteString(identify + "\n")
				}
			}
			got := resultOf(t, ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", "/v1/events", strings.NewReader(body.String())))
			if got.Accepted != 60_001 || flying != 0 || most != c.most {
				t.Errorf("%+v, at most %d pending, %d at the end", got, most, flying)
			}
			for i, m := range fake.got() {
				if n := i - min(max(i-40_000, 0), 1); m.Kind == engine.Track && !strings.Contains(track(n), `"`+m.MessageID+`"`) {
					t.Fatalf("message %d is %q", i, m.MessageID)
				}
			}
		})
	}
}

// TestEventsCut: of a body that breaks off, everything up to the last whole line counts.
func TestEventsCut(t *testing.T) {
	fake := &fakeIngester{}
	broken := io.MultiReader(text(track(1)+"\n"+track(2)+"\n"+track(3)[:20]), iotest.ErrReader(errors.New("connection reset")))
	w := ask(newTestServer(t, &Node{Ingest: fake}, nil), "POST", "/v1/events", broken)
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Progress == nil || p.Progress.Lines != 2 || len(fake.got()) != 2 {
		t.Errorf("%d %s, %d messages", w.Code, w.Body, len(fake.got()))
	}
}

// TestInFlight: a body or stream beyond the limit of bytes in flight is refused immediately.
func TestInFlight(t *testing.T) {
	s := newTestServer(t, &Node{}, func(c *Config) { c.MaxInFlight, c.MaxBody = streamBudget, 1<<20 })
	s.inFlight.take(streamBudget - 2000)
	problemOf(t, ask(s, "POST", "/v1/track", text(oneTrack)), 429, "overloaded")
	problemOf(t, ask(s, "POST", "/v1/events", text(oneTrack)), 429, "overloaded")
	s.inFlight.give(streamBudget - 2000)
	if w := ask(s, "POST", "/v1/track", text(oneTrack)); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// FuzzIngest: for any body, nothing panics, every item of an accepted body is accepted, duplicate or
// rejected, and no bytes stay in flight.
func FuzzIngest(f *testing.F) {
	f.Add([]byte(`{"batch":[`+oneTrack+`,{},7]}`), false)
	f.Add([]byte(track(1)+"\n{\n\n"+track(1)), true)
	f.Add([]byte("["+track(1)+",3]"), true)
	f.Add([]byte(`{"userId":"u","sentAt":"2026-11-05T12:00:00Z","timestamp":5}`), false)
	fake := &fakeIngester{ingest: func(_ context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		out := make([]engine.Outcome, len(m))
		for i := range out {
			out[i].Status = engine.Accepted
		}
		return out, nil
	}}
	s := newTestServer(f, &Node{Ingest: fake}, func(c *Config) { c.MaxLine, c.MaxBody = 4096, 64<<10 })
	f.Fuzz(func(t *testing.T, body []byte, stream bool) {
		if stream {
			w := ask(s, "POST", "/v1/events", bytes.NewReader(body))
			if w.Code == http.StatusOK {
				r := resultOf(t, w)
				items := uint64(0)
				for _, l := range bytes.Split(bytes.TrimPrefix(body, []byte("\ufeff")), []byte("\n")) {
					if len(bytes.TrimSpace(l)) > 0 {
						items++
					}
				}
				if trimmed := bytes.TrimLeft(body, " \t\r\n\ufeff"); len(trimmed) > 0 && trimmed[0] == '[' {
					var list []json.RawMessage
					if err := json.Unmarshal(trimmed, &list); err != nil {
						return // what is not an item was rejected
					}
					items = uint64(len(list))
				}
				if r.Accepted+r.Duplicate+r.Rejected != items {
					t.Fatalf("%+v of %d items: %q", r, items, body)
				}
			} else if w.Code >= 500 {
				t.Fatalf("%d %s: %q", w.Code, w.Body, body)
			}
		} else if w := ask(s, "POST", "/v1/batch", bytes.NewReader(body)); w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Fatalf("%d %s: %q", w.Code, w.Body, body)
		}
		if held := s.inFlight.used.Load(); held != 0 {
			t.Fatalf("%d bytes stay in flight after %q", held, body)
		}
	})
}

// BenchmarkEvents measures the cost of a line of an import in the whole server, without a node.
func BenchmarkEvents(b *testing.B) {
	var body bytes.Buffer
	const n = 20_000
	for i := range n {
		fmt.Fprintf(&body, `{"type":"track","userId":"user-%d","event":"Order Completed","timestamp":"2026-11-05T10:11:12.123Z","properties":{"amount":12.50,"category":"books","quantity":2,"coupon":true},"_line":%d}`+"\n", i%1000, i)
	}
	fake := &fakeIngester{ingest: func(_ context.Context, m []engine.Incoming) ([]engine.Outcome, error) {
		out := make([]engine.Outcome, len(m))
		for i := range out {
			out[i].Status = engine.Accepted
		}
		return out, nil
	}}
	s := newTestServer(b, &Node{Ingest: fake}, nil)
	b.SetBytes(int64(body.Len()))
	for b.Loop() {
		if w := ask(s, "POST", "/v1/events?source=f", bytes.NewReader(body.Bytes())); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}

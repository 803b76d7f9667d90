package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
)

// command runs one command line with stdin and returns what it printed.
func command(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	a := app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}
	code = a.run(t.Context(), args)
	return out.String(), errs.String(), code
}

// fakeNode serves a node that answers each method and path with a JSON value, a text or an *api.Problem.
func fakeNode(t *testing.T, answers map[string]any) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			value = &api.Problem{Status: 404, Code: codes.NotFound, Detail: "no " + r.URL.Path}
		}
		if p, isProblem := value.(*api.Problem); isProblem {
			w.WriteHeader(p.Status)
		}
		if text, isText := value.(string); isText {
			_, _ = io.WriteString(w, text)
			return
		}
		_ = json.NewEncoder(w).Encode(value)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestExitCodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(file, []byte("id,at\nu,1\n,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(config, []byte("shard: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	node := fakeNode(t, map[string]any{"POST /v1/events": api.IngestResult{Accepted: 1}})
	events := []string{"--events", "--id", "id", "--event-name", "E", "--time", "at"}
	cases := []struct {
		name   string
		args   []string
		code   int
		stderr string // a part of what is expected
	}{
		{"help", []string{"--help"}, exitDone, ""},
		{"nothing", nil, exitDone, ""},
		{"version", []string{"version"}, exitDone, ""},
		{"unknown command", []string{"frob"}, exitUsage, "frob"},
		{"unknown flag", []string{"query", "--frob", "count"}, exitUsage, "--frob"},
		{"no statement", []string{"query"}, exitUsage, "no statement"},
		{"no node", []string{"query", "count", "--server", "127.0.0.1:1"}, exitFailed, "is `muster serve` running"},
		{"a public address", []string{"serve", "--listen", "0.0.0.0:0", "--data", t.TempDir()}, exitFailed, "--insecure"},
		{"a misspelled key", []string{"serve", "--config", config}, exitUsage, "shard"},
		{"a bad size", []string{"serve", "--memory", "much"}, exitUsage, "8GiB"},
		{"too many shards", []string{"serve", "--shards", "65"}, exitUsage, "1 to 64"},
		{"no such file", append([]string{"import", "nowhere.csv"}, events...), exitFailed, "nowhere.csv"},
		{"events without id", []string{"import", file, "--events"}, exitUsage, "--id"},
		{"both modes", []string{"import", file, "--events", "--profiles"}, exitUsage, "--profiles"},
		{"rejected lines", append([]string{"import", file, "--server", node}, events...), exitRejected, "line 3: no id"},
		{"dry run", append([]string{"import", file, "--dry-run", "--columns", "id"}, events...), exitRejected, ""},
		{"export of nothing", []string{"export"}, exitUsage, "--segment"},
		{"export of two", []string{"export", "--segment", "a", "--where", "b"}, exitUsage, "--where"},
		{"check of nothing", []string{"check", "--data", t.TempDir()}, exitFailed, "not a data directory"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, stderr, code := command(t, "", c.args...)
			if code != c.code || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit %d, want %d; stderr %q, want %q in it", code, c.code, stderr, c.stderr)
			}
			if lines := strings.Count(stderr, "\n"); code == exitFailed && lines != 1 {
				t.Errorf("%d lines on stderr, want one: %s", lines, stderr)
			}
		})
	}
}

func TestQueryFormats(t *testing.T) {
	node := fakeNode(t, map[string]any{"POST /v1/query": `{"columns":[{"name":"plan","type":"string"},{"name":"count","type":"number"}],
		"rows":[["free\u001b[2J",1234567],[null,0.1]],"stats":{"elapsed_ms":1.5,"profiles":2},
		"warnings":[{"code":"unknown_attribute","message":"no attribute plam","line":1,"column":10,"length":4,"suggestions":["plan"]}]}`})
	stdout, stderr, code := command(t, "count by plam", "query", "--format", "table", "--server", node)
	wantOut := "" +
		"╭───────────┬───────────╮\n" +
		"│ plan      │     count │\n" +
		"├───────────┼───────────┤\n" +
		"│ free�[2J  │ 1,234,567 │\n" +
		"│ (not set) │       0.1 │\n" +
		"╰───────────┴───────────╯\n" +
		"2 rows · 1.5 ms · 2 profiles\n"
	wantErr := "warning: no attribute plam\n  count by plam\n           ^^^^\n  did you mean: plan?\n"
	if code != exitDone || stdout != wantOut || stderr != wantErr {
		t.Errorf("exit %d, stdout\n%s\nstderr\n%s", code, stdout, stderr)
	}
	stdout, _, _ = command(t, "", "query", "count", "by", "plan", "--server", node)
	if !strings.HasPrefix(stdout, `{"columns"`) { // the fake always answers in JSON; off a terminal the answer is passed through
		t.Errorf("stdout %q", stdout)
	}
}

func TestMistakeInStatement(t *testing.T) {
	statement := `count where did "Order Completed" where amount > 50`
	node := fakeNode(t, map[string]any{"POST /v1/query": &api.Problem{Status: 400, Code: "syntax", Detail: "event conditions need parentheses",
		Line: 1, Column: 41, Length: 6, Hint: "write  where (amount > 50)"}})
	_, stderr, code := command(t, "", "query", statement, "--server", node)
	want := "error: event conditions need parentheses\n  " + statement + "\n" + strings.Repeat(" ", 42) + "^^^^^^\n  hint: write  where (amount > 50)\n"
	if code != exitFailed || stderr != want {
		t.Errorf("exit %d, stderr\n%s\nwant\n%s", code, stderr, want)
	}
}

func TestExport(t *testing.T) {
	node := fakeNode(t, map[string]any{"GET /v1/segments/A & B/members": "user_id\nu1\n", "POST /v1/query": "user_id,plan\nu1,pro\n"})
	stdout, stderr, code := command(t, "", "export", "--segment", "A & B", "--server", node)
	if code != exitDone || stdout != "user_id\nu1\n" {
		t.Errorf("exit %d: %q %s", code, stdout, stderr)
	}
	file := filepath.Join(t.TempDir(), "out.csv")
	if _, stderr, code := command(t, "", "export", "--segment", "A & B", "--columns", "plan", "-o", file, "--server", node); code != exitDone {
		t.Errorf("exit %d: %s", code, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "user_id,plan\nu1,pro\n" {
		t.Errorf("%q, %v", text, err)
	}
	left, err := filepath.Glob(file + "*")
	if err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
}

func TestRejectsFile(t *testing.T) {
	dir := t.TempDir()
	file, rejects := filepath.Join(dir, "a.csv"), filepath.Join(dir, "r.ndjson")
	if err := os.WriteFile(file, []byte("id,n\n,1\nu,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	node := fakeNode(t, map[string]any{"POST /v1/events": api.IngestResult{Accepted: 1}})
	stdout, stderr, code := command(t, "", "import", file, "--profiles", "--id", "id", "--server", node, "--rejects", rejects)
	text, err := os.ReadFile(rejects)
	if want := `{"line":2,"reason":"no id: id is empty","content":",1"}` + "\n"; err != nil || string(text) != want {
		t.Errorf("rejects %q, %v, want %q", text, err, want)
	}
	if code != exitRejected || stderr != "" || !strings.Contains(stdout, "2 lines") || !strings.Contains(stdout, "1 accepted, 0 duplicate, 1 rejected") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestInterrupted checks that an interrupted import stops immediately, with exit code 1.
func TestInterrupted(t *testing.T) {
	reached, released := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		select {
		case <-r.Context().Done():
		case <-released:
		}
	}))
	defer server.Close()
	defer close(released)
	file := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(file, []byte("id\nu\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	var errs bytes.Buffer
	a := app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &errs}
	if code := a.run(ctx, []string{"import", file, "--profiles", "--id", "id", "--server", server.URL}); code != exitFailed {
		t.Errorf("exit %d, stderr %s", code, errs.String())
	}
}

func TestLockDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a second lock: %v", err)
	}
	if err := first.unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDir(dir)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	if err := again.unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestPlanMemory(t *testing.T) {
	files := func(texts map[string]string) func(string) ([]byte, error) {
		return func(name string) ([]byte, error) {
			if text, ok := texts[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		}
	}
	const meminfo = "MemTotal:       16777216 kB\nMemFree: 1 kB\n"
	cases := []struct {
		name  string
		given int64
		files map[string]string
		want  int64
	}{
		{"given", 1 << 30, map[string]string{"/proc/meminfo": meminfo}, 1 << 30},
		{"machine", 0, map[string]string{"/proc/meminfo": meminfo}, 16 << 30},
		{"control group", 0, map[string]string{"/proc/meminfo": meminfo, "/sys/fs/cgroup/memory.max": "2147483648\n"}, 2 << 30},
		{"no limit", 0, map[string]string{"/proc/meminfo": meminfo, "/sys/fs/cgroup/memory.max": "max\n"}, 16 << 30},
		{"unknown", 0, nil, 0},
	}
	for _, c := range cases {
		got := planMemory(c.given, files(c.files))
		if got.Total != c.want || got.Refuse > got.Limit || got.Limit > got.Total {
			t.Errorf("%s: %+v, want a total of %d", c.name, got, c.want)
		}
	}
	plan := memoryPlan{Total: 24 << 30, Garbage: 24 << 30 / garbageShare}
	for live, want := range map[int64]int{0: gcPercentMax, 50 << 20: gcPercentMax, 192 << 20: 200, 768 << 20: gcPercentMin, 12 << 30: gcPercentMin} {
		if got := plan.percent(live); got != want {
			t.Errorf("with %d live bytes the GC percentage is %d, want %d", live, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]size{"": 0, "8GiB": 8 << 30, "1.5 MiB": 3 << 19, "1048576": 1 << 20} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "-1GiB", "0", "8GB", "1e30TiB"} {
		var got size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was parsed as %d, want an error", text, got)
		}
	}
}

func TestHighlight(t *testing.T) {
	got := highlight([]rune(`count where x = "a\"b" and n > 1_000 -- why`))
	plain := strings.NewReplacer(keywordColour, "<", stringColour, "'", numberColour, "#", commentColour, "%", plainColour, ">").Replace(got)
	if want := `<count> <where> x = '"a\"b"> <and> n > #1_000> %-- why>`; plain != want {
		t.Errorf("%s, want %s", plain, want)
	}
}

func TestFailOneLine(t *testing.T) {
	var errs bytes.Buffer
	a := app{stderr: &errs}
	if code := a.fail(errors.Join(errors.New("first"), errors.New("second"))); code != exitFailed || errs.String() != "muster: first; second\n" {
		t.Errorf("exit %d, stderr %q", code, errs.String())
	}
}

func TestProgressBarSilentOffTerminal(t *testing.T) {
	var out bytes.Buffer
	bar := newProgressBar(&out)
	bar.wait("busy", time.Second)
	bar.wait("busy", time.Second)
	bar.clear()
	if out.String() != "waiting: busy\n" {
		t.Errorf("%q", out.String())
	}
}

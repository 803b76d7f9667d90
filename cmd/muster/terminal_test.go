package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/query/tree"
)

// hostile is a text with all kinds of characters that control a terminal, change the direction of text or are
// invisible.
const hostile = "A\x1b]0;owned\x07B\x1b[2JC\u009b31mD\x7fE\u202eF\u2066G\u200bH\u200fI\ufeffJ\U000e0041K\u2028L\u0085M\u00adN\x9b\x08\x0cO"

// hostileLines is hostile with line ends added.
const hostileLines = hostile + "\rP\nQ"

// runOnTerminal runs one command line as on a terminal and returns everything that was written to the terminal.
func runOnTerminal(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var written bytes.Buffer
	on := &screen{to: &written, width: func() int { return 4000 }}
	a := app{stdin: strings.NewReader(stdin), stdout: on, stderr: on}
	a.run(t.Context(), args)
	return written.String()
}

// ownSequences matches the control sequences that commands send themselves.
var ownSequences = regexp.MustCompile("\r\x1b\\[K|\x1b\\[3[12]m|\x1b\\[0m")

// findControl returns an error that names the first character of a text that should not have been sent to a
// terminal, or nil.
func findControl(text string) error {
	text = ownSequences.ReplaceAllString(text, "")
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); tree.Unseen(r) && r != '\n' && r != '\t' || r == utf8.RuneError && size == 1 {
			return fmt.Errorf("%U at byte %d, after %q", r, i, text[max(0, i-60):i])
		}
	}
	return nil
}

func sendBatch(t *testing.T, to *api.Client, messages ...map[string]any) {
	t.Helper()
	var batch []json.RawMessage
	for _, m := range messages {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, text)
	}
	if _, err := to.Batch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// TestTerminalIsSafe runs the commands on a terminal against a node with hostile data.
func TestTerminalIsSafe(t *testing.T) {
	n := newLiveNode(t)
	valid := strings.ToValidUTF8(hostileLines, "")
	sendBatch(t, n.api,
		map[string]any{"type": "identify", "userId": valid, "messageId": "1", "traits": map[string]any{valid: valid, "plain": valid, "n": 1}},
		map[string]any{"type": "track", "userId": valid, "messageId": "2", "event": "Seen", "properties": map[string]any{"x": valid, valid: valid}},
		map[string]any{"type": "track", "userId": valid, "messageId": "3", "event": valid, "properties": map[string]any{"x": valid}})
	n.query(`create segment "All" as n is set`)
	dir := t.TempDir()
	csvFile := filepath.Join(dir, valid+", 1.csv")
	write(t, csvFile, "id,"+hostile+",at\n"+hostile+","+hostile+",2026-01-01\n,x,2026-01-01\n"+hostile+",y,\x1b[31m\n")
	lines := filepath.Join(dir, "rows.ndjson")
	write(t, lines, `{"type":"track","userId":"u","event":"E"}`+"\n{\x1b[2J\n"+`{"type":"\u001b[2J","userId":"u"}`+"\n")
	t.Setenv("MUSTER_SERVER", n.served.URL)
	for _, args := range [][]string{
		{"query", "list plain, n where n is set"}, {"query", "count by plain"}, {"query", "show attributes"}, {"query", "show events"}, {"query", "describe event Seen"}, {"query", "why \"" + valid + "\" in n = 1"},
		{"query", "list plain as \"" + hostile + "\" where n is set"}, {"query", "count where " + hostile + " = 1"}, {"query", "count where plain = \"" + hostile + "\" and"}, {"query", "--format", "csv", "list plain where n is set"},
		{"query", "--format", "json", "list plain where n is set"}, {"query", "--format", "ndjson", "list plain where n is set"}, {"query", "--format", "parquet", "list plain where n is set"},
		{"profile", "show", "--events", "10", "--", valid}, {"profile", "show", "--json", "--events", "10", "--", valid}, {"profile", "show", "--", "no " + hostile},
		{"segment", "list"}, {"segment", "show", "All"}, {"segment", "show", hostile}, {"segment", "create", "--described", hostile, "S", "n = 1"}, {"segment", "create", hostile, "n = 1"},
		{"segment", "create", "T", "plain = \"" + valid + "\""}, {"segment", "list"}, {"segment", "drop", hostile}, {"segment", "drop", "T"},
		{"export", "--segment", "All"}, {"export", "--segment", "All", "--format", "ndjson"}, {"export", "--where", "n is set", "--columns", "plain", "--excel"}, {"export", "--segment", hostile}, {"export", "--where", hostile},
		{"import", "--profiles", "--id", "id", csvFile}, {"import", "--dry-run", "--events", "--id", "id", "--event-name", hostile, "--time", "at", csvFile}, {"import", "--dry-run", "--profiles", "--id", hostile, csvFile},
		{"import", lines}, {"import", "--source", hostile, lines}, {"import", filepath.Join(dir, hostile)},
		{"watch", "--from", "snapshot", "--count", "1", "--fields", "plain", hostile}, {"check", "--data", filepath.Join(dir, hostile)},
		{hostile}, {"query", "--" + hostile}, {"serve", "--memory", hostile}, {"serve", "--listen", hostile}, {"serve", "--config", lines},
	} {
		out := runOnTerminal(t, "", args...)
		if err := findControl(out); err != nil {
			t.Errorf("%.60q: %v", args, err)
		}
		if out == "" || args[len(args)-1] == csvFile && strings.Contains(out, "no such file") {
			t.Errorf("%.60q shows %q", args, out)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWatchIsSafe checks changes that happen during a watch.
func TestWatchIsSafe(t *testing.T) {
	n := newLiveNode(t)
	valid := strings.ToValidUTF8(hostileLines, "")
	sendBatch(t, n.api, map[string]any{"type": "identify", "userId": "u", "messageId": "0", "traits": map[string]any{"n": 1, "plain": valid}})
	n.query(`create segment "All" as n = 1`)
	for _, json := range []string{"--json=false", "--json"} {
		ended := make(chan string)
		go func() {
			ended <- runOnTerminal(t, "", "watch", "--server", n.served.URL, "--from", "snapshot", "--fields", "plain", "--count", "2", json, "All")
		}()
		out, done := "", false
		for i := 0; !done; i++ {
			sendBatch(t, n.api, map[string]any{"type": "identify", "userId": valid, "messageId": fmt.Sprint(json, i), "traits": map[string]any{"n": i % 2, "plain": valid}})
			select {
			case out = <-ended:
				done = true
			default:
			}
		}
		if err := findControl(out); err != nil || !strings.Contains(out, "enter") {
			t.Errorf("%s: %v:\n%q", json, err, out)
		}
	}
}

// TestServersAreNotTrusted runs the commands against a server that sends hostile errors and answers.
func TestServersAreNotTrusted(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter){
		"problem": func(w http.ResponseWriter) {
			w.WriteHeader(400)
			_ = json.NewEncoder(w).Encode(api.Problem{Status: 400, Code: hostile, Title: hostile, Detail: hostileLines, Line: 1, Column: 2, Length: 3, Hint: hostileLines, Suggestions: []string{hostileLines}})
		},
		"page": func(w http.ResponseWriter) { w.WriteHeader(502); _, _ = io.WriteString(w, hostileLines) },
		"rows": func(w http.ResponseWriter) {
			w.Header().Set("Muster-Warnings", "\x1b[2J")
			_, _ = fmt.Fprintf(w, `{"columns":[{"name":%[1]q,"type":"string"}],"rows":[[%[1]q],[{%[1]q:1}]],"id":%[1]q,"first_seen":%[1]q,"anonymous_ids":[%[1]q],"name":%[1]q,"predicate":%[1]q,`+
				`"segments":[{"name":%[1]q,"zone":%[1]q}],"events":[],"attributes":{%[1]q:%[1]q},"warnings":[{"message":%[1]q,"line":1,"column":1,"length":1}],"problems":[{"line":1,"reason":%[1]q}],"rejected":1}`, "A\u202eB\u009bC\u200bD")
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		t.Setenv("MUSTER_SERVER", server.URL)
		file := filepath.Join(t.TempDir(), "rows.ndjson")
		write(t, file, `{"type":"track","userId":"u","event":"E","messageId":"1"}`+"\n")
		for _, args := range [][]string{
			{"query", "count where " + hostile}, {"query", "--format", "csv", "count"}, {"profile", "show", "--events", "1", "x"}, {"segment", "list"}, {"segment", "show", "x"}, {"segment", "create", "x", "n = 1"},
			{"segment", "drop", "x"}, {"export", "--segment", "x"}, {"export", "--where", "n = 1"}, {"import", "--patience", "1ms", file}, {"watch", "x"},
		} {
			if name == "rows" && args[0] == "watch" || name == "page" && args[0] == "watch" {
				continue // a watch retries forever
			}
			if err := findControl(runOnTerminal(t, "", args...)); err != nil {
				t.Errorf("%s: %.60q: %v", name, args, err)
			}
		}
		server.Close()
	}
}

// TestPipedAnswersAreExact checks that output that is not a terminal gets the server's bytes unchanged.
func TestPipedAnswersAreExact(t *testing.T) {
	n := newLiveNode(t)
	valid := strings.ToValidUTF8(hostileLines, "")
	sendBatch(t, n.api, map[string]any{"type": "identify", "userId": "=1+1", "messageId": "1", "traits": map[string]any{"plain": valid, "n": -5}})
	for format, end := range map[string]string{"csv": "", "ndjson": "", "json": "\n"} {
		body, err := n.api.QueryAs(t.Context(), api.QueryRequest{Query: "list plain, n"}, media[format])
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil {
			t.Fatal(err)
		}
		out, errs, code := command(t, "", "query", "--server", n.served.URL, "--format", format, "list plain, n")
		cut := regexp.MustCompile(`"stats":.*`) // contains the elapsed time
		if code != 0 || cut.ReplaceAllString(out, "") != cut.ReplaceAllString(string(want)+end, "") || !strings.Contains(out, "\u202e") {
			t.Errorf("%s: exit %d %s\n%q\n%q", format, code, errs, out, want)
		}
	}
}

// TestExportIsSafe checks that CSV to a file is safe for spreadsheets unless --raw is given, and that other CSV is
// safe only on request.
func TestExportIsSafe(t *testing.T) {
	n := newLiveNode(t)
	sendBatch(t, n.api, map[string]any{"type": "identify", "userId": "=1+1", "messageId": "1", "traits": map[string]any{"plain": "@x", "n": -5, "s": "-5"}})
	n.query(`create segment "All" as n is set`)
	safe, raw := "user_id,plain,n,s\n'=1+1,'@x,-5,-5\n", "user_id,plain,n,s\n=1+1,@x,-5,-5\n"
	for _, c := range []struct {
		args []string
		file bool
		want string
	}{
		{nil, false, raw}, {nil, true, safe}, {[]string{"--safe"}, false, safe}, {[]string{"--safe"}, true, safe}, {[]string{"--raw"}, true, raw},
		{[]string{"--excel"}, false, "\ufeff" + safe}, {[]string{"--excel"}, true, "\ufeff" + safe},
	} {
		args := append([]string{"export", "--server", n.served.URL, "--where", "n is set", "--columns", "plain, n, s"}, c.args...)
		name := filepath.Join(t.TempDir(), "out.csv")
		if c.file {
			args = append(args, "--output", name)
		}
		out, errs, code := command(t, "", args...)
		if c.file {
			text, err := os.ReadFile(name)
			if out = string(text); err != nil {
				t.Error(err)
			}
		}
		if code != 0 || out != c.want {
			t.Errorf("%v to a file %v: exit %d %s\n%q", c.args, c.file, code, errs, out)
		}
	}
	if _, errs, code := command(t, "", "export", "--server", n.served.URL, "--segment", "All", "--format", "ndjson", "--safe"); code != exitUsage {
		t.Errorf("safe NDJSON: exit %d %s", code, errs)
	}
	for path, want := range map[string]string{
		"/v1/segments/All/members": "user_id\n=1+1\n", "/v1/segments/All/members?safe=1": "user_id\n'=1+1\n",
		"/v1/query?safe=1&q=" + url.QueryEscape("list plain"): "user_id,plain\n'=1+1,'@x\n",
	} {
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), "GET", n.served.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/csv")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		if _ = answer.Body.Close(); string(text) != want {
			t.Errorf("%s: %q", path, text)
		}
	}
}

// TestLogIsSafe checks that a log entry is one line without control characters, whatever its attributes.
func TestLogIsSafe(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Error("request failed", "path", hostileLines, hostile, 1, "err", errors.New(hostileLines))
	if err := findControl(out.String()); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%v: %q", err, out.String())
	}
}

// TestScreen checks characters that are written in pieces and all in one write.
func TestScreen(t *testing.T) {
	text := "é日本👍" + hostile + "\n\té\xc3"
	var whole, pieces bytes.Buffer
	if _, err := (&screen{to: &whole}).Write([]byte(text + "x")); err != nil {
		t.Fatal(err)
	}
	s := &screen{to: &pieces}
	for i := range len(text) {
		if n, err := s.Write([]byte(text[i : i+1])); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = s.Write([]byte("x"))
	if whole.String() != pieces.String() || findControl(whole.String()) != nil || !strings.HasPrefix(whole.String(), "é日本👍A") || !strings.Contains(whole.String(), "\n\té") {
		t.Errorf("%q in one, %q in pieces", whole.String(), pieces.String())
	}
}

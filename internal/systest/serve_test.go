package systest

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopKeepsEverything checks that a stopped node ends with exit code 0 and has everything when it is
// started again, and that a second node on the same directory is refused while it runs.
func TestStopKeepsEverything(t *testing.T) {
	p := serve(t)
	body := `{"type":"track","userId":"u1","event":"Bought","properties":{"amount":2.5}}` + "\n"
	answer, err := http.Post(p.url()+"/v1/events", "application/x-ndjson", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "serve", "--data", p.dir, "--listen", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by process") {
		t.Errorf("a second node on the directory: %v, %s", err, out)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the stopped node ended with %v", err)
	}
	out, err = exec.Command(path, "check", "--data", p.dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "is intact") {
		t.Errorf("check: %v, %s", err, out)
	}
	p.start()
	if rows := p.query(`stats sum(amount) of "Bought"`); len(rows) != 1 || stringOf(rows[0][0]) != "2.5" {
		t.Errorf("after a restart: %v", rows)
	}
}

// TestDemo checks that the demo gets ready, answers the questions it offers, and leaves no files behind.
func TestDemo(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "demo", "--users", "500", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	asked := 0
	for lines := bufio.NewScanner(io.TeeReader(said, &all)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if args, ok := strings.CutPrefix(line, "muster query --server "); ok {
			server, statement, _ := strings.Cut(args, " ")
			out, err := exec.CommandContext(ctx, path, "query", "--server", server, strings.Trim(statement, "'")).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v, %s", statement, err, out)
			}
			asked++
		}
		if strings.Contains(line, "Ctrl-C to stop") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("interrupted, the demo ended with %v", err)
	}
	if asked < 3 {
		t.Errorf("%d questions offered; it said:\n%s", asked, all.String())
	}
	if left, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(left) > 0 {
		t.Errorf("files left behind: %v, %v", left, err)
	}
}

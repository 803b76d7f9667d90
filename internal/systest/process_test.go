package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary builds muster once for all tests. poisoned builds a muster whose state machine panics over messages that
// request it, and whose dictionaries forget values.
var (
	binary   = sync.OnceValues(func() (string, error) { return build() })
	poisoned = sync.OnceValues(func() (string, error) { return build("-tags", "poison") })
)

func build(flags ...string) (string, error) {
	dir, err := os.MkdirTemp("", "muster-systest-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "muster")
	out, err := exec.Command("go", slices.Concat([]string{"build"}, flags, []string{"-o", path, "../../cmd/muster"})...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build muster: %w\n%s", err, out)
	}
	return path, nil
}

// TestMain removes the binaries.
func TestMain(m *testing.M) {
	m.Run()
	for _, built := range []func() (string, error){binary, poisoned} {
		if path, err := built(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	}
}

// process is a running `muster serve`.
type process struct {
	t    *testing.T
	dir  string
	addr string
	args []string // further arguments of serve
	bin  func() (string, error)
	cmd  *exec.Cmd
	log  output
}

// output collects what a process writes; it may be read while the process runs.
type output struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.said.String()
}

func (o *output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.said.Reset()
}

// serve starts a node on a fresh directory and waits until it is ready.
func serve(t *testing.T) *process {
	t.Helper()
	return serveIn(t, filepath.Join(t.TempDir(), "data"))
}

// serveIn starts a node on the given directory, with further arguments.
func serveIn(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := prepare(t, dir, args...)
	p.start()
	return p
}

// prepare is like serveIn, but does not start the node.
func prepare(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: dir, addr: listener.Addr().String(), args: args}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill()
		}
		if t.Failed() {
			t.Logf("output of the node:\n%s", p.log.String())
		}
	})
	return p
}

func (p *process) url() string { return "http://" + p.addr }

// start starts the node and returns how long it took until it was ready.
func (p *process) start() time.Duration {
	p.t.Helper()
	started := time.Now()
	p.launch()
	until(p.t, 60*time.Second, "the node is ready", func() bool {
		answer, err := http.Get(p.url() + "/readyz")
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return time.Since(started)
}

// launch starts the node and does not wait until it is ready.
func (p *process) launch() {
	p.t.Helper()
	if p.bin == nil {
		p.bin = binary
	}
	path, err := p.bin()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(path, append([]string{"serve", "--data", p.dir, "--listen", p.addr}, p.args...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// check runs `muster check` on the directory of a stopped node.
func (p *process) check() (output string, whole bool) {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := exec.Command(path, "check", "--data", p.dir).CombinedOutput()
	return string(out), err == nil
}

// kill ends the node with SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// until waits for a condition.
func until(t *testing.T, timeout time.Duration, what string, done func() bool) {
	t.Helper()
	end := time.NewTimer(timeout)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-end.C:
			t.Fatalf("not within %s: %s", timeout, what)
		case <-tick.C:
		}
	}
}

// muster runs one command against the node until it ends or ctx does, which kills it.
func (p *process) muster(ctx context.Context, args ...string) (output string, code int) {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, append(args, "--server", p.url())...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// query runs a statement and returns its rows; numbers keep their text.
func (p *process) query(statement string) [][]any {
	p.t.Helper()
	body, err := json.Marshal(map[string]string{"query": statement})
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := http.Post(p.url()+"/v1/query", "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %s", statement, answer.Status, text)
	}
	var got struct{ Rows [][]any }
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&got); err != nil {
		p.t.Fatal(err)
	}
	return got.Rows
}

// stringOf returns a cell of an answer as text.
func stringOf(cell any) string { return fmt.Sprint(cell) }

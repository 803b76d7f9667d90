package systest

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFlippedBytes flips single bits in the files a node left on disk. Each must be found by check or at the
// start, with a reason, or change nothing: the node must never serve a different answer.
func TestFlippedBytes(t *testing.T) {
	r := faults(t)
	p := serveIn(t, filepath.Join(t.TempDir(), "data"), snapshotsOften...)
	s := newSender(p, true)
	stop := s.start(t.Context(), 4)
	until(t, 60*time.Second, "some batches are acknowledged", func() bool { return s.acks.Load() > 600 })
	stop()
	want := answers(p)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	tally := map[string]int{}
	for _, pattern := range []string{"raft/shard-*/*.wal", "raft/*/wal-meta.db", "raft/*/high-water", "db/*.vlog", "db/*.sst", "db/MANIFEST", "db/*", "*.meta"} {
		for range 4 {
			q := &process{t: t, dir: filepath.Join(t.TempDir(), "copy"), addr: p.addr}
			if err := os.CopyFS(q.dir, os.DirFS(p.dir)); err != nil {
				t.Fatal(err)
			}
			flipped, ok := flip(t, r, q.dir, pattern)
			if !ok {
				continue
			}
			said, found := q.check()
			found = !found
			outcome := judge(t, q, flipped, want)
			if found && (said == "" || strings.Contains(said, "goroutine ")) {
				t.Errorf("%s: check says %q", flipped, said)
			}
			if !found && outcome == "refused" {
				t.Logf("%s: refused at the start, not found by check", flipped)
			}
			tally[fmt.Sprintf("%s: found by check %t, %s at the start", pattern, found, outcome)]++
			if err := os.RemoveAll(q.dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	for what, times := range tally {
		t.Logf("%2d × %s", times, what)
	}
}

// judge starts a node on a damaged directory and compares its answers, if it starts.
func judge(t *testing.T, q *process, flipped, want string) string {
	t.Helper()
	q.log.Reset()
	q.launch()
	exited := make(chan error, 1)
	go func() { exited <- q.cmd.Wait() }()
	var ended bool
	until(t, 60*time.Second, "the node is ready or ends", func() bool {
		select {
		case <-exited:
			ended = true
			return true
		default:
		}
		answer, err := http.Get(q.url() + "/readyz")
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	if ended {
		said := q.log.String()
		if strings.Contains(said, "goroutine ") || !strings.Contains("\n"+said, "\nmuster: ") {
			t.Errorf("%s: the node ended without a clear reason:\n%s", flipped, said)
		}
		return "refused"
	}
	got := answers(q)
	_ = q.cmd.Process.Kill()
	<-exited
	if got != want {
		t.Errorf("%s: the node serves different answers:\n%s, want\n%s", flipped, got, want)
	}
	return "served as it was"
}

// answers returns the answers to statements that would show any change.
func answers(p *process) string {
	p.t.Helper()
	return fmt.Sprint(p.query("count"), p.query(`stats count of "Sent", sum(n) of "Sent", min(n) of "Sent", max(n) of "Sent"`),
		p.query(`count where count of "Sent" = 10 and sum(n) of "Sent" > 100`))
}

// flip flips a bit of a used byte in a file under dir.
func flip(t *testing.T, r *rand.Rand, dir, pattern string) (what string, ok bool) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if len(paths) == 0 {
			return "", false
		}
		path := paths[r.IntN(len(paths))]
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			continue
		}
		at := r.IntN(len(data))
		for tries := 0; data[at] == 0 && tries < 1000; tries++ {
			at = r.IntN(len(data))
		}
		bit := byte(1) << r.IntN(8)
		data[at] ^= bit
		if err := os.WriteFile(path, data, fs.FileMode(0o644)); err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s, byte %d of %d, bit %#x", name, at, len(data), bit), true
	}
	return "", false
}

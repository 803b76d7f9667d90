package systest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tmpfs mounts a small file system, or skips the test if that is not permitted.
func tmpfs(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill writes a file of up to size bytes; it ends early if the disk is full.
func fill(t *testing.T, path string, size int64) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 64<<10)
	for left := size; left > 0; left -= int64(len(block)) {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// checkReadOnly checks that the node still answers queries and that its health says why it refuses writes.
func checkReadOnly(t *testing.T, p *process) {
	t.Helper()
	if rows := p.query(`count where did "Sent"`); len(rows) != 1 {
		t.Errorf("a count on a full disk: %v", rows)
	}
	answer, err := http.Get(p.url() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var health struct {
		Free     *int64 `json:"disk_free"`
		Degraded bool
		Reason   string
	}
	if err := json.NewDecoder(answer.Body).Decode(&health); err != nil {
		t.Error(err)
	}
	if answer.StatusCode != http.StatusOK || !health.Degraded || health.Reason == "" || health.Free == nil {
		t.Fatalf("healthz does not say that the disk is full: %d %+v", answer.StatusCode, health)
	}
	t.Logf("full: %d KiB free; %s", *health.Free>>10, health.Reason)
}

// TestDiskFills lets ingest fill the disk: the node refuses with the reason and stays up, also through a restart,
// and resumes by itself when space is freed.
func TestDiskFills(t *testing.T) {
	faults(t)
	dir := tmpfs(t, 512<<20)
	other := filepath.Join(dir, "other")
	fill(t, other, 200<<20)
	p := serveIn(t, filepath.Join(dir, "data"), "--disk-floor", "48MiB", "--snapshot-bytes", "4MiB")
	s := newSender(p, true)
	stop := s.start(t.Context(), 8)
	until(t, 90*time.Second, "the disk is full", func() bool { return s.seen("429 disk_full") > 20 })
	full := s.acks.Load()
	checkReadOnly(t, p)
	p.kill()
	t.Logf("full after %d batches; restarted on the full disk in %s", full, p.start().Round(time.Millisecond))
	checkReadOnly(t, p)
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	freed, before := time.Now(), s.acks.Load()
	until(t, 30*time.Second, "ingest resumes by itself", func() bool { return s.acks.Load() > before+100 })
	t.Logf("100 batches within %s after space was freed", time.Since(freed).Round(time.Millisecond))
	stop()
	s.verify(t, p)
	p.kill()
	p.start()
	s.verify(t, p)
	checkDirectory(t, p)
}

// TestDiskBrimful fills the disk to the last block in one step, so that the node has no time to stop before it is
// full.
func TestDiskBrimful(t *testing.T) {
	faults(t)
	dir := tmpfs(t, 512<<20)
	p := serveIn(t, filepath.Join(dir, "data"), "--disk-floor", "48MiB", "--snapshot-bytes", "4MiB")
	s := newSender(p, true)
	stop := s.start(t.Context(), 8)
	for range 2 {
		before := s.acks.Load()
		until(t, 30*time.Second, "the senders make progress", func() bool { return s.acks.Load() > before+200 })
		other := filepath.Join(dir, "other")
		fill(t, other, 1<<30)
		was := s.seen("429") + s.seen("503")
		until(t, 30*time.Second, "the node refuses", func() bool { return s.seen("429")+s.seen("503") > was+20 })
		checkReadOnly(t, p)
		pause(3 * time.Second) // let background work meet the full disk too
		checkReadOnly(t, p)
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
	}
	before := s.acks.Load()
	until(t, 30*time.Second, "ingest resumes by itself", func() bool { return s.acks.Load() > before+100 })
	stop()
	s.verify(t, p)
	checkDirectory(t, p)
}

// TestDiskFillsDuringImport lets an import wait on a full disk and finish when there is space.
func TestDiskFillsDuringImport(t *testing.T) {
	faults(t)
	dir := tmpfs(t, 512<<20)
	other := filepath.Join(dir, "other")
	fill(t, other, 300<<20)
	const lines = 800_000
	path := filepath.Join(t.TempDir(), "sent.csv")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(file)
	fmt.Fprintln(out, "user,event,ts,n,filling")
	for i := range lines {
		fmt.Fprintf(out, "u%d,Sent,%d,%d,%0150d\n", i%20_000, 1_700_000_000+i, i, i*7919)
	}
	if err := errors.Join(out.Flush(), file.Close()); err != nil {
		t.Fatal(err)
	}
	p := serveIn(t, filepath.Join(dir, "data"), "--disk-floor", "48MiB") // with few snapshots the log is not truncated
	type ended struct {
		out  string
		code int
	}
	done := make(chan ended, 1)
	go func() {
		out, code := p.muster(t.Context(), "import", path, "--events", "--id", "user", "--event", "event", "--time", "ts")
		done <- ended{out, code}
	}()
	until(t, 60*time.Second, "the disk is full", func() bool {
		if len(done) > 0 {
			e := <-done
			t.Fatalf("the import ended before the disk was full with %d: %s", e.code, e.out)
		}
		answer, err := http.Post(p.url()+"/v1/track", "application/json", strings.NewReader(`{"userId":"probe","event":"Probe"}`))
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusTooManyRequests
	})
	checkReadOnly(t, p)
	select {
	case e := <-done:
		t.Fatalf("the import ended on the full disk with %d: %s", e.code, e.out)
	default:
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if e := <-done; e.code != 0 {
		t.Fatalf("the import ended with %d: %s", e.code, e.out)
	}
	rows := p.query(`stats count of "Sent" ever, distinct(n) of "Sent" ever`)
	if got := fmt.Sprint(rows); !strings.HasPrefix(got, fmt.Sprintf("[[%d ", lines)) {
		t.Errorf("after the import: %s, want %d", got, lines)
	}
	checkDirectory(t, p)
}

package systest

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// injectFault makes system calls of a running process fail, once for each of its threads.
func injectFault(t *testing.T, p *process, call, cause string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("faults of system calls need strace: %v", err)
	}
	cmd := exec.Command(strace, "-f", "-qq", "-o", filepath.Join(t.TempDir(), "trace"), "-p", fmt.Sprint(p.cmd.Process.Pid),
		"-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:error=%s:when=3", call, cause))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(stderr)
		said <- string(text)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // strace detaches from the process
		if text := <-said; strings.Contains(text, "Operation not permitted") {
			t.Logf("strace: %s", text)
		}
		_ = cmd.Wait()
	})
}

// ended waits until the node ends by itself and returns its exit code.
func (p *process) ended(t *testing.T, timeout time.Duration) (code int) {
	t.Helper()
	exited := make(chan error, 1)
	go func() { exited <- p.cmd.Wait() }()
	select {
	case <-exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(timeout):
		t.Fatalf("the node is still running %s after the fault", timeout)
		return 0
	}
}

// TestFailedWrite makes writes of the log and of the database fail under load: the process must end with one
// reason and no stack trace, and the next one must have everything that was acknowledged.
func TestFailedWrite(t *testing.T) {
	faults(t)
	for _, call := range []string{"fsync", "pwrite64", "msync"} {
		for _, cause := range []string{"EIO", "ENOSPC"} {
			t.Run(call+" "+cause, func(t *testing.T) {
				p := serveIn(t, filepath.Join(t.TempDir(), "data"), snapshotsOften...)
				s := newSender(p, true)
				stop := s.start(t.Context(), 4)
				until(t, 30*time.Second, "the senders make progress", func() bool { return s.acks.Load() > 50 })
				injectFault(t, p, call, cause)
				if code := p.ended(t, 60*time.Second); code != 1 {
					t.Errorf("the node ended with %d, want 1", code)
				}
				log := p.log.String()
				if n := strings.Count("\n"+log, "\nmuster: a write to the disk has failed: "); n != 1 || strings.Contains(log, "goroutine ") {
					t.Errorf("%d reasons, want one and no stack trace:\n%s", n, log)
				}
				p.start()
				before := s.acks.Load()
				until(t, 30*time.Second, "the senders make progress after a restart", func() bool { return s.acks.Load() > before+50 })
				stop()
				s.verify(t, p)
				checkDirectory(t, p)
			})
		}
	}
}

// TestFailedWriteAtRest makes a write of an idle node fail: it must end too.
func TestFailedWriteAtRest(t *testing.T) {
	faults(t)
	p := serve(t)
	injectFault(t, p, "fsync", "EIO")
	if code := p.ended(t, 5*time.Minute); code != 1 {
		t.Errorf("the node ended with %d, want 1", code)
	}
	p.start()
}

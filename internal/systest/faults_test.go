package systest

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// faults skips a slow test unless it is requested.
func faults(t *testing.T) *rand.Rand {
	t.Helper()
	if os.Getenv("MUSTER_FAULTS") == "" {
		t.Skip("faults take minutes: make test-faults")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// checkDirectory kills the node and runs `muster check` on its directory.
func checkDirectory(t *testing.T, p *process) {
	t.Helper()
	p.kill()
	if out, ok := p.check(); !ok {
		t.Errorf("check finds: %s", out)
	}
}

// snapshotsOften makes a node write snapshots all the time, so that kills happen during snapshots.
var snapshotsOften = []string{"--snapshot-bytes", "256KiB"}

// TestKilledWhileSending kills the node at random moments, including during its start and its snapshots,
// while SDKs send: with retries everything must be there exactly once, without retries at most once.
func TestKilledWhileSending(t *testing.T) {
	r := faults(t)
	p := serveIn(t, t.TempDir()+"/data", snapshotsOften...)
	patient, careless := newSender(p, true), newSender(p, false)
	careless.next.Store(1 << 30) // use other batches
	stopPatient, stopCareless := patient.start(t.Context(), 4), careless.start(t.Context(), 2)
	for round := range 10 {
		pause(time.Duration(r.Int64N(int64(2500 * time.Millisecond))))
		p.kill()
		if round%3 == 2 { // and again during the start
			p.launch()
			pause(time.Duration(r.Int64N(int64(600 * time.Millisecond))))
			p.kill()
		}
		t.Logf("ready again in %s", p.start().Round(time.Millisecond))
	}
	stopPatient()
	stopCareless()
	patient.verify(t, p)
	careless.verify(t, p)
	p.kill()
	p.start()
	patient.verify(t, p)
	careless.verify(t, p)
	checkDirectory(t, p)
}

// TestStoppedWhileSending stops the node under load: it must end with exit code 0 in time and have everything it
// acknowledged.
func TestStoppedWhileSending(t *testing.T) {
	faults(t)
	p := serveIn(t, t.TempDir()+"/data", snapshotsOften...)
	s := newSender(p, true)
	stop := s.start(t.Context(), 6)
	for range 3 {
		before := s.acks.Load()
		until(t, 30*time.Second, "the senders make progress", func() bool { return s.acks.Load() > before+100 })
		stopping := time.Now()
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("stopped under load, the node ended with %v", err)
		}
		t.Logf("stopped in %s, ready again in %s", time.Since(stopping).Round(time.Millisecond), p.start().Round(time.Millisecond))
	}
	stop()
	s.verify(t, p)
	checkDirectory(t, p)
}

// TestPaused stops the process for ten seconds, as a machine that swaps or migrates does.
func TestPaused(t *testing.T) {
	faults(t)
	p := serve(t)
	s := newSender(p, true)
	stop := s.start(t.Context(), 4)
	until(t, 30*time.Second, "the senders make progress", func() bool { return s.acks.Load() > 100 })
	signal := func(sig syscall.Signal) {
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	pause(10 * time.Second)
	before, resumed := s.acks.Load(), time.Now()
	signal(syscall.SIGCONT)
	until(t, 10*time.Second, "the senders make progress after the pause", func() bool { return s.acks.Load() > before+100 })
	t.Logf("100 batches within %s after the pause", time.Since(resumed).Round(time.Millisecond))
	stop()
	s.verify(t, p)
	checkDirectory(t, p)
}

package systest

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// faults skips a test that takes its time, unless it is asked for.
func faults(t *testing.T) *rand.Rand {
	t.Helper()
	if os.Getenv("MUSTER_FAULTS") == "" {
		t.Skip("faults take minutes: make test-faults")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// whole ends the node and lets `muster check` look at what it left.
func whole(t *testing.T, p *process) {
	t.Helper()
	p.kill()
	if out, ok := p.check(); !ok {
		t.Errorf("check finds: %s", out)
	}
}

// snapshotsOften makes a node write snapshots all the time, so that kills come into them.
var snapshotsOften = []string{"--snapshot-bytes", "256KiB"}

// TestKilledWhileSending kills the node at random moments, among them those of its start and of its
// snapshots, while SDKs send: with retries everything is there exactly once, without at most once.
func TestKilledWhileSending(t *testing.T) {
	r := faults(t)
	p := serveIn(t, t.TempDir()+"/data", snapshotsOften...)
	patient, careless := newSender(p, true), newSender(p, false)
	careless.next.Store(1 << 30) // batches of its own
	stopPatient, stopCareless := patient.start(t.Context(), 4), careless.start(t.Context(), 2)
	for round := range 10 {
		pause(time.Duration(r.Int64N(int64(2500 * time.Millisecond))))
		p.kill()
		if round%3 == 2 { // and again in the middle of the start
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
	whole(t, p)
}

// TestStoppedWhileSending tells the node to stop under load: it ends with 0 in good time and has
// everything it acknowledged.
func TestStoppedWhileSending(t *testing.T) {
	faults(t)
	p := serveIn(t, t.TempDir()+"/data", snapshotsOften...)
	s := newSender(p, true)
	stop := s.start(t.Context(), 6)
	for range 3 {
		before := s.acks.Load()
		until(t, 30*time.Second, "the senders get on", func() bool { return s.acks.Load() > before+100 })
		told := time.Now()
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("told to stop under load, the node ended with %v", err)
		}
		t.Logf("stopped in %s, ready again in %s", time.Since(told).Round(time.Millisecond), p.start().Round(time.Millisecond))
	}
	stop()
	s.verify(t, p)
	whole(t, p)
}

// TestPaused stops the process for ten seconds, as a machine that swaps or migrates does.
func TestPaused(t *testing.T) {
	faults(t)
	p := serve(t)
	s := newSender(p, true)
	stop := s.start(t.Context(), 4)
	until(t, 30*time.Second, "the senders get on", func() bool { return s.acks.Load() > 100 })
	signal := func(sig syscall.Signal) {
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	pause(10 * time.Second)
	before, resumed := s.acks.Load(), time.Now()
	signal(syscall.SIGCONT)
	until(t, 10*time.Second, "the senders get on after the pause", func() bool { return s.acks.Load() > before+100 })
	t.Logf("100 batches within %s after the pause", time.Since(resumed).Round(time.Millisecond))
	stop()
	s.verify(t, p)
	whole(t, p)
}

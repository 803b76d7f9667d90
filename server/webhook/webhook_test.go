package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/server/render"
)

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// fakeFeed is a log of changes. A cursor is an index into it. Changes before horizon are lost.
type fakeFeed struct {
	mu      sync.Mutex
	changes []render.Change
	more    chan struct{}
	horizon int
}

var errLost = errors.New("lost")

func newFakeFeed() *fakeFeed { return &fakeFeed{more: make(chan struct{})} }

func (f *fakeFeed) add(profiles ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range profiles {
		n := len(f.changes)
		f.changes = append(f.changes, render.Change{ID: "0-" + strconv.Itoa(n+1) + "-0", Segment: "VIP", Profile: p, Enter: n%2 == 0, At: 1_700_000_000_000, Cause: "event", Cursor: strconv.Itoa(n + 1)})
	}
	close(f.more)
	f.more = make(chan struct{})
}

func (f *fakeFeed) open(_ context.Context, _, cursor string, _ []string, _ render.ChangeFormat) (Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := len(f.changes)
	if cursor != "" {
		at, _ = strconv.Atoi(cursor)
	}
	return &fakeReader{f, at}, nil
}

type fakeReader struct {
	feed *fakeFeed
	at   int
}

func (r *fakeReader) Cursor() string { return strconv.Itoa(r.at) }

func (r *fakeReader) Next(ctx context.Context, limit int, idle time.Duration) ([]render.Change, string, error) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		r.feed.mu.Lock()
		all, more, horizon := r.feed.changes, r.feed.more, r.feed.horizon
		r.feed.mu.Unlock()
		if r.at < horizon {
			return nil, "", errLost
		}
		if r.at < len(all) {
			found := all[r.at:min(len(all), r.at+limit)]
			r.at += len(found)
			return found, r.Cursor(), nil
		}
		select {
		case <-more:
		case <-timer.C:
			return nil, r.Cursor(), nil
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
}

// fakeTarget is a target that answers as the test wants, and records the requests.
type fakeTarget struct {
	mu     sync.Mutex
	answer func(n int, r *http.Request) (*http.Response, error) // n counts the tries of this id from 1
	tries  map[string]int
	got    []string // ids in the order in which they were answered with 200
	times  []time.Time
	bodies map[string]string
}

func (f *fakeTarget) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tries == nil {
		f.tries, f.bodies = map[string]int{}, map[string]string{}
	}
	id := r.Header.Get("Webhook-Id")
	f.tries[id]++
	f.times = append(f.times, time.Now())
	f.bodies[id] = string(body)
	answer, err := status(200), error(nil)
	if f.answer != nil {
		answer, err = f.answer(f.tries[id], r)
	}
	if err == nil && answer.StatusCode == 200 {
		f.got = append(f.got, id)
	}
	return answer, err
}

func (f *fakeTarget) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func status(code int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, Status: strconv.Itoa(code), Header: h, Body: io.NopCloser(strings.NewReader("x"))}
}

type memoryTable struct {
	mu     sync.Mutex
	values map[string][]byte
	puts   int
}

func (t *memoryTable) All(fn func(string, []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(t.values)) {
		if err := fn(k, t.values[k]); err != nil {
			return err
		}
	}
	return nil
}

func (t *memoryTable) Put(values map[string][]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.puts++
	if t.values == nil {
		t.values = map[string][]byte{}
	}
	for k, v := range values {
		if v == nil {
			delete(t.values, k)
		} else {
			t.values[k] = v
		}
	}
	return nil
}

func openTest(t *testing.T, feed *fakeFeed, target *fakeTarget, table disk.Table) *Hooks {
	t.Helper()
	h, err := Open(Config{Feed: feed.open, Transport: target, Table: table, Jitter: func(d time.Duration) time.Duration { return d },
		Lost: func(err error) (string, bool) { return "horizon", errors.Is(err, errLost) }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func closeTest(t *testing.T, h *Hooks) {
	t.Helper()
	if err := h.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func put(t *testing.T, h *Hooks, hook Hook) Hook {
	t.Helper()
	if hook.URL == "" {
		hook.Name, hook.Segment, hook.URL = "crm", "VIP", "https://crm.example/in"
	}
	if hook.Format == "" {
		hook.Format = render.Native
	}
	made, err := h.Put(t.Context(), hook)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // until it reads
	return made
}

// TestDelivery: every change is delivered once, with the headers and bodies of Standard Webhooks, in the
// order of its profile.
func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, target := newFakeFeed(), &fakeTarget{}
		var header http.Header
		target.answer = func(n int, r *http.Request) (*http.Response, error) {
			header = r.Header
			if r.Header.Get("Webhook-Id") == "msg-0-2-0" && n < 3 {
				return status(500), nil
			}
			return status(200), nil
		}
		h := openTest(t, feed, target, nil)
		defer closeTest(t, h)
		put(t, h, Hook{})
		feed.add("a", "b", "c", "b", "a")
		pass(time.Second)
		got := target.taken()
		slices.Sort(got)
		if want := []string{"msg-0-1-0", "msg-0-3-0", "msg-0-5-0"}; !slices.Equal(got, want) {
			t.Errorf("before the retry: %v", got)
		}
		pass(10 * time.Minute)
		got = target.taken()
		if want := []string{"msg-0-2-0", "msg-0-4-0"}; len(got) != 5 || !slices.Equal(got[3:], want) {
			t.Errorf("after the retries: %v", got)
		}
		var body struct {
			Type      string
			Timestamp time.Time
			Data      struct{ Segment, Profile, ID string }
		}
		if err := json.Unmarshal([]byte(target.bodies["msg-0-4-0"]), &body); err != nil || body.Type != "segment.exited" || body.Timestamp.IsZero() || body.Data.Profile != "b" || body.Data.Segment != "VIP" {
			t.Errorf("%s: %+v %v", target.bodies["msg-0-4-0"], body, err)
		}
		if header.Get("Content-Type") != "application/json" || header.Get("Webhook-Timestamp") == "" || !strings.HasPrefix(header.Get("Webhook-Signature"), "v1,") {
			t.Errorf("headers %v", header)
		}
	})
}

// TestSchedule: a message is tried ten times on the schedule of Standard Webhooks. Then it is dead; it
// can be listed and sent again.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, target := newFakeFeed(), &fakeTarget{}
		target.answer = func(int, *http.Request) (*http.Response, error) { return status(302, "Location", "/"), nil }
		h := openTest(t, feed, target, &memoryTable{})
		defer closeTest(t, h)
		put(t, h, Hook{})
		feed.add("a")
		pass(100 * time.Hour)
		var gaps []time.Duration
		for i := 1; i < len(target.times); i++ {
			gaps = append(gaps, target.times[i].Sub(target.times[i-1]))
		}
		if !slices.Equal(gaps, schedule[1:]) {
			t.Errorf("gaps %v", gaps)
		}
		tries, dead, err := h.Deliveries("crm")
		if err != nil || len(tries) != len(schedule) || tries[0].Attempt != 10 || tries[0].Status != 302 || len(dead) != 1 {
			t.Fatalf("%v %v %v", tries, dead, err)
		}
		target.answer = nil
		if err := h.Replay(t.Context(), "crm", ""); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if s, _ := h.Get("crm"); s.Dead != 0 || s.Pending != 0 || s.Delivered != 1 {
			t.Errorf("after the replay: %+v", s)
		}
		if err := h.Replay(t.Context(), "crm", "0"); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if got := target.taken(); !slices.Equal(got, []string{"msg-0-1-0", "msg-0-1-0"}) {
			t.Errorf("replayed from a cursor: %v", got)
		}
	})
}

// TestThrottle: Retry-After is honoured and pauses the whole hook; 410 disables it.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, target := newFakeFeed(), &fakeTarget{}
		target.answer = func(n int, r *http.Request) (*http.Response, error) {
			switch {
			case r.Header.Get("Webhook-Id") == "msg-0-1-0" && n == 1:
				return status(429, "Retry-After", "60"), nil
			case r.Header.Get("Webhook-Id") == "msg-0-3-0":
				return status(410), nil
			}
			return status(200), nil
		}
		h := openTest(t, feed, target, nil)
		defer closeTest(t, h)
		put(t, h, Hook{})
		feed.add("a")
		pass(time.Second)
		feed.add("b")
		pass(50 * time.Second)
		if got := target.taken(); len(got) != 0 {
			t.Errorf("sent while throttled: %v", got)
		}
		pass(10 * time.Second)
		if got := target.taken(); len(got) != 2 {
			t.Errorf("after Retry-After: %v", got)
		}
		feed.add("c")
		pass(time.Second)
		feed.add("d")
		pass(time.Hour)
		s, _ := h.Get("crm")
		if s.Disabled == "" || len(target.taken()) != 2 {
			t.Errorf("after 410: %+v, %v", s, target.taken())
		}
		target.answer = nil
		put(t, h, Hook{})
		pass(time.Minute)
		if got := target.taken(); len(got) != 4 {
			t.Errorf("enabled again: %v", got)
		}
	})
}

// TestStalled: for a target that never answers, a bounded number of messages is pending. The other
// changes wait in the log, and the target is told if some are lost there.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, target := newFakeFeed(), &fakeTarget{}
		target.answer = func(int, *http.Request) (*http.Response, error) { return nil, errors.New("no answer") }
		h := openTest(t, feed, target, nil)
		defer closeTest(t, h)
		put(t, h, Hook{})
		for i := range 3000 {
			feed.add(fmt.Sprint("p", i))
		}
		pass(time.Hour)
		s, _ := h.Get("crm")
		if s.Pending < maxPending || s.Pending > maxPending+batchSize {
			t.Errorf("%d pending", s.Pending)
		}
		feed.mu.Lock()
		feed.horizon = 2000
		feed.mu.Unlock()
		target.mu.Lock()
		target.answer = nil
		target.mu.Unlock()
		pass(3 * time.Hour)
		feed.add("last")
		pass(time.Minute)
		resyncs, last := 0, false
		for id := range target.bodies {
			if strings.HasPrefix(id, "msg-resync-") {
				resyncs++
			}
			last = last || id == "msg-0-3001-0"
		}
		if s, _ = h.Get("crm"); s.Pending != 0 || resyncs != 1 || !last {
			t.Errorf("%+v; %d resync messages; the last change was delivered: %v", s, resyncs, last)
		}
	})
}

// TestRestart: after a restart, pending messages continue with their tries, and no change is skipped.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, target, table := newFakeFeed(), &fakeTarget{}, &memoryTable{}
		target.answer = func(n int, r *http.Request) (*http.Response, error) {
			if r.Header.Get("Webhook-Id") == "msg-0-2-0" && n < 3 {
				return status(500), nil
			}
			return status(200), nil
		}
		h := openTest(t, feed, target, table)
		made := put(t, h, Hook{})
		feed.add("a", "b", "c")
		pass(8 * time.Second) // two tries
		closeTest(t, h)
		feed.add("d", "e")
		h = openTest(t, feed, target, table)
		pass(time.Minute)
		got := target.taken()
		slices.Sort(got)
		if want := []string{"msg-0-1-0", "msg-0-3-0", "msg-0-4-0", "msg-0-5-0"}; !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
		pass(5 * time.Minute)
		if got := target.taken(); len(got) != 5 || target.tries["msg-0-2-0"] != 3 {
			t.Errorf("%v, %d tries", got, target.tries["msg-0-2-0"])
		}
		if s, _ := h.Get("crm"); s.Secret != made.Secret {
			t.Error("the secret has changed")
		}
		if err := h.Delete(t.Context(), "crm"); err != nil || len(table.values) != 0 {
			t.Errorf("%v; left: %v", err, table.values)
		}
		closeTest(t, h)
	})
}

// TestAnotherNode: a node that only has the shared table continues before everything that has certainly
// been delivered; a message that was being retried is not lost.
func TestAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, target, shared := newFakeFeed(), &fakeTarget{}, &memoryTable{}
		broken := true
		target.answer = func(n int, r *http.Request) (*http.Response, error) {
			if r.Header.Get("Webhook-Id") == "msg-0-3-0" && broken {
				return status(500), nil
			}
			return status(200), nil
		}
		open := func(table disk.Table) *Hooks {
			h, err := Open(Config{Feed: feed.open, Transport: target, Table: table, Shared: shared, Jitter: func(d time.Duration) time.Duration { return d }})
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		first := &memoryTable{}
		h := open(first)
		made := put(t, h, Hook{})
		puts := shared.puts
		feed.add("a", "b", "c", "d")
		pass(10 * time.Second)
		if n := shared.puts - puts; n < 1 || n > 10 {
			t.Errorf("%d writes to the shared table in ten seconds", n)
		}
		closeTest(t, h)
		broken = false
		sent := len(target.taken())
		h = open(&memoryTable{})
		pass(10 * time.Second)
		got := target.taken()[sent:]
		if !slices.Contains(got, "msg-0-3-0") || slices.Contains(got, "msg-0-1-0") {
			t.Errorf("the other node sends %v", got)
		}
		if s, err := h.Get("crm"); err != nil || s.Secret != made.Secret {
			t.Errorf("%+v, %v", s, err)
		}
		if _, err := h.Put(t.Context(), Hook{Name: "crm", Segment: "Other", URL: "https://crm.example/in", Format: render.Native}); err != nil {
			t.Fatal(err)
		}
		closeTest(t, h)
		h = open(first) // the progress of the first node is of another epoch
		if s, _ := h.Get("crm"); s.Pending != 0 || s.Segment != "Other" {
			t.Errorf("%+v", s)
		}
		closeTest(t, h)
	})
}

// TestRotation: for a day both secrets sign, and a secret is shown once, when it is new.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, target := newFakeFeed(), &fakeTarget{}
		var signature string
		target.answer = func(_ int, r *http.Request) (*http.Response, error) {
			signature = r.Header.Get("Webhook-Signature")
			return status(200), nil
		}
		h := openTest(t, feed, target, nil)
		defer closeTest(t, h)
		same := Hook{Name: "crm", Segment: "VIP", URL: "https://crm.example/in"}
		if made := put(t, h, same); made.Secret == "" {
			t.Error("a new secret is not shown")
		}
		rotated := same
		rotated.Secret = testSecret
		if made := put(t, h, rotated); made.Secret != testSecret || made.OldSecret != "" {
			t.Errorf("rotated: %+v", made)
		}
		for _, again := range []Hook{same, rotated} {
			if made := put(t, h, again); made.Secret != "" || made.OldSecret != "" {
				t.Errorf("put again: %+v", made)
			}
		}
		feed.add("a")
		pass(time.Minute)
		if strings.Count(signature, "v1,") != 2 {
			t.Errorf("signed %q", signature)
		}
		pass(24 * time.Hour)
		feed.add("b")
		pass(time.Minute)
		if strings.Count(signature, "v1,") != 1 {
			t.Errorf("a day later: %q", signature)
		}
	})
}

// TestRefusals: invalid URLs and secrets are refused.
func TestRefusals(t *testing.T) {
	h := openTest(t, newFakeFeed(), &fakeTarget{}, nil)
	defer closeTest(t, h)
	for _, url := range []string{"", "ftp://x.example", "http://", "https://user:pass@x.example", "x.example", "javascript://x.example/",
		"https://x.example/" + strings.Repeat("p", maxURL), "https://x.example/\u202e", "https://x.example/\n", "https://x\u200b.example/"} {
		if _, err := h.Put(t.Context(), Hook{Name: "x", URL: url}); !errors.Is(err, ErrURL) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := h.Put(t.Context(), Hook{Name: "x", URL: "https://x.example", Secret: "whsec_short"}); !errors.Is(err, ErrSecret) {
		t.Errorf("secret: %v", err)
	}
}

// TestSignature: checks the example of the specification, and compares with the npm package if it is
// installed.
func TestSignature(t *testing.T) {
	body := []byte(`{"test": 2432232314}`)
	got, err := Sign([]string{testSecret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), body)
	if err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%q %v", got, err)
	}
	modules, err := filepath.Abs("../../test/sdks/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "standardwebhooks")); err != nil {
		t.Skip("make test-sdks installs the package standardwebhooks")
	}
	now := time.Now()
	signature, err := Sign([]string{"whsec_" + strings.Repeat("QUJD", 8), testSecret}, "msg-1", now, body)
	if err != nil {
		t.Fatal(err)
	}
	script := `const {Webhook} = require("standardwebhooks"); const [s, id, at, sig, body] = process.argv.slice(1);
		const h = {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": sig};
		console.log(JSON.stringify(new Webhook(s).verify(body, h)));
		try { new Webhook(s).verify(body + " ", h); process.exit(3) } catch (e) {}`
	cmd := exec.Command("node", "-e", script, testSecret, "msg-1", strconv.FormatInt(now.Unix(), 10), signature, string(body))
	cmd.Dir = filepath.Dir(modules)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("2432232314")) {
		t.Errorf("npm: %s %v", out, err)
	}
}

// pass advances the simulated time.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

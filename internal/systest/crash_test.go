package systest

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestCrashDuringImport kills the node and the import at random moments and starts both again each time. At the
// end it counts: nothing may be lost and nothing may count twice.
func TestCrashDuringImport(t *testing.T) {
	rounds := 2
	if text := os.Getenv("MUSTER_CRASH_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("MUSTER_CRASH_ROUNDS: %v", err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d rounds", seed, rounds)
	r := rand.New(rand.NewPCG(seed, 0))
	file, longest := crashFile(t)
	want := countFile(t, file)
	p := serve(t)
	args := []string{"import", file, "--events", "--id", "user", "--event", "event", "--time", "ts", "--types", "component=string,tz=string"}
	for inTheMiddle, tries := 0, 0; inTheMiddle < rounds; tries++ {
		if tries == 4*rounds {
			t.Fatalf("only %d kills came in the middle of an import: the file is too small for this machine", inTheMiddle)
		}
		after := time.Duration(r.Int64N(int64(longest)))
		if took, ended := killDuring(t, p, after, args); ended { // killed too late: kill earlier from now on
			longest = took
		} else {
			inTheMiddle++
		}
		t.Logf("killed after %s, ready again in %s", after.Round(time.Millisecond), p.start().Round(time.Millisecond))
	}
	out, code := p.muster(t.Context(), args...)
	t.Logf("%s", out)
	if code != 0 {
		t.Fatalf("the last import ended with %d", code)
	}
	want.compare(t, p)
	p.kill()
	p.start()
	want.compare(t, p)
}

// killDuring starts an import and kills both after a while; ended reports that the import finished first.
func killDuring(t *testing.T, p *process, after time.Duration, args []string) (took time.Duration, ended bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	done := make(chan struct{})
	go func() {
		<-ctx.Done()
		p.kill()
		close(done)
	}()
	began := time.Now()
	out, code := p.muster(ctx, args...)
	took, ended = time.Since(began), ctx.Err() == nil
	if ended {
		t.Logf("the import ended with %d before its %s were over: %s", code, after, out)
	}
	cancel()
	<-done
	return took, ended
}

// counts is what a file of events contains, computed by a simple reader.
type counts struct {
	users  map[string]bool
	events map[string]int64           // number by event name
	doers  map[string]map[string]bool // users by event name
}

// compare queries the node for everything that was counted.
func (c *counts) compare(t *testing.T, p *process) {
	t.Helper()
	last := func(statement string) string {
		rows := p.query(statement)
		if len(rows) != 1 {
			t.Fatalf("%s: %d rows, want 1", statement, len(rows))
		}
		return fmt.Sprint(rows[0][len(rows[0])-1])
	}
	if got, want := last("count"), fmt.Sprint(len(c.users)); got != want {
		t.Errorf("%s profiles, want %s", got, want)
	}
	for _, name := range slices.Sorted(maps.Keys(c.events)) {
		if got, want := last(fmt.Sprintf("stats count of %q", name)), fmt.Sprint(c.events[name]); got != want {
			t.Errorf("%s events %q, want %s", got, name, want)
		}
		if got, want := last(fmt.Sprintf("count where did %q", name)), fmt.Sprint(len(c.doers[name])); got != want {
			t.Errorf("%s profiles did %q, want %s", got, name, want)
		}
	}
}

// crashFile returns the events of git-contributions if the long run is requested and the data is next to the
// repository, else a small file of the same shape, and how long an import may run.
func crashFile(t *testing.T) (path string, longest time.Duration) {
	t.Helper()
	data := os.Getenv("MUSTER_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	path, err := filepath.Abs(filepath.Join(data, "git-contributions", "events.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("MUSTER_CRASH_ROUNDS") != "" {
		if _, err := os.Stat(path); err == nil {
			return path, 8 * time.Second
		}
		t.Logf("%s is not there: a generated file is imported", path)
	}
	path = filepath.Join(t.TempDir(), "events.csv")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(file)
	fmt.Fprintln(out, "ts,user,event,repo,component,change,tz,subject_len,body_lines")
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 300_000 {
		fmt.Fprintf(out, "%d,%d,kind-%d,repo-%d,part/%d,%d,+0%d00,%d,%d\n", 1_500_000_000+i*60, 1+r.IntN(5000), r.IntN(6), r.IntN(9), r.IntN(400), i, r.IntN(9), r.IntN(80), r.IntN(40))
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path, 1500 * time.Millisecond
}

// countFile counts a file of events.
func countFile(t *testing.T, path string) *counts {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var in io.Reader = file
	if filepath.Ext(path) == ".gz" {
		if in, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	lines := csv.NewReader(bufio.NewReaderSize(in, 1<<20))
	lines.ReuseRecord = true
	header, err := lines.Read()
	if err != nil {
		t.Fatal(err)
	}
	user, event := slices.Index(header, "user"), slices.Index(header, "event")
	c := &counts{users: map[string]bool{}, events: map[string]int64{}, doers: map[string]map[string]bool{}}
	for {
		record, err := lines.Read()
		if err == io.EOF {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		c.users[record[user]] = true
		c.events[record[event]]++
		if c.doers[record[event]] == nil {
			c.doers[record[event]] = map[string]bool{}
		}
		c.doers[record[event]][record[user]] = true
	}
}

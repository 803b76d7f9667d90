package systest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKilledWhileMerging kills the node while people are merged from their anonymous ids and aliases: at the end
// there must be as many profiles as people, and each must have every event once.
func TestKilledWhileMerging(t *testing.T) {
	r := faults(t)
	const people, workers = 3000, 8
	p := serveIn(t, t.TempDir()+"/data", snapshotsOften...)
	var next, done atomic.Int64
	var running sync.WaitGroup
	client := &http.Client{Timeout: 90 * time.Second}
	send := func(lines []string) bool {
		body := []byte(`{"batch":[` + strings.Join(lines, ",") + `]}`)
		for give := time.Now().Add(2 * time.Minute); time.Now().Before(give); pause(50 * time.Millisecond) {
			answer, err := client.Post(p.url()+"/v1/batch", "application/json", bytes.NewReader(body))
			if err != nil {
				continue
			}
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return true
			}
		}
		return false
	}
	for range workers {
		running.Go(func() {
			for {
				k := next.Add(1)
				if k > people {
					return
				}
				for step, lines := range person(k) {
					if !send(lines) {
						t.Errorf("person %d, step %d was never accepted", k, step)
						return
					}
				}
				done.Add(1)
			}
		})
	}
	for round := 0; done.Load() < people && !t.Failed(); round++ {
		pause(time.Duration(300+r.Int64N(2000)) * time.Millisecond)
		p.kill()
		t.Logf("%d people done, ready again in %s", done.Load(), p.start().Round(time.Millisecond))
		if round == 12 { // no more kills
			break
		}
	}
	running.Wait()
	count := func(statement string) string { return fmt.Sprint(p.query(statement)) }
	until(t, 60*time.Second, "the merges end", func() bool { return count("count") == fmt.Sprintf("[[%d]]", people) })
	p.kill()
	p.start()
	for statement, want := range map[string]int{
		`count`: people, `count where count of "Seen" = 5`: people, `stats count of "Seen"`: 5 * people,
		`stats sum(weight) of "Seen"`: 31 * people, `count where name is set and plan = "pro"`: people,
	} {
		if got := count(statement); got != fmt.Sprintf("[[%d]]", want) {
			t.Errorf("%s: %s, want %d", statement, got, want)
		}
	}
	checkDirectory(t, p)
}

// person returns the requests of one person: seen under two anonymous ids and an old user id, then merged.
func person(k int64) [][]string {
	message := func(n int, format string, args ...any) string {
		return fmt.Sprintf(`{"messageId":"p%d-%d",`, k, n) + fmt.Sprintf(format, args...) + `}`
	}
	seen := func(n int, id string, weight int) string {
		return message(n, `"type":"track",%s,"event":"Seen","properties":{"weight":%d}`, id, weight)
	}
	a, b := fmt.Sprintf(`"anonymousId":"a%d"`, k), fmt.Sprintf(`"anonymousId":"b%d"`, k)
	old, user := fmt.Sprintf(`"userId":"old%d"`, k), fmt.Sprintf(`"userId":"user%d"`, k)
	return [][]string{
		{seen(1, a, 1), seen(2, b, 2)},
		{seen(3, old, 4), message(4, `"type":"identify",%s,%s,"traits":{"name":"N%d"}`, a, old, k)},
		{message(5, `"type":"identify",%s,%s,"traits":{"plan":"pro"}`, b, user), seen(6, b, 8)},
		{message(7, `"type":"alias","previousId":"old%d","userId":"user%d"`, k, k), seen(8, a, 16)},
	}
}

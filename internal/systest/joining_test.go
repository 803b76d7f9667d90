package systest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
)

var joiningPeople = flag.Int("people", 200, "number of people whose two profiles join while questions are asked")

// joining has people who are a visitor and a user each. The questions about them have the same answers before the
// two profiles join and after.
type joining struct {
	t      *testing.T
	p      *process
	client *api.Client
	people int
	asked  atomic.Int64
	wrong  atomic.Int64
}

const joiningAt = "2026-01-0%dT12:00:00Z"

// sendPeople sends the messages of the people, before any profiles are joined.
func (j *joining) sendPeople() {
	j.t.Helper()
	var batch []json.RawMessage
	flush := func() {
		if _, err := j.client.Batch(j.t.Context(), batch); err != nil {
			j.t.Fatal(err)
		}
		batch = batch[:0]
	}
	say := func(format string, args ...any) {
		if batch = append(batch, json.RawMessage(fmt.Sprintf(format, args...))); len(batch) == 1000 {
			flush()
		}
	}
	for i := range j.people {
		for day := 1; day <= 4; day++ {
			say(`{"type":"track","anonymousId":"a%d","event":"Visited","timestamp":%q,"properties":{"weight":%d}}`, i, fmt.Sprintf(joiningAt, day), day)
		}
		say(`{"type":"track","anonymousId":"a%d","event":"Left","timestamp":%q}`, i, fmt.Sprintf(joiningAt, 3))
		say(`{"type":"identify","anonymousId":"a%d","traits":{"plan":"pro","score":%d}}`, i, i)
		say(`{"type":"track","userId":"u%d","event":"Visited","timestamp":%q,"properties":{"weight":5}}`, i, fmt.Sprintf(joiningAt, 5))
		say(`{"type":"identify","userId":"u%d","traits":{"name":"somebody"}}`, i)
	}
	flush()
}

// join sends the messages that join the two profiles of each person, and waits until all are joined.
func (j *joining) join() {
	var batch []json.RawMessage
	for i := range j.people {
		batch = append(batch, json.RawMessage(fmt.Sprintf(`{"type":"identify","userId":"u%d","anonymousId":"a%d"}`, i, i)))
		if len(batch) == 500 || i == j.people-1 {
			if _, err := j.client.Batch(j.t.Context(), batch); err != nil {
				j.t.Error(err)
				return
			}
			batch = batch[:0]
		}
	}
	until(j.t, 2*time.Minute, "all have joined", func() bool {
		return fmt.Sprint(j.p.query("count")) == fmt.Sprintf("[[%d]]", j.people)
	})
}

// rows returns a function that runs a statement and returns its only row, or a column of it, as text.
func (j *joining) rows(statement, want string) func() (string, string) {
	return func() (string, string) {
		answer, err := j.client.Query(j.t.Context(), api.QueryRequest{Query: statement, MaxRows: 100_000})
		if err != nil {
			return err.Error(), want
		}
		got, err := json.Marshal(answer.Rows)
		if err != nil {
			return err.Error(), want
		}
		return string(got), want
	}
}

// number is like rows for another source of a number.
func (j *joining) number(want int, ask func() (int, error)) func() (string, string) {
	return func() (string, string) {
		got, err := ask()
		if err != nil {
			return err.Error(), fmt.Sprint(want)
		}
		return fmt.Sprint(got), fmt.Sprint(want)
	}
}

// questions returns one question of every kind, with its answer.
func (j *joining) questions() map[string]func() (got, want string) {
	all := j.statements()
	maps.Copy(all, j.numbers())
	maps.Copy(all, j.routes())
	return all
}

// statements returns the statements whose rows never change.
func (j *joining) statements() map[string]func() (got, want string) {
	n := j.people
	all := map[string]func() (string, string){}
	for statement, want := range map[string]string{
		`stats count of "Visited", sum(weight) of "Visited", max(weight) of "Visited"`: fmt.Sprintf("[[%d,%d,5]]", 5*n, 15*n),
		`stats avg(weight) of "Visited", distinct(weight) of "Visited"`:                "[[3,5]]",
		`count where did "Left"`:                                                    fmt.Sprintf("[[%d]]", n),
		`count where did "Visited" at least 4 times`:                                fmt.Sprintf("[[%d]]", n),
		`count where sum(weight) of "Visited" >= 10`:                                fmt.Sprintf("[[%d]]", n),
		`count where did "Visited" then "Left"`:                                     fmt.Sprintf("[[%d]]", n),
		`count where name = "somebody"`:                                             fmt.Sprintf("[[%d]]", n),
		`count where plan = "pro"`:                                                  fmt.Sprintf("[[%d]]", n),
		`count where in segment "leavers"`:                                          fmt.Sprintf("[[%d]]", n),
		`count where was in segment "leavers" at ` + j.since():                      fmt.Sprintf("[[%d]]", n),
		`count where in top 25% by score`:                                           fmt.Sprintf("[[%d]]", n/4),
		`count where in top 10 by count of "Left"`:                                  "[[10]]",
		`count where did "Left" as of 2026-01-04`:                                   fmt.Sprintf("[[%d]]", n),
		`count where plan is set by plan`:                                           fmt.Sprintf(`[["pro",%d]]`, n),
		`stats count of "Left", sum(score) where did "Left" by plan`:                fmt.Sprintf(`[["pro",%d,%d]]`, n, n*(n-1)/2),
		`trend "Visited" between 2026-01-01 and 2026-01-06 by month of sum(weight)`: fmt.Sprintf(`[["2026-01-01",%d]]`, 15*n),
		`trend "Left" between 2026-01-01 and 2026-01-06 by month of users`:          fmt.Sprintf(`[["2026-01-01",%d]]`, n),
	} {
		all[statement] = j.rows(statement, want)
	}
	return all
}

// numbers returns questions whose answers contain a number to compare, from a statement or another route.
func (j *joining) numbers() map[string]func() (got, want string) {
	n, ctx := j.people, j.t.Context()
	all := map[string]func() (string, string){}
	list := `list score where did "Left" order by score limit 100000`
	all[list] = j.number(n, func() (int, error) {
		answer, err := j.client.Query(ctx, api.QueryRequest{Query: list, MaxRows: 100_000})
		if err != nil {
			return 0, err
		}
		return len(answer.Rows), nil
	})
	cell := func(statement string, row, column int) func() (int, error) {
		return func() (int, error) {
			answer, err := j.client.Query(ctx, api.QueryRequest{Query: statement})
			if err != nil || len(answer.Rows) <= row {
				return 0, err
			}
			number := 0
			_, err = fmt.Sscan(fmt.Sprint(answer.Rows[row][column]), &number)
			return number, err
		}
	}
	all["funnel"] = j.number(n, cell(`funnel "Visited" then "Left" within 7 days`, 1, 2))
	all["retention"] = j.number(n, cell(`retention "Left" then "Visited" between 2026-01-01 and 2026-01-06 by month`, 0, 1))
	all["overlap"] = j.number(n, cell(`overlap did "Left", plan = "pro"`, 0, 2))
	all["rfm"] = j.number(n, func() (sum int, err error) {
		answer, err := j.client.Query(ctx, api.QueryRequest{Query: `rfm of "Visited" where (weight < 5) ever by weight`})
		if err != nil {
			return 0, err
		}
		for _, row := range answer.Rows {
			count := 0
			if _, err := fmt.Sscan(fmt.Sprint(row[3]), &count); err != nil {
				return 0, err
			}
			sum += count
		}
		return sum, nil
	})
	all["insights"] = j.number(1, func() (int, error) {
		answer, err := j.client.Query(ctx, api.QueryRequest{Query: `insights where did "Left" against plan = "pro"`})
		if err != nil {
			return 0, err
		}
		for _, row := range answer.Rows {
			if fmt.Sprint(row[1]) == "Left" && fmt.Sprint(row[3]) == "1" && fmt.Sprint(row[4]) == "1" {
				return 1, nil
			}
		}
		return 0, fmt.Errorf("%v", answer.Rows)
	})
	return all
}

// routes returns the questions that are not statements.
func (j *joining) routes() map[string]func() (got, want string) {
	n, ctx := j.people, j.t.Context()
	all := map[string]func() (string, string){}
	all["members as a page"] = j.number(min(n, 100_000), func() (int, error) {
		page, err := j.client.Members(ctx, "leavers", "", 100_000)
		if err != nil {
			return 0, err
		}
		return j.persons(page.Members)
	})
	all["members as a table"] = j.number(n, func() (int, error) {
		table, err := j.client.MembersAs(ctx, "leavers", "text/csv")
		if err != nil {
			return 0, err
		}
		defer table.Close()
		text, err := io.ReadAll(table)
		if err != nil {
			return 0, err
		}
		return j.persons(strings.Fields(string(text))[1:])
	})
	all["member"] = j.number(1, func() (int, error) {
		in, err := j.client.Member(ctx, "leavers", fmt.Sprint("a", rand.IntN(n)))
		if err != nil || !in {
			return 0, err
		}
		return 1, nil
	})
	all["profile"] = j.number(1, func() (int, error) {
		profile, err := j.client.Profile(ctx, fmt.Sprint("a", rand.IntN(n)))
		if err != nil {
			return 0, err
		}
		for _, e := range profile.Events {
			if e.Name == "Left" {
				return int(e.Count), nil
			}
		}
		return 0, nil
	})
	all["size of the segment"] = j.number(n, func() (int, error) {
		answer, err := http.Get(j.p.url() + "/v1/segments/leavers/stats")
		if err != nil {
			return 0, err
		}
		defer answer.Body.Close()
		var stats api.SegmentStats
		err = json.NewDecoder(answer.Body).Decode(&stats)
		return int(stats.Size), err
	})
	maps.Copy(all, j.sizes())
	return all
}

// sizes returns the questions about totals.
func (j *joining) sizes() map[string]func() (got, want string) {
	n, ctx := j.people, j.t.Context()
	all := map[string]func() (string, string){}
	all["events in the catalog"] = j.number(5*n, func() (int, error) {
		c, err := j.client.Catalog(ctx)
		if err != nil {
			return 0, err
		}
		for _, e := range c.Events {
			if e.Name == "Visited" {
				return int(e.Count), nil
			}
		}
		return 0, nil
	})
	all["events in health"] = j.number(6*n, func() (int, error) {
		h, err := j.client.Health(ctx)
		if err != nil {
			return 0, err
		}
		return int(h.Events), nil
	})
	return all
}

// persons counts the people that ids name, each of whom must be named once.
func (j *joining) persons(ids []string) (int, error) {
	met := map[string]bool{}
	for _, id := range ids {
		if met[id[1:]] {
			return 0, fmt.Errorf("%s appears twice", id[1:])
		}
		met[id[1:]] = true
	}
	return len(met), nil
}

// since returns a time after the segment was created and before any profiles joined.
func (j *joining) since() string {
	return time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
}

// TestAskedWhileJoining asks all kinds of questions while the two profiles of each person join: each
// question has the same answer before, after and in between.
func TestAskedWhileJoining(t *testing.T) {
	for _, shards := range []string{"1", "8"} {
		t.Run(shards+" shards", func(t *testing.T) {
			p := serveIn(t, t.TempDir()+"/data", "--shards", shards)
			j := &joining{t: t, p: p, client: &api.Client{BaseURL: p.url()}, people: *joiningPeople}
			j.sendPeople()
			if _, err := j.client.PutSegment(t.Context(), "leavers", api.SegmentRequest{Predicate: `did "Left"`}, true); err != nil {
				t.Fatal(err)
			}
			until(t, time.Minute, "the segment has its members", func() bool {
				page, err := j.client.Members(t.Context(), "leavers", "", 100_000)
				return err == nil && len(page.Members) == min(j.people, 100_000)
			})
			questions := j.questions()
			for name, ask := range questions {
				j.check(name, ask)
			}
			if t.Failed() {
				t.FailNow()
			}
			j.followed(func() { j.during(questions, j.join) })
			for name, ask := range questions {
				j.check(name, ask)
			}
			t.Logf("%d answers, %d of them wrong", j.asked.Load(), j.wrong.Load())
			checkDirectory(t, p)
		})
	}
}

// followed follows the segment during what. At most one change may be received for each id, and at the end all
// members must be known ones.
func (j *joining) followed(what func()) {
	ctx, cancel := context.WithCancel(j.t.Context())
	defer cancel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	members, changes := map[string]bool{}, map[string]int{}
	users := 0
	go func() {
		ended <- j.client.Watch(ctx, api.WatchOptions{Segment: "leavers", From: "snapshot"}, func(m *api.StreamMessage) error {
			for _, member := range m.Profiles {
				members[member.Profile] = true
			}
			switch m.Op {
			case "members":
				if !m.More {
					close(begun)
				}
				return nil
			case "enter", "exit":
				changes[m.Profile]++
				members[m.Profile] = m.Op == "enter"
				if !members[m.Profile] {
					delete(members, m.Profile)
				}
				if m.Op == "enter" {
					users++
				}
			}
			if users == j.people && len(members) == users {
				return errFollowed
			}
			return nil
		})
	}()
	<-begun
	what()
	if err := <-ended; !errors.Is(err, errFollowed) {
		j.t.Errorf("the stream ended with %v", err)
	}
	for id, times := range changes {
		if times > 1 {
			j.t.Errorf("%d changes of %s were received", times, id)
		}
	}
	for id := range members {
		if !strings.HasPrefix(id, "u") {
			j.t.Errorf("%s is still a member", id)
		}
	}
}

var errFollowed = errors.New("the stream is complete")

// during asks the questions repeatedly, in one order after another, until what has ended.
func (j *joining) during(questions map[string]func() (string, string), what func()) {
	var askers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		askers.Go(func() {
			for {
				for name, ask := range questions {
					select {
					case <-done:
						return
					default:
						j.check(name, ask)
					}
				}
			}
		})
	}
	what()
	close(done)
	askers.Wait()
}

func (j *joining) check(name string, ask func() (string, string)) {
	j.asked.Add(1)
	if got, want := ask(); got != want {
		if j.wrong.Add(1) < 20 {
			j.t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

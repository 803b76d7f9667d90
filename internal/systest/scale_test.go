package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/bench/naming"
)

// TestScale sends a node people whose ids, and two texts each, come from all naming schemes. Every person
// and every text must be found exactly once, and whatever can be counted in two ways must be the same in
// both, also after a restart from a snapshot. MUSTER_SCALE is the number of people.
func TestScale(t *testing.T) {
	people, shards := 9000, "1" // enough for each dictionary to change its representation
	if text := os.Getenv("MUSTER_SCALE"); text != "" {
		var err error
		if people, err = strconv.Atoi(text); err != nil || people < 1 {
			t.Fatalf("MUSTER_SCALE is %q; want a number of people", text)
		}
		shards = "8"
	}
	const seed = 1
	began := time.Now()
	x := &scale{t: t, p: serveIn(t, t.TempDir()+"/data", append([]string{"--shards", shards}, snapshotsOften...)...),
		ids: naming.Texts(seed, people), emails: naming.Texts(seed+1, people), notes: naming.Texts(seed+2, people)}
	x.client = &api.Client{BaseURL: x.p.url()}
	t.Logf("%d people, %d strings of %d naming schemes, seed %d, %s shards", people, 3*people, len(naming.All()), seed, shards)
	step := func(what string, do func()) {
		t.Helper()
		started := time.Now()
		do()
		t.Logf("%s: %s (%s resident)", what, time.Since(started).Round(10*time.Millisecond), x.resident())
		if t.Failed() {
			t.FailNow()
		}
	}
	step("profiles sent", x.sendProfiles)
	step("events sent, in another order", x.sendEvents)
	step("counted", x.count)
	step("every string looked up by its attribute", x.lookUpStrings)
	step("every person looked up by id", x.lookUpPeople)
	step("stopped and started", func() {
		if err := x.p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = x.p.cmd.Wait()
		x.p.start()
	})
	step("counted", x.count)
	step("every string looked up by its attribute", x.lookUpStrings)
	step("every person looked up by id", x.lookUpPeople)
	step("profiles sent again", x.sendProfiles)
	step("counted", x.count)
	step("every person looked up by id", x.lookUpPeople)
	t.Logf("%s in all", time.Since(began).Round(time.Second))
}

// scale is a node and the data it was sent: person n has ids[n], emails[n] and notes[n].
type scale struct {
	t                  *testing.T
	p                  *process
	client             *api.Client
	ids, emails, notes []string
	profiles, events   atomic.Uint64 // acknowledged
}

// skus is small enough that all values are held in memory.
const skus = 20_000

// send sends lines in bodies of 2,000 and adds up what was acknowledged.
func (x *scale) send(n int, line func(i int) any, acknowledged *atomic.Uint64) {
	x.t.Helper()
	const size = 2000
	acknowledged.Store(0)
	x.each((n+size-1)/size, func(body int) error {
		var b bytes.Buffer
		lines := json.NewEncoder(&b)
		for i := body * size; i < min((body+1)*size, n); i++ {
			if err := lines.Encode(line(i)); err != nil {
				return err
			}
		}
		got, err := x.client.Events(x.t.Context(), &b, "")
		if err != nil {
			return err
		}
		if got.Rejected > 0 || got.Duplicate > 0 {
			return fmt.Errorf("%d lines rejected, %d duplicates: %.500v", got.Rejected, got.Duplicate, got.Problems)
		}
		acknowledged.Add(got.Accepted)
		return nil
	})
}

// each calls do n times, four at a time, until one call fails.
func (x *scale) each(n int, do func(i int) error) {
	x.t.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	ctx, stop := context.WithCancelCause(x.t.Context())
	defer stop(nil)
	for range 4 {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					stop(err)
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		x.t.Fatal(context.Cause(ctx))
	}
}

func (x *scale) sendProfiles() {
	type message struct {
		Type   string         `json:"type"`
		UserID string         `json:"userId"`
		Traits map[string]any `json:"traits"`
	}
	x.send(len(x.ids), func(i int) any {
		return message{"profile", x.ids[i], map[string]any{"email": x.emails[i], "note": x.notes[i], "n": i, "group": fmt.Sprint("group ", i%7)}}
	}, &x.profiles)
}

func (x *scale) sendEvents() {
	type message struct {
		Type       string         `json:"type"`
		UserID     string         `json:"userId"`
		MessageID  string         `json:"messageId"`
		Event      string         `json:"event"`
		Properties map[string]any `json:"properties"`
	}
	order := rand.New(rand.NewPCG(5, 5)).Perm(len(x.ids))
	x.send(len(order), func(i int) any {
		who := order[i]
		return message{"track", x.ids[who], "e-" + x.ids[who], "Bought", map[string]any{"sku": fmt.Sprint("sku-", who%skus), "amount": 1 + who%10}}
	}, &x.events)
}

// number runs a statement that returns one number.
func (x *scale) number(statement string) int64 {
	x.t.Helper()
	rows := x.p.query(statement)
	if len(rows) != 1 {
		x.t.Fatalf("%s: %d rows", statement, len(rows))
	}
	n, err := strconv.ParseInt(stringOf(rows[0][len(rows[0])-1]), 10, 64)
	if err != nil {
		x.t.Fatalf("%s: %v", statement, err)
	}
	return n
}

// count counts everything in several ways.
func (x *scale) count() {
	x.t.Helper()
	people := int64(len(x.ids))
	if acked := int64(x.profiles.Load()); acked != people || int64(x.events.Load()) != people {
		x.t.Errorf("%d profiles and %d events acknowledged, %d of each sent", acked, x.events.Load(), people)
	}
	amounts := int64(0)
	for who := range people {
		amounts += 1 + who%10
	}
	for statement, want := range map[string]int64{
		"count":                                              people,
		"stats count":                                        people,
		"stats distinct(user_id)":                            people,
		"stats distinct(email)":                              people,
		"stats distinct(note)":                               people,
		`count where did "Bought"`:                           people,
		`count where did "Bought" exactly 1 times`:           people,
		`stats count of "Bought"`:                            people,
		`stats sum(amount) of "Bought"`:                      amounts,
		`stats distinct(sku) of "Bought"`:                    min(people, skus),
		`count where did not "Bought"`:                       0,
		`count where n is not set`:                           0,
		`count where email is not set or note is not set`:    0,
		`count where n is not set and did "Bought"`:          0,
		fmt.Sprintf(`count where n >= 0 and n < %d`, people): people,
	} {
		if got := x.number(statement); got != want {
			x.t.Errorf("%s: %d, want %d", statement, got, want)
		}
	}
	for _, statement := range []string{"count by group", `stats count of "Bought" by group`} {
		sum := int64(0)
		for _, row := range x.p.query(statement) {
			n, err := strconv.ParseInt(stringOf(row[len(row)-1]), 10, 64)
			if err != nil {
				x.t.Fatal(err)
			}
			sum += n
		}
		if sum != people {
			x.t.Errorf("%s adds up to %d, want %d", statement, sum, people)
		}
	}
}

// lookUpStrings looks up every text of the two attributes, many at a time, and some of them with `=`.
func (x *scale) lookUpStrings() {
	for name, texts := range map[string][]string{"email": x.emails, "note": x.notes} {
		batches := batchesOf(texts)
		x.each(len(batches), func(i int) error {
			from, to := batches[i][0], batches[i][1]
			values := make([]string, 0, to-from)
			for _, text := range texts[from:to] {
				values = append(values, quoted(text))
			}
			statement := fmt.Sprintf("count where %s in (%s) by %s limit %d", name, strings.Join(values, ", "), name, 2*len(values))
			got, err := x.client.Query(x.t.Context(), api.QueryRequest{Query: statement})
			if err != nil {
				return fmt.Errorf("%.300s: %w", statement, err)
			}
			once := map[string]bool{}
			for _, row := range got.Rows {
				if fmt.Sprint(row[len(row)-1]) == "1" {
					once[fmt.Sprint(row[0])] = true
				}
			}
			for _, text := range texts[from:to] {
				if !once[text] {
					return fmt.Errorf("%s %q is not found exactly once among %d: %d rows", name, text, to-from, len(got.Rows))
				}
			}
			statement = fmt.Sprintf("count where %s = %s and n = %d", name, quoted(texts[from]), from)
			if got, err = x.client.Query(x.t.Context(), api.QueryRequest{Query: statement}); err != nil || fmt.Sprint(got.Rows[0][0]) != "1" {
				return fmt.Errorf("%s: not 1: %v, %w", statement, got, err)
			}
			return nil
		})
	}
}

// batchesOf splits texts into ranges that fit into a statement.
func batchesOf(texts []string) (batches [][2]int) {
	from, bytes := 0, 0
	for i := range texts {
		if bytes += len(texts[i]) + 8; bytes > 40_000 || i-from == 900 {
			batches = append(batches, [2]int{from, i})
			from, bytes = i, len(texts[i])+8
		}
	}
	return append(batches, [2]int{from, len(texts)})
}

// quoted returns a string as an MQL literal.
func quoted(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`) + `"`
}

// lookUpPeople looks up every person by id, many at a time, and some profiles by their URL.
func (x *scale) lookUpPeople() {
	batches := batchesOf(x.ids)
	x.each(len(batches), func(i int) error {
		from, to := batches[i][0], batches[i][1]
		values, numbers := make([]string, 0, to-from), 0
		for n := from; n < to; n++ {
			values, numbers = append(values, quoted(x.ids[n])), numbers+n
		}
		got, err := x.client.Query(x.t.Context(), api.QueryRequest{Query: fmt.Sprintf("stats count, sum(n) where user_id in (%s)", strings.Join(values, ", "))})
		if err != nil {
			return err
		}
		if count, sum := fmt.Sprint(got.Rows[0][0]), fmt.Sprint(got.Rows[0][1]); count != fmt.Sprint(to-from) || sum != fmt.Sprint(numbers) {
			return fmt.Errorf("people %d to %d: %s are found, whose numbers add up to %s, want %d", from, to-1, count, sum, numbers)
		}
		return nil
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	stride := 1 + len(x.ids)/addressed
	x.each(len(x.ids)/stride, func(i int) error { return x.lookUpPerson(client, i*stride) })
}

// addressed is about how many profiles are requested by their URL.
const addressed = 40_000

func (x *scale) lookUpPerson(client *http.Client, i int) error {
	answer, err := client.Get(x.p.url() + "/v1/profiles/" + url.PathEscape(x.ids[i]))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var got api.Profile
	if err := json.Unmarshal(body, &got); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("profile %q, person %d: %s, %v: %s", x.ids[i], i, answer.Status, err, body)
	}
	if got.UserID != x.ids[i] || got.Attributes["n"] != float64(i) || got.Attributes["email"] != x.emails[i] || got.Attributes["note"] != x.notes[i] ||
		len(got.Events) != 1 || got.Events[0].Count != 1 {
		return fmt.Errorf("profile %q, person %d, is %s", x.ids[i], i, body)
	}
	return nil
}

// resident returns the memory of the node.
func (x *scale) resident() string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.p.cmd.Process.Pid))
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

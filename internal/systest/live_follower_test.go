package systest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/api/streamcheck"
)

// follower follows one segment for the whole test: over one transport after another, each for a short time,
// always continuing from the last cursor it has handled.
type follower struct {
	client  *api.Client
	segment string
	rng     *rand.Rand
	from    string // snapshot or a cursor
	paging  bool

	mu struct {
		sync.Mutex
		checker streamcheck.Checker
		links   map[string]int // number of connections that carried a message, by transport
		wrong   []string
	}
}

func newFollower(client *api.Client, segment string, seed, number uint64) *follower {
	f := &follower{client: client, segment: segment, from: "snapshot", rng: rand.New(rand.NewPCG(seed, 100+number))}
	f.mu.links = map[string]int{}
	return f
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	transports := []struct {
		name    string
		connect func(context.Context) error
	}{{"websocket", f.socket}, {"events", f.events}, {"poll", f.poll}, {"client", f.watch}}
	for ctx.Err() == nil {
		t := transports[f.rng.IntN(len(transports))]
		if t.name == "poll" && (f.paging || f.from == "snapshot") {
			continue // polling has no snapshots
		}
		moment, cancel := context.WithTimeout(ctx, time.Duration(1+f.rng.Int64N(1500))*time.Millisecond)
		err := t.connect(moment)
		cancel()
		f.mu.Lock()
		f.mu.links[t.name]++
		if f.paging {
			f.mu.checker.Reconnected()
		}
		if p := (*api.Problem)(nil); errors.As(err, &p) && p.Code == codes.Resync {
			f.mu.checker.Take(&api.StreamMessage{Op: "resync"})
			f.from, f.paging = "snapshot", false
		}
		if why := unexpected(err); why != "" && ctx.Err() == nil {
			f.mu.wrong = append(f.mu.wrong, t.name+": "+why)
		}
		f.mu.Unlock()
		pauseFor(ctx, time.Duration(f.rng.Int64N(120))*time.Millisecond)
	}
}

// errLeft ends a connection that has been held long enough.
var errLeft = errors.New("left")

// unexpected describes an unexpected end of a connection, "" for an expected one: the node is down, stopping or
// starting, or the segment does not exist at the moment.
func unexpected(err error) string {
	var p *api.Problem
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &p):
		if slices.Contains([]string{codes.NoSegment, codes.NotReady, codes.Unavailable}, p.Code) {
			return ""
		}
		return err.Error()
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure && closed.Code != 1012:
		return err.Error()
	case errors.As(err, new(*json.SyntaxError)):
		return err.Error()
	}
	return ""
}

// take passes a message to the checker and keeps its cursor.
func (f *follower) take(m *api.StreamMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.checker.Take(m)
	switch m.Op {
	case "resync":
		f.from, f.paging = "snapshot", false
		f.mu.wrong = append(f.mu.wrong, "resync: "+m.Reason)
		return
	case "members":
		f.paging = m.More
	}
	if m.Cursor != "" {
		f.from = m.Cursor
	}
}

// socket follows over a WebSocket with little credit.
func (f *follower) socket(ctx context.Context) error {
	dialer := websocket.Dialer{Subprotocols: []string{"muster.v1"}}
	conn, answer, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(f.client.BaseURL, "http")+"/v1/stream", nil)
	if err != nil {
		if answer != nil {
			return problemOf(answer)
		}
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	left := 1 + f.rng.Int64N(30)
	if err := conn.WriteJSON(api.StreamCommand{Op: "subscribe", ID: "f", Segment: f.segment, From: f.from, Credit: left}); err != nil {
		return err
	}
	for range 1 + f.rng.IntN(200) {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		var m api.StreamMessage
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
		switch m.Op {
		case "hello":
			continue
		case "error":
			return &api.Problem{Code: m.Code, Title: m.Message}
		case "enter", "exit":
			left--
		}
		f.take(&m)
		if m.Op == "resync" {
			return nil
		}
		if left -= int64(len(m.Profiles)); left < 0 {
			return &api.Problem{Code: "credit", Title: fmt.Sprintf("%d more profiles than the credit", -left)}
		}
		if left == 0 {
			left = 1 + f.rng.Int64N(30)
			if err := conn.WriteJSON(api.StreamCommand{Op: "credit", ID: "f", N: left}); err != nil {
				return err
			}
		}
	}
	return errLeft
}

// watch follows with the Go client, which reconnects by itself while the node is down.
func (f *follower) watch(ctx context.Context) error {
	left := 1 + f.rng.IntN(200)
	return f.client.Watch(ctx, api.WatchOptions{Segment: f.segment, From: f.from, Window: 1 + f.rng.Int64N(50)}, func(m *api.StreamMessage) error {
		if f.paging { // the client may have reconnected in between
			f.mu.Lock()
			f.mu.checker.Reconnected()
			f.mu.Unlock()
		}
		f.take(m)
		if left--; left == 0 {
			return errLeft
		}
		return nil
	})
}

func (f *follower) get(ctx context.Context, query url.Values, header http.Header) (*http.Response, error) {
	path := f.client.BaseURL + "/v1/segments/" + url.PathEscape(f.segment) + "/changes?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err == nil && answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, problemOf(answer)
	}
	return answer, err
}

// problemOf returns the error in an answer whose status is not 200.
func problemOf(answer *http.Response) error {
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	p := &api.Problem{}
	if err := json.Unmarshal(text, p); err != nil {
		return fmt.Errorf("%s: %.200s: %w", answer.Status, text, err)
	}
	return p
}

// events follows over server-sent events, as an EventSource does.
func (f *follower) events(ctx context.Context) error {
	query, header := url.Values{}, http.Header{"Accept": {"text/event-stream"}}
	switch {
	case f.from == "snapshot":
		query.Set("from", "snapshot")
	case f.rng.IntN(2) == 0:
		header.Set("Last-Event-ID", f.from)
	default:
		query.Set("after", f.from)
	}
	answer, err := f.get(ctx, query, header)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	id, data := "", ""
	for left := 1 + f.rng.IntN(200); left > 0 && lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if data == "" && id != "" && f.from != "snapshot" && !f.paging {
				f.from = id // a checkpoint, or the start of the stream
			}
			if data != "" {
				var m api.StreamMessage
				if err := json.Unmarshal([]byte(data), &m); err != nil {
					return err
				}
				if m.Op == "error" {
					return &api.Problem{Code: m.Code, Title: m.Message}
				}
				if m.Op != "resync" && m.Cursor != id {
					return &api.Problem{Code: "id", Title: "the id is not the cursor of " + data}
				}
				f.take(&m)
				left--
			}
			data = ""
		}
	}
	return lines.Err()
}

// poll requests changes, and sometimes handles only some of those it gets.
func (f *follower) poll(ctx context.Context) error {
	for range 1 + f.rng.IntN(10) {
		answer, err := f.get(ctx, url.Values{"after": {f.from}, "wait": {fmt.Sprint(f.rng.IntN(400), "ms")}, "limit": {fmt.Sprint(1 + f.rng.IntN(100))}}, http.Header{})
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			return err
		}
		var page struct {
			Changes []api.StreamMessage
			Cursor  string
		}
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(&page); err != nil {
			return err
		}
		n := len(page.Changes)
		if n > 0 && f.rng.IntN(3) == 0 {
			n = f.rng.IntN(n)
		}
		for i := range n {
			f.take(&page.Changes[i])
		}
		if n == len(page.Changes) {
			f.from = page.Cursor
		}
	}
	return errLeft
}

// agrees reports whether the members according to the stream are those of a list.
func (f *follower) agrees(list []string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.checker.Agrees(list)
}

// end returns everything that was wrong, given the members at the end.
func (f *follower) end(list []string) (wrong []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wrong = slices.Clone(f.mu.wrong)
	for _, fault := range f.mu.checker.End(list) {
		wrong = append(wrong, fault.String())
	}
	return wrong
}

// pauseFor waits for d or until ctx ends.
func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The shape of a batch: this many users, each with this many messages.
const (
	batchUsers    = 4
	batchMessages = 10
)

// sender delivers batches as the SDKs do and records the result of each. Every batch has its own users,
// whose messages are numbered, so that both lost and duplicate messages are noticed.
type sender struct {
	url     string
	retries bool // send again what was not acknowledged, with the same messageIds
	client  *http.Client
	next    atomic.Int64
	acks    atomic.Int64
	mu      struct {
		sync.Mutex
		acked   map[int64]bool // by batch; false: sent, result unknown
		refused map[string]int // answers other than acknowledgements, by status and code
		slowest time.Duration  // of the acknowledged batches
	}
}

func newSender(p *process, retries bool) *sender {
	s := &sender{url: p.url(), retries: retries, client: &http.Client{Timeout: 90 * time.Second}}
	s.mu.acked, s.mu.refused = map[int64]bool{}, map[string]int{}
	return s
}

// start runs several senders until stop is called, which waits for them.
func (s *sender) start(ctx context.Context, workers int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for ctx.Err() == nil {
				s.deliver(ctx, s.next.Add(1))
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// deliver sends one batch until it is acknowledged, or only once without retries. A batch that has been
// started is finished even after ctx ends, as an SDK flushes when it is closed.
func (s *sender) deliver(ctx context.Context, batch int64) {
	body := batchBody(batch)
	s.mu.Lock()
	s.mu.acked[batch] = false
	s.mu.Unlock()
	for give := time.Now().Add(3 * time.Minute); time.Now().Before(give); {
		begun := time.Now()
		why, wait := s.post(body)
		s.mu.Lock()
		if why == "" {
			s.mu.acked[batch] = true
			s.mu.slowest = max(s.mu.slowest, time.Since(begun))
		} else {
			s.mu.refused[why]++
		}
		s.mu.Unlock()
		if why == "" {
			s.acks.Add(1)
			return
		}
		if !s.retries && !strings.HasPrefix(why, "429") {
			return
		}
		pause(wait)
	}
}

// post sends a batch and returns why it was not acknowledged, "" if it was.
func (s *sender) post(body []byte) (why string, wait time.Duration) {
	answer, err := s.client.Post(s.url+"/v1/batch", "application/json", bytes.NewReader(body))
	if err != nil {
		return "connection", 50 * time.Millisecond
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "connection", 50 * time.Millisecond
	}
	var result struct {
		Success  bool
		Code     string
		Rejected int
	}
	if err := json.Unmarshal(text, &result); err != nil || result.Rejected > 0 {
		return fmt.Sprintf("%d %s", answer.StatusCode, text), time.Second
	}
	if answer.StatusCode == http.StatusOK && result.Success {
		return "", 0
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, result.Code), 200 * time.Millisecond
}

// pause waits for d.
func pause(d time.Duration) { <-time.After(d) }

func batchBody(batch int64) []byte {
	var b bytes.Buffer
	b.WriteString(`{"batch":[`)
	for i := range batchUsers * batchMessages {
		if i > 0 {
			b.WriteByte(',')
		}
		n := batch*batchUsers*batchMessages + int64(i)
		fmt.Fprintf(&b, `{"type":"track","messageId":"m-%d","userId":"b%d-%d","event":"Sent","properties":{"n":%d,"filling":"%0200d"}}`, n, batch, i%batchUsers, n, n)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// seen counts the refusals whose text begins with prefix.
func (s *sender) seen(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for why, times := range s.mu.refused {
		if strings.HasPrefix(why, prefix) {
			n += times
		}
	}
	return n
}

// verify compares the node with the records of the senders: what was acknowledged must be there once, and
// everything else at most once.
func (s *sender) verify(t *testing.T, p *process) {
	t.Helper()
	type held struct{ count, distinct string }
	users := map[string]held{}
	for shard := range 10 { // an answer has at most 100,000 rows
		rows := p.query(fmt.Sprintf(`list count of "Sent" ever as c, distinct(n) of "Sent" ever as d where did "Sent" and in sample "verify" %d%% to %d%% limit 1000000`, shard*10, shard*10+10))
		for _, row := range rows {
			users[fmt.Sprint(row[0])] = held{fmt.Sprint(row[1]), fmt.Sprint(row[2])}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lost, doubled, unknown := 0, 0, 0
	for batch, acked := range s.mu.acked {
		if !acked {
			unknown++
		}
		for i := range batchUsers {
			h, ok := users[fmt.Sprintf("b%d-%d", batch, i)]
			switch {
			case acked && (h.count != fmt.Sprint(batchMessages) || h.distinct != h.count):
				lost++
				if lost < 5 {
					t.Errorf("batch %d was acknowledged, and user %d has %s messages, %s different: want %d", batch, i, h.count, h.distinct, batchMessages)
				}
			case ok && h.count != h.distinct:
				doubled++
			}
		}
	}
	t.Logf("%d batches, %d acknowledged (slowest %s), %d unknown; not acknowledged: %v", len(s.mu.acked), s.acks.Load(), s.mu.slowest.Round(time.Millisecond), unknown, s.mu.refused)
	if lost > 0 || doubled > 0 {
		t.Errorf("%d users of acknowledged batches are wrong, %d have duplicate messages", lost, doubled)
	}
	if s.retries && unknown > 0 {
		t.Errorf("%d batches were never acknowledged", unknown)
	}
}

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/musterdb/muster/server/render"
)

// Message is one POST with all its tries.
type Message struct {
	Hook    string          `json:"hook"`
	ID      string          `json:"id"`
	Profile string          `json:"profile,omitempty"` // what it is about: messages about one keep their order
	Body    json.RawMessage `json:"body"`
	At      time.Time       `json:"at"` // when it was made
	Attempt int             `json:"attempt"`
	Due     time.Time       `json:"due,omitzero"`
	Error   string          `json:"error,omitempty"` // of the last try
	Dead    bool            `json:"dead,omitempty"`
	Start   string          `json:"start,omitempty"` // cursor before it, if it was read there

	before string // the same; "" for one that is in the table
	flying bool
}

func (m *Message) key() string { return "message/" + m.Hook + "/" + m.ID }

// Try is one try to deliver a message.
type Try struct {
	ID      string
	At      time.Time
	Took    time.Duration
	Attempt int // from 1
	Status  int // 0: no answer
	Error   string
}

// schedule is when a message is tried, each counted from the try before: that of Standard Webhooks.
var schedule = [...]time.Duration{
	0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const (
	tryTimeout    = 20 * time.Second
	maxRetryAfter = 24 * time.Hour
	throttleLeast = 5 * time.Second
)

// jitter adds up to a fifth, so that what failed together does not come back together.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/5+1) }

// makeMessages turns a batch of changes into messages: one each, but for cohorts one for all.
func makeMessages(hook *Hook, changes []render.Change, start string, now time.Time) []*Message {
	if len(changes) == 0 {
		return nil
	}
	if hook.Format == render.CohortBatch {
		list := make([]*render.Change, len(changes))
		for i := range changes {
			list[i] = &changes[i]
		}
		return []*Message{{Hook: hook.Name, ID: "msg-" + changes[0].ID + "-" + strconv.Itoa(len(changes)),
			Body: render.AppendCohort(nil, hook.Segment, list), At: now, Start: start, before: start}}
	}
	messages := make([]*Message, len(changes))
	for i := range changes {
		c := &changes[i]
		m := &Message{Hook: hook.Name, ID: "msg-" + c.ID, Profile: c.Profile, At: now, Start: start, before: start}
		if hook.Format == render.Native {
			event := "segment.exited"
			if c.Enter {
				event = "segment.entered"
			}
			b := fmt.Appendf(nil, `{"type":%q,"timestamp":%q,"data":{"id":%q,`, event, render.Time(c.At), c.ID)
			m.Body = append(render.AppendRecord(b, c), '}', '}')
		} else {
			m.Body = render.AppendPayload(nil, hook.Format, c)
		}
		messages[i] = m
		start = c.Cursor
	}
	return messages
}

// lostMessage tells the target that changes were lost.
func lostMessage(hook *Hook, reason string, now time.Time) *Message {
	body, _ := json.Marshal(map[string]any{"type": "segment.resync", "timestamp": render.Time(now.UnixMilli()),
		"data": map[string]string{"segment": hook.Segment, "reason": reason}}) // strings
	return &Message{Hook: hook.Name, ID: "msg-resync-" + strconv.FormatInt(now.UnixNano(), 36), Body: body, At: now}
}

// result is what became of a try.
type result struct {
	message *Message
	try     Try
	after   time.Duration // Retry-After
}

// try sends a message once.
func (h *Hooks) try(ctx context.Context, hook *Hook, m *Message) (r result) {
	started := time.Now()
	r = result{message: m, try: Try{ID: m.ID, At: started, Attempt: m.Attempt + 1}}
	fail := func(err error) result {
		r.try.Error, r.try.Took = err.Error(), time.Since(started)
		return r
	}
	secrets := []string{hook.Secret}
	if hook.OldSecret != "" && started.Before(hook.OldUntil) {
		secrets = append(secrets, hook.OldSecret)
	}
	signature, err := Sign(secrets, m.ID, started, m.Body)
	if err != nil {
		return fail(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(m.Body))
	if err != nil {
		return fail(err)
	}
	media := "application/json"
	if hook.Format == render.CloudEvent {
		media = "application/cloudevents+json"
	}
	request.Header.Set("Content-Type", media)
	request.Header.Set("User-Agent", "Muster-Webhooks/1.0")
	request.Header.Set("Webhook-Id", m.ID)
	request.Header.Set("Webhook-Timestamp", strconv.FormatInt(started.Unix(), 10))
	request.Header.Set("Webhook-Signature", signature)
	answer, err := h.client.Do(request)
	if err != nil {
		return fail(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // lets the connection be used again
	r.try.Status, r.try.Took = answer.StatusCode, time.Since(started)
	if answer.StatusCode/100 != 2 {
		r.try.Error = "answered with " + answer.Status
	}
	r.after = retryAfter(answer.Header.Get("Retry-After"), started)
	return r
}

// retryAfter reads the header's two forms.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(time.Duration(max(seconds, 0))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/musterdb/muster/server/render"
)

// Try is one try to deliver a message.
type Try struct {
	ID      string
	At      time.Time
	Took    time.Duration
	Attempt int // from 1
	Status  int // 0: no answer
	Error   string
}

const (
	tryTimeout    = 20 * time.Second // from resolving the target's name to the end of its answer
	drainTimeout  = time.Second      // the part of it for the body, which is not used
	maxDrain      = 64 << 10         // bytes of the body that are read
	maxRetryAfter = 24 * time.Hour
)

// result is the outcome of a try.
type result struct {
	message *Message
	try     Try
	after   time.Duration // Retry-After
}

// try sends a message once. Whatever the target does, it ends within tryTimeout, and as soon as ctx ends.
func (h *Hooks) try(ctx context.Context, hook *Hook, m *Message) (r result) {
	started := time.Now()
	r = result{message: m, try: Try{ID: m.ID, At: started, Attempt: m.Attempt + 1}}
	limited, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	answer, err := h.post(limited, hook, m, started)
	if err == nil {
		r.try.Status, r.after = answer.StatusCode, retryAfter(answer.Header.Get("Retry-After"), started)
		if answer.StatusCode/100 != 2 {
			r.try.Error = "answered with " + answer.Status
		}
		drain(limited, answer)
	} else if r.try.Error = err.Error(); limited.Err() != nil && ctx.Err() == nil {
		r.try.Error = fmt.Sprintf("no answer within %v", tryTimeout)
	}
	r.try.Took = time.Since(started)
	return r
}

// post sends a message and returns the response, whose body the caller must close.
func (h *Hooks) post(ctx context.Context, hook *Hook, m *Message, now time.Time) (*http.Response, error) {
	secrets := []string{hook.Secret}
	if hook.OldSecret != "" && now.Before(hook.OldUntil) {
		secrets = append(secrets, hook.OldSecret)
	}
	signature, err := Sign(secrets, m.ID, now, m.Body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(m.Body))
	if err != nil {
		return nil, err
	}
	media := "application/json"
	if hook.Format == render.CloudEvent {
		media = "application/cloudevents+json"
	}
	request.Header.Set("Content-Type", media)
	request.Header.Set("User-Agent", "Muster-Webhooks/1.0")
	request.Header.Set("Webhook-Id", m.ID)
	request.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	request.Header.Set("Webhook-Signature", signature)
	answer, err := h.client.Do(request)
	if err != nil && answer != nil {
		return nil, errors.Join(err, answer.Body.Close())
	}
	return answer, err
}

// drain reads a short body, so that the connection can be reused, and closes it. A long or slow body is
// cut off. The body of a 1xx response is closed unread: it is the connection itself and would never end.
func drain(ctx context.Context, answer *http.Response) {
	if answer.StatusCode >= 200 {
		ctx, cancel := context.WithTimeout(ctx, drainTimeout)
		defer cancel()
		stop := context.AfterFunc(ctx, func() { _ = answer.Body.Close() })
		defer stop()
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxDrain))
	}
	_ = answer.Body.Close()
}

// retryAfter parses both forms of the Retry-After header.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(time.Duration(max(seconds, 0))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/musterdb/muster/api"
)

// Result is what a node said of the lines of one batch.
type Result = api.IngestResult

// Sender sends batches, one request at a time. Whatever is not certain is sent again: a node knows
// lines by source and number, so that nothing counts twice.
type Sender struct {
	config  *Config
	source  string
	reached bool // the node has answered once
}

// firstPatience is how long a node that has never answered is waited for: it is probably the address.
const firstPatience = 15 * time.Second

// errMoreProblems says that a node rejected more lines than it listed.
var errMoreProblems = errors.New("the node rejected lines without saying which")

// Send delivers a batch whole.
func (s *Sender) Send(ctx context.Context, b *Batch) (Result, error) {
	var total Result
	err := s.piece(ctx, b, 0, len(b.sent), &total)
	return total, err
}

// piece delivers the lines [from, to) of b. When the node lists only some of the rejected ones, it is
// asked again in halves: a line it has taken is a duplicate then, and a rejected one is named at last.
func (s *Sender) piece(ctx context.Context, b *Batch, from, to int, total *Result) error {
	got, err := s.insist(ctx, b, from, to)
	if tooLarge(err) && to-from > 1 {
		mid := (from + to) / 2
		if err := s.piece(ctx, b, from, mid, total); err != nil {
			return err
		}
		return s.piece(ctx, b, mid, to, total)
	}
	if err != nil {
		return err
	}
	if got.Rejected > uint64(len(got.Problems)) {
		if to-from == 1 {
			return errMoreProblems
		}
		mid := (from + to) / 2
		var named Result
		if err := s.piece(ctx, b, from, mid, &named); err != nil {
			return err
		}
		if err := s.piece(ctx, b, mid, to, &named); err != nil {
			return err
		}
		got.Problems, got.Rejected = named.Problems, named.Rejected
	}
	total.Accepted += got.Accepted
	total.Duplicate += got.Duplicate
	total.Rejected += got.Rejected
	total.Problems = append(total.Problems, got.Problems...)
	return nil
}

// insist sends the lines [from, to) until the node has answered for all of them, or until nothing has
// moved for as long as the patience lasts.
func (s *Sender) insist(ctx context.Context, b *Batch, from, to int) (Result, error) {
	var done Result
	last := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		got, err := s.post(ctx, b.piece(from, to))
		if err == nil {
			got.Accepted += done.Accepted
			got.Duplicate += done.Duplicate
			got.Rejected += done.Rejected
			got.Problems = append(done.Problems, got.Problems...)
			return got, nil
		}
		pause := wait
		var problem *api.Problem
		if errors.As(err, &problem) {
			if !problem.Temporary() && problem.Status < 500 && problem.Status != http.StatusRequestTimeout {
				return Result{}, err
			}
			if p := problem.Progress; p != nil && p.Lines > 0 && p.Lines <= uint64(to-from) {
				from += int(p.Lines)
				done.Accepted += p.Accepted
				done.Duplicate += p.Duplicate
				done.Rejected += p.Rejected
				done.Problems = append(done.Problems, p.Problems...)
				if from == to {
					return done, nil
				}
				last, wait = time.Now(), 100*time.Millisecond
			}
			if problem.RetryAfter > 0 {
				pause = problem.RetryAfter
			}
		}
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if !s.reached && time.Since(last) > min(firstPatience, s.config.Patience) {
			return Result{}, fmt.Errorf("no node answers at %s (is `muster serve` running there?): %w", s.config.Server, err)
		}
		if time.Since(last) > s.config.Patience {
			return Result{}, fmt.Errorf("nothing moved for %s, gave up (run the same import again, it goes on where it stopped): %w", s.config.Patience, err)
		}
		s.config.OnWait(err.Error(), pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
}

func tooLarge(err error) bool {
	var problem *api.Problem
	return errors.As(err, &problem) && problem.Status == http.StatusRequestEntityTooLarge
}

// post sends one body. The error is an *api.Problem if the node answered with one.
func (s *Sender) post(ctx context.Context, body []byte) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Patience)
	defer cancel()
	target := s.config.Server + "/v1/events?source=" + url.QueryEscape(s.source)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return Result{}, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if s.config.Key != "" {
		request.Header.Set("Authorization", "Bearer "+s.config.Key)
	}
	answer, err := s.config.Client.Do(request)
	if err != nil {
		return Result{}, err
	}
	defer answer.Body.Close()
	s.reached = true
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return Result{}, err
	}
	if answer.StatusCode != http.StatusOK {
		return Result{}, readProblem(answer, text)
	}
	var result Result
	if err := json.Unmarshal(text, &result); err != nil {
		return Result{}, fmt.Errorf("read the node's answer: %w", err)
	}
	return result, nil
}

// readProblem reads the problem of an answer that is not 200, whatever it looks like.
func readProblem(answer *http.Response, text []byte) error {
	problem := &api.Problem{}
	if json.Unmarshal(text, problem) != nil || problem.Code == "" {
		problem = &api.Problem{Title: answer.Status, Detail: string(text[:min(len(text), 200)])}
	}
	problem.Status = answer.StatusCode
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		problem.RetryAfter = time.Duration(min(seconds, 300)) * time.Second
	}
	return problem
}

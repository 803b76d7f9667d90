package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Importer sends the lines of one file, one request at a time. Lines that are not certain to be stored are
// sent again: a server recognises lines by source and number, so nothing counts twice. It must be used by one
// goroutine.
//
// The client's Patience limits the time without progress, and the time of one request.
type Importer struct {
	Client  *Client
	Source  string                               // names the file
	Waiting func(why string, wait time.Duration) // called before a request is sent again; may be nil

	reached bool // the server has answered at least once
}

// Lines are messages with their _line, one JSON object per line.
type Lines interface {
	Len() int
	// Piece returns the lines [from, to).
	Piece(from, to int) []byte
}

// firstPatience is how long to wait for a server that has never answered: the address is probably wrong.
const firstPatience = 15 * time.Second

// maxPause is the longest pause before a retry that a server may request.
const maxPause = 5 * time.Minute

// errMoreProblems means that a server rejected a line without listing it.
var errMoreProblems = errors.New("the server rejected lines without listing them")

// Send returns when the server has accepted or rejected each of the lines. The result lists all rejected ones.
func (s *Importer) Send(ctx context.Context, lines Lines) (IngestResult, error) {
	var total IngestResult
	err := s.sendRange(ctx, lines, 0, lines.Len(), &total)
	return total, err
}

// sendRange sends the lines [from, to) of b. When the server lists only some of the rejected lines, they are
// sent again in halves: accepted lines are duplicates then, and each rejected line gets listed in the end.
func (s *Importer) sendRange(ctx context.Context, b Lines, from, to int, total *IngestResult) error {
	got, err := s.retry(ctx, b, from, to)
	if tooLarge(err) && to-from > 1 {
		mid := (from + to) / 2
		if err := s.sendRange(ctx, b, from, mid, total); err != nil {
			return err
		}
		return s.sendRange(ctx, b, mid, to, total)
	}
	if err != nil {
		return err
	}
	if got.Rejected > uint64(len(got.Problems)) {
		if to-from == 1 {
			return errMoreProblems
		}
		mid := (from + to) / 2
		var named IngestResult
		if err := s.sendRange(ctx, b, from, mid, &named); err != nil {
			return err
		}
		if err := s.sendRange(ctx, b, mid, to, &named); err != nil {
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

// retry sends the lines [from, to) until the server has answered for all of them, or until there was no
// progress for the client's Patience.
func (s *Importer) retry(ctx context.Context, b Lines, from, to int) (IngestResult, error) {
	var done IngestResult
	patience := s.Client.patience()
	last := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		got, err := s.post(ctx, b.Piece(from, to))
		if err == nil {
			got.Accepted += done.Accepted
			got.Duplicate += done.Duplicate
			got.Rejected += done.Rejected
			got.Problems = append(done.Problems, got.Problems...)
			return got, nil
		}
		pause := wait
		var problem *Problem
		if errors.As(err, &problem) {
			if !problem.Temporary() && problem.Status < 500 && problem.Status != http.StatusRequestTimeout {
				return IngestResult{}, err
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
				pause = min(problem.RetryAfter, maxPause)
			}
		}
		if ctx.Err() != nil {
			return IngestResult{}, ctx.Err()
		}
		if !s.reached && time.Since(last) > min(firstPatience, patience) {
			return IngestResult{}, fmt.Errorf("no server answers at %s (is `muster serve` running there?): %w", s.Client.BaseURL, err)
		}
		if time.Since(last) > patience {
			return IngestResult{}, fmt.Errorf("no progress for %s (run the same import again to continue where it stopped): %w", patience, err)
		}
		if s.Waiting != nil {
			s.Waiting(err.Error(), pause)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return IngestResult{}, ctx.Err()
		}
	}
}

func tooLarge(err error) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Status == http.StatusRequestEntityTooLarge
}

// post sends one body. The error is a *Problem if the server answered with one.
func (s *Importer) post(ctx context.Context, body []byte) (IngestResult, error) {
	if patience := s.Client.patience(); patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	request, err := s.Client.request(ctx, http.MethodPost, "/v1/events?source="+url.QueryEscape(s.Source), bytes.NewReader(body))
	if err != nil {
		return IngestResult{}, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	answer, err := s.Client.client().Do(request)
	if err != nil {
		return IngestResult{}, err
	}
	s.reached = true
	text, err := checked(answer)
	if err != nil {
		return IngestResult{}, err
	}
	defer text.Close()
	result, err := decode[IngestResult](text)
	if err != nil {
		return IngestResult{}, err
	}
	return *result, nil
}

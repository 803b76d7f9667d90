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

// Importer sends the lines of one file, one request at a time. Whatever is not certain is sent again: a server
// knows lines by source and number, so that nothing counts twice. It is for one goroutine.
//
// The client's Patience is how long it goes on without progress, and how long one request may take.
type Importer struct {
	Client  *Client
	Source  string                               // names the file
	Waiting func(why string, wait time.Duration) // told before a request is sent again; may be nil

	reached bool // the server has answered once
}

// Lines are messages with their _line, one JSON object a line.
type Lines interface {
	Len() int
	// Piece returns the lines [from, to).
	Piece(from, to int) []byte
}

// firstPatience is how long a server that has never answered is waited for: it is probably the address.
const firstPatience = 15 * time.Second

// maxPause is the longest wait that a server may ask for.
const maxPause = 5 * time.Minute

// errMoreProblems says that a server rejected more lines than it listed.
var errMoreProblems = errors.New("the node rejected lines without saying which")

// Send returns when the server has taken or rejected every one of the lines. The result lists all that it rejected.
func (s *Importer) Send(ctx context.Context, lines Lines) (IngestResult, error) {
	var total IngestResult
	err := s.piece(ctx, lines, 0, lines.Len(), &total)
	return total, err
}

// piece delivers the lines [from, to) of b. When the server lists only some of the rejected ones, it is
// asked again in halves: a line it has taken is a duplicate then, and a rejected one is named at last.
func (s *Importer) piece(ctx context.Context, b Lines, from, to int, total *IngestResult) error {
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
		var named IngestResult
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
func (s *Importer) insist(ctx context.Context, b Lines, from, to int) (IngestResult, error) {
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
			return IngestResult{}, fmt.Errorf("no node answers at %s (is `muster serve` running there?): %w", s.Client.BaseURL, err)
		}
		if time.Since(last) > patience {
			return IngestResult{}, fmt.Errorf("nothing moved for %s, gave up (run the same import again, it goes on where it stopped): %w", patience, err)
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

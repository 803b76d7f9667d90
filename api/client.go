package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/api/codes"
)

// Client sends requests to a Muster server. The zero values of the optional fields are usable.
//
// Every method returns a *Problem if the server answered with one. If the server is busy, a request that may
// be repeated is sent again after the time the server gives, for as long as Patience.
type Client struct {
	BaseURL  string // such as http://127.0.0.1:8484
	Key      string // optional
	HTTP     *http.Client
	Patience time.Duration // how long to retry while the server is busy; 30 s by default; negative: not at all
}

const defaultPatience = 30 * time.Second

func (c *Client) patience() time.Duration {
	if c.Patience == 0 {
		return defaultPatience
	}
	return c.Patience
}

// Query runs a statement. Cells of the answer are null, booleans, json.Numbers, strings and lists.
func (c *Client) Query(ctx context.Context, q QueryRequest) (*Answer, error) {
	return post[Answer](ctx, c, "/v1/query", q)
}

// SafeCSV requests CSV for spreadsheets: an apostrophe is put before texts that would be formulas.
const SafeCSV = "text/csv; safe"

// QueryAs runs a statement and returns the body of the answer: accept is text/csv, SafeCSV,
// application/x-ndjson or application/vnd.apache.parquet. The caller closes it.
func (c *Client) QueryAs(ctx context.Context, q QueryRequest, accept string) (io.ReadCloser, error) {
	path, accept := safely("/v1/query", accept)
	return c.stream(ctx, http.MethodPost, path, accept, q)
}

// safely replaces SafeCSV in accept by the query parameter that requests it.
func safely(path, accept string) (string, string) {
	if accept == SafeCSV {
		return path + "?safe=1", "text/csv"
	}
	return path, accept
}

// Parse returns the tree, the canonical text and the diagnostics of a statement.
func (c *Client) Parse(ctx context.Context, text string) (*Parsed, error) {
	return post[Parsed](ctx, c, "/v1/parse", ParseRequest{Query: text})
}

// Format returns the canonical text of a tree.
func (c *Client) Format(ctx context.Context, tree json.RawMessage) (*Formatted, error) {
	return post[Formatted](ctx, c, "/v1/format", FormatRequest{Tree: tree})
}

// Complete returns what can follow at a byte offset of a text.
func (c *Client) Complete(ctx context.Context, text string, offset int) (*Completion, error) {
	return post[Completion](ctx, c, "/v1/complete", CompleteRequest{Query: text, Offset: offset})
}

// Profile returns a profile, found by any of its ids.
func (c *Client) Profile(ctx context.Context, id string) (*Profile, error) {
	return get[Profile](ctx, c, "/v1/profiles/"+part(id))
}

// Timeline returns a page of the messages received for a profile, newest first; before is "" or the
// Next of the previous page.
func (c *Client) Timeline(ctx context.Context, id, before string, limit int) (*Timeline, error) {
	return get[Timeline](ctx, c, "/v1/profiles/"+part(id)+"/events?limit="+strconv.Itoa(limit)+"&before="+url.QueryEscape(before))
}

// Segments returns the saved segments.
func (c *Client) Segments(ctx context.Context) (*Segments, error) {
	return get[Segments](ctx, c, "/v1/segments")
}

// Segment returns one saved segment.
func (c *Client) Segment(ctx context.Context, name string) (*Segment, error) {
	return get[Segment](ctx, c, "/v1/segments/"+part(name))
}

// PutSegment saves a segment; replace allows it to exist already.
func (c *Client) PutSegment(ctx context.Context, name string, segment SegmentRequest, replace bool) (*Segment, error) {
	return call[Segment](ctx, c, http.MethodPut, "/v1/segments/"+part(name)+"?replace="+strconv.FormatBool(replace), segment)
}

// DropSegment drops a segment.
func (c *Client) DropSegment(ctx context.Context, name string) error {
	return c.remove(ctx, "/v1/segments/"+part(name))
}

// DropList removes a static list. The error is in_use while a segment uses it.
func (c *Client) DropList(ctx context.Context, name string) error {
	return c.remove(ctx, "/v1/lists/"+part(name))
}

func (c *Client) remove(ctx context.Context, path string) error {
	body, err := c.stream(ctx, http.MethodDelete, path, "", nil)
	if err != nil {
		return err
	}
	return body.Close()
}

// Members returns a page of the members of a segment; after is "" or the Next of the previous page.
func (c *Client) Members(ctx context.Context, segment, after string, limit int) (*Members, error) {
	return get[Members](ctx, c, "/v1/segments/"+part(segment)+"/members?limit="+strconv.Itoa(limit)+"&after="+url.QueryEscape(after))
}

// MembersAs returns all members as a table with the column user_id. The caller closes it.
func (c *Client) MembersAs(ctx context.Context, segment, accept string) (io.ReadCloser, error) {
	path, accept := safely("/v1/segments/"+part(segment)+"/members", accept)
	return c.stream(ctx, http.MethodGet, path, accept, nil)
}

// Member reports whether a profile is in a segment.
func (c *Client) Member(ctx context.Context, segment, id string) (bool, error) {
	m, err := get[Membership](ctx, c, "/v1/segments/"+part(segment)+"/members/"+part(id))
	return err == nil && m.Member, err
}

// Lists returns the names of the static lists.
func (c *Client) Lists(ctx context.Context) (*Lists, error) { return get[Lists](ctx, c, "/v1/lists") }

// EditList adds ids to a static list and removes others.
func (c *Client) EditList(ctx context.Context, list string, add, remove []string) (*ListEdited, error) {
	return call[ListEdited](ctx, c, http.MethodPut, "/v1/lists/"+part(list), ListRequest{Add: add, Remove: remove})
}

// Catalog returns all names: attributes, events and segments.
func (c *Client) Catalog(ctx context.Context) (*Catalog, error) {
	return get[Catalog](ctx, c, "/v1/catalog")
}

// Rejects returns a page of rejects, newest first; before is 0 or the Next of the previous page.
func (c *Client) Rejects(ctx context.Context, before uint64, limit int) (*Rejects, error) {
	path := "/v1/rejects?limit=" + strconv.Itoa(limit)
	if before > 0 {
		path += "&before=" + strconv.FormatUint(before, 10)
	}
	return get[Rejects](ctx, c, path)
}

// Health returns the server's state, also while it is not ready.
func (c *Client) Health(ctx context.Context) (*Health, error) {
	return get[Health](ctx, c, "/healthz")
}

// Batch sends messages in Segment's format, each with its type, and returns when they are durable.
// Messages without a messageId would count twice if the batch had to be sent again.
func (c *Client) Batch(ctx context.Context, messages []json.RawMessage) (*Success, error) {
	return post[Success](ctx, c, "/v1/batch", map[string]any{"batch": messages})
}

// Events streams messages, one JSON object per line, and returns when all are durable. source names an
// imported file whose lines have a _line; it is "" otherwise. A stream that breaks off is not sent again:
// the *Problem says how many lines are certain to be stored.
func (c *Client) Events(ctx context.Context, lines io.Reader, source string) (*IngestResult, error) {
	packed, pipe := io.Pipe()
	go func() {
		z, _ := gzip.NewWriterLevel(pipe, gzip.BestSpeed) // a level that exists
		_, err := io.Copy(z, lines)
		if err == nil {
			err = z.Close()
		}
		pipe.CloseWithError(err)
	}()
	defer packed.Close()
	path := "/v1/events"
	if source != "" {
		path += "?source=" + url.QueryEscape(source)
	}
	request, err := c.request(ctx, http.MethodPost, path, packed)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Content-Encoding", "gzip")
	answer, err := c.client().Do(request)
	if err != nil {
		return nil, fmt.Errorf("send events to %s: %w", c.BaseURL, err)
	}
	body, err := checked(answer)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return decode[IngestResult](body)
}

// part escapes an id or a name as one part of a path. "." and ".." are escaped too, since clients resolve them.
func part(text string) string {
	if text == "." || text == ".." {
		return strings.ReplaceAll(text, ".", "%2E")
	}
	return url.PathEscape(text)
}

func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	return call[T](ctx, c, http.MethodGet, path, nil)
}

func post[T any](ctx context.Context, c *Client, path string, in any) (*T, error) {
	return call[T](ctx, c, http.MethodPost, path, in)
}

func call[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	body, err := c.stream(ctx, method, path, "application/json", in)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return decode[T](body)
}

func decode[T any](body io.Reader) (*T, error) {
	out := new(T)
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	if err := decoder.Decode(out); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return out, nil
}

// stream sends a request, again while the server is busy, and returns the body of the answer.
func (c *Client) stream(ctx context.Context, method, path, accept string, in any) (io.ReadCloser, error) {
	var payload []byte
	if in != nil {
		var err error
		if payload, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
	}
	for until := time.Now().Add(c.patience()); ; {
		request, err := c.request(ctx, method, path, bytes.NewReader(payload))
		if err != nil {
			return nil, err
		}
		if accept != "" {
			request.Header.Set("Accept", accept)
		}
		if in != nil {
			request.Header.Set("Content-Type", "application/json")
		}
		answer, err := c.client().Do(request)
		if err != nil {
			return nil, fmt.Errorf("request to %s: %w", c.BaseURL, err)
		}
		body, err := checked(answer)
		problem, busy := err.(*Problem)
		if err == nil || !busy || !problem.Temporary() || time.Now().Add(problem.RetryAfter).After(until) {
			return body, err
		}
		wait := time.NewTimer(max(problem.RetryAfter, 100*time.Millisecond))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		}
	}
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.BaseURL, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", c.BaseURL, err)
	}
	if c.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.Key)
	}
	return request, nil
}

func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return http.DefaultClient
}

// maxProblem limits how many bytes of an error are read.
const maxProblem = 4 << 20

// checked returns the body of a successful answer, or else a *Problem.
func checked(answer *http.Response) (io.ReadCloser, error) {
	if answer.StatusCode/100 == 2 {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	problem := &Problem{}
	if json.Unmarshal(text, problem) != nil || problem.Code == "" {
		problem = &Problem{Title: answer.Status, Code: codes.Internal, Detail: string(text[:min(len(text), 200)])}
	}
	problem.Status = answer.StatusCode
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		problem.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	return nil, problem
}

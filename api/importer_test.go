package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/api/codes"
)

// numbered are lines that contain their own numbers.
type numbered []string

func (n numbered) Len() int                  { return len(n) }
func (n numbered) Piece(from, to int) []byte { return []byte(strings.Join(n[from:to], "\n")) }

// answers starts a server that gives its answers one after another and keeps the bodies it received.
func answers(t *testing.T, all ...func(w http.ResponseWriter)) (c *Client, bodies *[]string) {
	t.Helper()
	bodies = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Query().Get("source") != "a b" || r.Header.Get("Authorization") != "Bearer k" || len(*bodies) == len(all) {
			t.Errorf("%v: %s of %s", err, r.URL, body)
			return
		}
		*bodies = append(*bodies, strings.ReplaceAll(string(body), "\n", " "))
		all[len(*bodies)-1](w)
	}))
	t.Cleanup(server.Close)
	return &Client{BaseURL: server.URL, Key: "k", Patience: time.Minute}, bodies
}

func says(status int, value any) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	}
}

// TestImporterContinues checks that only uncertain lines are sent again after an answer that says how many are
// certain, that a body that is too large is sent in halves, and that the results are added up.
func TestImporterContinues(t *testing.T) {
	c, bodies := answers(t,
		says(503, Problem{Code: codes.Overloaded, Progress: &Progress{Lines: 2, IngestResult: IngestResult{Accepted: 1, Rejected: 1, Problems: []MessageProblem{{Line: 2, Code: "bad_json"}}}}}),
		says(502, "no JSON problem"),
		says(200, IngestResult{Accepted: 1, Duplicate: 2}),
	)
	var why []string
	to := &Importer{Client: c, Source: "a b", Waiting: func(text string, _ time.Duration) { why = append(why, text) }}
	got, err := to.Send(t.Context(), numbered{"1", "2", "3", "4", "5"})
	if err != nil || got.Accepted != 2 || got.Duplicate != 2 || got.Rejected != 1 || len(got.Problems) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if want := []string{"1 2 3 4 5", "3 4 5", "3 4 5"}; !slices.Equal(*bodies, want) || len(why) != 2 {
		t.Errorf("sent %q, waited for %q", *bodies, why)
	}
	c, bodies = answers(t, says(413, Problem{Code: codes.TooLarge}), says(200, IngestResult{Accepted: 1}), says(200, IngestResult{Accepted: 2}))
	got, err = (&Importer{Client: c, Source: "a b"}).Send(t.Context(), numbered{"1", "2", "3"})
	if err != nil || got.Accepted != 3 || !slices.Equal(*bodies, []string{"1 2 3", "1", "2 3"}) {
		t.Errorf("%+v, %v, sent %q", got, err, *bodies)
	}
}

// TestImporterFindsRejectedLines checks that lines are sent again in halves if the server does not list all
// rejected ones.
func TestImporterFindsRejectedLines(t *testing.T) {
	c, bodies := answers(t,
		says(200, IngestResult{Accepted: 2, Rejected: 2, Problems: []MessageProblem{{Line: 1}}}),
		says(200, IngestResult{Duplicate: 1, Rejected: 1, Problems: []MessageProblem{{Line: 1}}}),
		says(200, IngestResult{Duplicate: 1, Rejected: 1, Problems: []MessageProblem{{Line: 4}}}),
	)
	got, err := (&Importer{Client: c, Source: "a b"}).Send(t.Context(), numbered{"1", "2", "3", "4"})
	if err != nil || got.Accepted != 2 || got.Rejected != 2 || fmt.Sprint(got.Problems) != fmt.Sprint([]MessageProblem{{Line: 1}, {Line: 4}}) || len(*bodies) != 3 {
		t.Errorf("%+v, %v, sent %q", got, err, *bodies)
	}
	c, _ = answers(t, says(400, Problem{Code: codes.BadName, Detail: "no"}))
	if _, err := (&Importer{Client: c, Source: "a b"}).Send(t.Context(), numbered{"1"}); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("a refusal: %v", err)
	}
}

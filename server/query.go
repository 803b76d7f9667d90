package server

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

// Asker answers statements of any kind.
type Asker interface {
	Query(ctx context.Context, ask node.Ask) (*query.Answer, error)
}

func (s *Server) postQuery(w *answer, r *http.Request) error {
	var request api.QueryRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	return s.answerQuery(w, r, node.Ask{Text: request.Query, Consistency: request.Consistency, MaxRows: request.MaxRows})
}

// getQuery only answers statements that read: following a link must not change anything.
func (s *Server) getQuery(w *answer, r *http.Request) error {
	rows, err := intParam(r, "max_rows", 0, 0, 1<<30)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	ask := node.Ask{Text: q.Get("q"), Consistency: q.Get("consistency"), MaxRows: rows}
	parsed, err := syntax.Parse(ask.Text, syntax.Limits{})
	if err != nil {
		return err
	}
	switch parsed.Stmt.(type) {
	case *tree.CreateStmt, *tree.DropStmt:
		return problem(codes.BadRequest, "a GET changes nothing: use POST /v1/query")
	}
	return s.answerQuery(w, r, ask)
}

// answerQuery runs a statement and writes the answer in the format that the client accepts.
func (s *Server) answerQuery(w *answer, r *http.Request, ask node.Ask) error {
	switch ask.Consistency {
	case "", node.Leader, node.Linearizable, node.Stale:
	default:
		return problem(codes.BadRequest, fmt.Sprintf("consistency %.40q is unknown: use leader, linearizable or stale", ask.Consistency))
	}
	if ask.MaxRows < 0 {
		return problem(codes.BadRequest, "max_rows is negative")
	}
	format, err := tableFormat(r)
	if err != nil {
		return err
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	got, err := s.node().Query.Query(ctx, ask)
	if err != nil {
		if ctx.Err() != nil && r.Context().Err() == nil {
			return problem(codes.Timeout, fmt.Sprintf("the statement took longer than %s", s.cfg.QueryTimeout))
		}
		return err
	}
	if format == render.JSON {
		body := render.AppendAnswer(nil, got)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, err := w.Write(body)
		return unsent(err)
	}
	tableHeader(w, format)
	w.Header().Set("Muster-Now", render.Time(got.Stats.Now))
	w.Header().Set("Muster-Warnings", strconv.Itoa(len(got.Warnings)))
	return unsent(render.Table(w, format, got.Columns, render.AllRows(got)))
}

// unsent wraps an error of writing an answer; nil stays nil.
func unsent(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write answer: %w", err)
}

// mediaTypes are the formats and their media types. JSON is first because it is the default.
var mediaTypes = []struct {
	media  string
	format render.Format
}{
	{"application/json", render.JSON},
	{"text/csv", render.CSV},
	{"application/x-ndjson", render.NDJSON},
	{"application/ndjson", render.NDJSON},
	{"application/vnd.apache.parquet", render.Parquet},
}

func tableHeader(w http.ResponseWriter, format render.Format) {
	if format == render.SafeCSV {
		format = render.CSV
	}
	for _, m := range mediaTypes {
		if m.format == format {
			if m.format == render.CSV {
				m.media += "; charset=utf-8; header=present"
			}
			w.Header().Set("Content-Type", m.media)
			return
		}
	}
}

// tableFormat returns the format that the client accepts; with ?safe=true, CSV is made safe for
// spreadsheets.
func tableFormat(r *http.Request) (render.Format, error) {
	safe, err := boolParam(r, "safe", false)
	if err != nil {
		return 0, err
	}
	format, err := acceptable(r)
	if safe && format == render.CSV {
		format = render.SafeCSV
	}
	return format, err
}

// acceptable returns the format that the client prefers; JSON if it has no Accept header.
func acceptable(r *http.Request) (render.Format, error) {
	best, format := -1.0, render.JSON
	accepts := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(accepts) == "" {
		return render.JSON, nil
	}
	for _, accept := range strings.Split(accepts, ",") {
		media, params, err := mime.ParseMediaType(accept)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			weight = q
		}
		if media == "*/*" || media == "application/*" {
			weight -= 1e-6 // prefer a named type of the same weight
		}
		for _, m := range mediaTypes {
			if weight > best && weight > 0 && (m.media == media || media == "*/*" || media == "application/*" || media == "text/*" && m.format == render.CSV) {
				best, format = weight, m.format
			}
		}
	}
	if best < 0 {
		return 0, problem(codes.NotAcceptable, "answers are application/json, text/csv, application/x-ndjson or application/vnd.apache.parquet")
	}
	return format, nil
}

// apiStats returns the API form of the statistics of an answer.
func apiStats(st *query.Stats) api.Stats {
	out := api.Stats{ElapsedMillis: st.ElapsedMillis, Profiles: st.Profiles, EventsScanned: st.EventsScanned, Now: render.Time(st.Now), Shards: []api.ShardStat{}}
	for _, shard := range st.Shards {
		out.Shards = append(out.Shards, shardStat(shard))
	}
	return out
}

func shardStat(st query.ShardStat) api.ShardStat {
	return api.ShardStat{Shard: st.Shard, Seq: st.Seq, Time: render.Time(st.Time), SettledTo: render.Time(st.SettledTo)}
}

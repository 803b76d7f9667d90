package render

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Time writes Unix milliseconds as RFC 3339 in UTC, with a fraction only when there is one.
func Time(ms int64) string { return string(appendTime(nil, ms)) }

func appendTime(b []byte, ms int64) []byte {
	layout := "2006-01-02T15:04:05.000Z"
	if ms%1000 == 0 {
		layout = "2006-01-02T15:04:05Z"
	}
	return time.UnixMilli(ms).UTC().AppendFormat(b, layout)
}

// AppendValue appends v as JSON: a missing value is null, numbers stand exactly as they are and
// without a point when whole, times are strings, lists arrays.
func AppendValue(b []byte, v tree.Value) []byte {
	switch v.Type {
	case tree.BoolType:
		return strconv.AppendBool(b, v.True())
	case tree.NumberType:
		return v.Number().Append(b)
	case tree.StringType:
		return appendString(b, v.Str)
	case tree.TimeType:
		return append(appendTime(append(b, '"'), v.Int), '"')
	case tree.ListType:
		b = append(b, '[')
		for i, item := range v.List {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendValue(b, item)
		}
		return append(b, ']')
	}
	return append(b, "null"...)
}

// appendString quotes s; what is not UTF-8 in it becomes the replacement character.
func appendString(b []byte, s string) []byte {
	quoted, _ := jsontext.AppendQuote(b, s)
	return quoted
}

// AppendAnswer appends the whole answer as one JSON object.
func AppendAnswer(b []byte, a *query.Answer) []byte {
	b = append(b, `{"columns":[`...)
	for i, c := range a.Columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"name":`...), c.Name)
		b = append(appendString(append(b, `,"type":`...), c.Type), '}')
	}
	b = append(b, `],"rows":[`...)
	for i, row := range a.Rows {
		if i > 0 {
			b = append(b, ",\n"...)
		}
		b = append(b, '[')
		for j, v := range row {
			if j > 0 {
				b = append(b, ',')
			}
			b = AppendValue(b, v)
		}
		b = append(b, ']')
	}
	b = AppendStats(append(b, `],"stats":`...), &a.Stats)
	b = append(b, `,"warnings":[`...)
	for i := range a.Warnings {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDiagnostic(b, &a.Warnings[i])
	}
	return append(b, "]}\n"...)
}

// AppendStats appends what an answer stands on.
func AppendStats(b []byte, s *query.Stats) []byte {
	b = append(b, `{"elapsed_ms":`...)
	elapsed := s.ElapsedMillis
	if math.IsNaN(elapsed) || math.IsInf(elapsed, 0) {
		elapsed = 0
	}
	b = strconv.AppendFloat(b, math.Round(elapsed*1000)/1000, 'f', -1, 64)
	b = strconv.AppendInt(append(b, `,"profiles":`...), s.Profiles, 10)
	b = strconv.AppendInt(append(b, `,"events_scanned":`...), s.EventsScanned, 10)
	b = appendTime(append(b, `,"now":"`...), s.Now)
	b = append(b, `","shards":[`...)
	for i, shard := range s.Shards {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"shard":`...), int64(shard.Shard), 10)
		b = strconv.AppendUint(append(b, `,"seq":`...), shard.Seq, 10)
		b = appendTime(append(b, `,"time":"`...), shard.Time)
		b = appendTime(append(b, `","settled_to":"`...), shard.SettledTo)
		b = append(b, `"}`...)
	}
	return append(b, "]}"...)
}

func appendDiagnostic(b []byte, d *tree.Diagnostic) []byte {
	b = appendString(append(b, `{"code":`...), d.Code)
	b = appendString(append(b, `,"message":`...), d.Message)
	if d.Line > 0 {
		b = strconv.AppendInt(append(b, `,"line":`...), int64(d.Line), 10)
		b = strconv.AppendInt(append(b, `,"column":`...), int64(d.Column), 10)
		b = strconv.AppendInt(append(b, `,"length":`...), int64(d.Length), 10)
	}
	if d.Hint != "" {
		b = appendString(append(b, `,"hint":`...), d.Hint)
	}
	if len(d.Suggestions) > 0 {
		b = append(b, `,"suggestions":[`...)
		for i, s := range d.Suggestions {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

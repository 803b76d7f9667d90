package render

import (
	"math"
	"strconv"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// Time returns Unix milliseconds as RFC 3339 in UTC, with a fraction only if there is one.
func Time(ms int64) string { return string(tree.AppendTime(nil, ms)) }

// AppendAnswer appends the whole answer as one JSON object.
func AppendAnswer(b []byte, a *query.Answer) []byte {
	b = append(b, `{"columns":[`...)
	for i, c := range a.Columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = tree.AppendQuoted(append(b, `{"name":`...), c.Name)
		b = append(tree.AppendQuoted(append(b, `,"type":`...), c.Type), '}')
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
			b = tree.AppendJSON(b, v)
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

// AppendStats appends the statistics of an answer.
func AppendStats(b []byte, s *query.Stats) []byte {
	b = append(b, `{"elapsed_ms":`...)
	elapsed := s.ElapsedMillis
	if math.IsNaN(elapsed) || math.IsInf(elapsed, 0) {
		elapsed = 0
	}
	b = strconv.AppendFloat(b, math.Round(elapsed*1000)/1000, 'f', -1, 64)
	b = strconv.AppendInt(append(b, `,"profiles":`...), s.Profiles, 10)
	b = strconv.AppendInt(append(b, `,"events_scanned":`...), s.EventsScanned, 10)
	b = tree.AppendTime(append(b, `,"now":"`...), s.Now)
	b = append(b, `","shards":[`...)
	for i, shard := range s.Shards {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"shard":`...), int64(shard.Shard), 10)
		b = strconv.AppendUint(append(b, `,"seq":`...), shard.Seq, 10)
		b = tree.AppendTime(append(b, `,"time":"`...), shard.Time)
		b = tree.AppendTime(append(b, `","settled_to":"`...), shard.SettledTo)
		b = append(b, `"}`...)
	}
	return append(b, "]}"...)
}

func appendDiagnostic(b []byte, d *tree.Diagnostic) []byte {
	b = tree.AppendQuoted(append(b, `{"code":`...), d.Code)
	b = tree.AppendQuoted(append(b, `,"message":`...), d.Message)
	if d.Line > 0 {
		b = strconv.AppendInt(append(b, `,"line":`...), int64(d.Line), 10)
		b = strconv.AppendInt(append(b, `,"column":`...), int64(d.Column), 10)
		b = strconv.AppendInt(append(b, `,"length":`...), int64(d.Length), 10)
	}
	if d.Hint != "" {
		b = tree.AppendQuoted(append(b, `,"hint":`...), d.Hint)
	}
	if len(d.Suggestions) > 0 {
		b = append(b, `,"suggestions":[`...)
		for i, s := range d.Suggestions {
			if i > 0 {
				b = append(b, ',')
			}
			b = tree.AppendQuoted(b, s)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

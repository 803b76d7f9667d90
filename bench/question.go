package bench

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Question is one query. In its SQL @7d means the instant seven days ago. The tables are u(id, country, plan,
// age, ltv, signed_up_at, opt_in, platform, email) and e(id, event, ts, amount, category). A query that is
// faster in another form in ClickHouse has that form too.
type Question struct {
	Name       string
	MQL        string
	SQL        string
	ClickHouse string // if it differs from SQL
	Goal       float64
	Touches    []Touch
}

// Touch is data that must be read to answer a question.
type Touch struct {
	Attribute string // its values for all profiles, or
	Values    int    // number of values of a low-cardinality attribute, each one bit per profile
	Event     string // the profiles (2 bytes per event) of the events
	From, To  int    // in the window from From to To days ago; From 0 means ever
	Ever      bool   // only whether a profile ever did it, one bit per profile
	Times     bool   // their times, too
	Columns   []string
}

// Questions returns the questions of every report, in the order of docs/PERFORMANCE.md.
func Questions() []Question {
	return slices.Concat(attributeQuestions(), countQuestions(), mixedQuestions(), sequenceQuestions())
}

// Dialect is the SQL of a peer.
type Dialect uint8

// The dialects.
const (
	DuckDB Dialect = iota
	ClickHouse
)

var instant = regexp.MustCompile(`@(\d+)d\b`)

// In returns the question in a dialect, as of now, on one line.
func (q Question) In(d Dialect, now time.Time) string {
	sql := q.SQL
	if d == ClickHouse && q.ClickHouse != "" {
		sql = q.ClickHouse
	}
	sql = instant.ReplaceAllStringFunc(sql, func(match string) string {
		days, _ := strconv.Atoi(instant.FindStringSubmatch(match)[1]) // digits only
		at := now.UTC().AddDate(0, 0, -days).Format("2006-01-02 15:04:05.000")
		if d == ClickHouse {
			return "toDateTime64('" + at + "', 3, 'UTC')"
		}
		return "TIMESTAMP '" + at + "'"
	})
	return strings.Join(strings.Fields(sql), " ")
}

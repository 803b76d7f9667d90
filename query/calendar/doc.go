// Package calendar computes what the windows of MQL mean: it turns a window, a now and a time zone into a
// half-open range of Unix milliseconds, and computes days, weeks, months, quarters and years in any zone.
//
// Its nouns: day (a civil date as the number of days since 1970-01-01), range ([from, to) in milliseconds),
// bucket (the range of one calendar unit), anniversary.
//
// It must not know about profiles or events. All evaluators use it, so they cannot differ in what a window
// is. Start reading at window.go.
package calendar

// Package calendar gives the windows of MQL their meaning in milliseconds: it turns a window, a now
// and a zone into a half-open stretch of Unix milliseconds, and knows days, weeks, months, quarters
// and years in any zone.
//
// Its nouns: day (a civil date as the number of days since 1970-01-01), stretch ([from, to) in
// milliseconds), bucket (the stretch of one calendar unit), anniversary.
//
// It must not know about profiles or events. The evaluators share it, so that they can only differ
// in how they search, never in what a window is. Start reading at window.go.
package calendar

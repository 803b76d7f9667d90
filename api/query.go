package api

import "encoding/json"

// QueryRequest is the body of POST /v1/query.
type QueryRequest struct {
	Query       string `json:"query" doc:"One MQL statement"`
	Consistency string `json:"consistency,omitempty" enum:"leader,linearizable,stale" doc:"How fresh the data must be; leader by default"`
	MaxRows     int    `json:"max_rows,omitempty" minimum:"0" doc:"The maximum number of rows in the answer; 0 for the default"`
}

// Answer is the result of a statement. A cell is null, a boolean, a number, a string (also for a time, as
// RFC 3339) or a list of these. Numbers are decoded as json.Number, which is exact.
type Answer struct {
	Columns  []Column     `json:"columns"`
	Rows     [][]any      `json:"rows"`
	Stats    Stats        `json:"stats"`
	Warnings []Diagnostic `json:"warnings"`
}

// Column is one column of an answer.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type" enum:"string,number,boolean,time,list,date"`
}

// Stats describes the data that an answer was computed from. Times are RFC 3339.
type Stats struct {
	ElapsedMillis float64     `json:"elapsed_ms"`
	Profiles      int64       `json:"profiles" doc:"Profiles read"`
	EventsScanned int64       `json:"events_scanned" doc:"Events read one by one"`
	Now           string      `json:"now" doc:"The instant the answer is for"`
	Shards        []ShardStat `json:"shards"`
}

// ShardStat is the position of one shard's view.
type ShardStat struct {
	Shard     int    `json:"shard"`
	Seq       uint64 `json:"seq"`
	Time      string `json:"time"`
	SettledTo string `json:"settled_to"`
}

// Diagnostic is a warning or a mistake in a statement; positions count characters from 1.
type Diagnostic struct {
	Code        string   `json:"code"`
	Message     string   `json:"message"`
	Line        int      `json:"line,omitempty"`
	Column      int      `json:"column,omitempty"`
	Length      int      `json:"length,omitempty"`
	Hint        string   `json:"hint,omitempty"`
	Suggestions []string `json:"suggestions,omitempty"`
}

// ParseRequest is the body of POST /v1/parse.
type ParseRequest struct {
	Query string `json:"query"`
}

// Parsed is the answer of POST /v1/parse. A text with mistakes has diagnostics and no tree.
type Parsed struct {
	OK          bool            `json:"ok"`
	Tree        json.RawMessage `json:"tree,omitempty" doc:"The syntax tree, as POST /v1/format takes it"`
	Text        string          `json:"text,omitempty" doc:"The canonical text"`
	Diagnostics []Diagnostic    `json:"diagnostics"`
	Tokens      []Token         `json:"tokens" doc:"For highlighting"`
}

// Token is a part of a statement's text; offsets and lengths count bytes.
type Token struct {
	Kind   string `json:"kind"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
}

// FormatRequest is the body of POST /v1/format: a tree of POST /v1/parse.
type FormatRequest struct {
	Tree json.RawMessage `json:"tree"`
}

// Formatted is the answer of POST /v1/format.
type Formatted struct {
	Text string `json:"text"`
}

// CompleteRequest is the body of POST /v1/complete; Offset counts bytes.
type CompleteRequest struct {
	Query  string `json:"query"`
	Offset int    `json:"offset" minimum:"0"`
}

// Completion is the answer of POST /v1/complete, the best candidate first.
type Completion struct {
	Candidates []Candidate `json:"candidates"`
}

// Candidate replaces the bytes [Start, End) of the text with Text.
type Candidate struct {
	Text  string `json:"text"`
	Kind  string `json:"kind"`
	Doc   string `json:"doc,omitempty"`
	Start int    `json:"start"`
	End   int    `json:"end"`
}

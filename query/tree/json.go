package tree

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends v as JSON: a missing value is null, numbers are exact and without a point if whole,
// times are strings, lists are arrays.
func AppendJSON(b []byte, v Value) []byte {
	switch v.Type {
	case BoolType:
		return strconv.AppendBool(b, v.True())
	case NumberType:
		return v.Number().Append(b)
	case StringType:
		return AppendQuoted(b, v.Str)
	case TimeType:
		return append(AppendTime(append(b, '"'), v.Int), '"')
	case ListType:
		b = append(b, '[')
		for i, item := range v.List {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSON(b, item)
		}
		return append(b, ']')
	}
	return append(b, "null"...)
}

// AppendTime appends Unix milliseconds as RFC 3339 in UTC, with a fraction only if it is not 0.
func AppendTime(b []byte, ms int64) []byte {
	layout := "2006-01-02T15:04:05.000Z"
	if ms%1000 == 0 {
		layout = "2006-01-02T15:04:05Z"
	}
	return time.UnixMilli(ms).UTC().AppendFormat(b, layout)
}

// AppendQuoted appends s as a JSON string. Bytes that are not valid UTF-8 become the replacement character.
func AppendQuoted(b []byte, s string) []byte {
	quoted, _ := jsontext.AppendQuote(b, s)
	return quoted
}

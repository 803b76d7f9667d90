package codes

// The codes of failed requests, in ascending order of status.
const (
	BadRequest          = "bad_request"
	BadJSON             = "bad_json"
	BadUTF8             = "bad_utf8"
	TooManyRejects      = "too_many_rejects"
	Limit               = "limit"
	Unsupported         = "unsupported"
	ForbiddenOrigin     = "forbidden_origin"
	NotFound            = "not_found"
	NoProfile           = "no_profile"
	NoSegment           = "no_segment"
	NoList              = "no_list"
	NoWebhook           = "no_webhook"
	NoConsumer          = "no_consumer"
	MethodNotAllowed    = "method_not_allowed"
	NotAcceptable       = "not_acceptable"
	BodyTimeout         = "body_timeout"
	SegmentExists       = "segment_exists"
	InUse               = "in_use"
	Resync              = "resync"
	TooLarge            = "too_large"
	UnsupportedEncoding = "unsupported_encoding"
	Refused             = "refused"
	SegmentTooExpensive = "segment_too_expensive"
	TooManyNames        = "too_many_names"
	BadName             = "bad_name"
	WrongType           = "wrong_type"
	TooManyNewNames     = "too_many_new_names"
	Overloaded          = "overloaded"
	MemoryFull          = "memory_full"
	DiskFull            = "disk_full"
	Canceled            = "canceled"
	Internal            = "internal"
	OutcomeUnknown      = "outcome_unknown"
	NotReady            = "not_ready"
	Unavailable         = "unavailable"
	HistoryIncomplete   = "history_incomplete"
	Timeout             = "timeout"
)

// The codes of messages that are refused as malformed.
const (
	NoType         = "no_type"
	BadType        = "bad_type"
	NoID           = "no_id"
	BadID          = "bad_id"
	NoEvent        = "no_event"
	BadEvent       = "bad_event"
	BadTime        = "bad_time"
	BadLine        = "bad_line"
	BadVersion     = "bad_version"
	BadSpecVersion = "bad_specversion"
	TooDeep        = "too_deep"
	TooLong        = "too_long"
)

// The codes of parts that an accepted message loses.
const (
	ReservedName  = "reserved_name"
	NameTooLong   = "name_too_long"
	ValueTooLong  = "value_too_long"
	TooManyFields = "too_many_fields"
	BadNumber     = "bad_number"
	EmptyName     = "empty_name"
)

// Code is one row of the table.
type Code struct {
	Name   string
	Status int    // HTTP status of the answer
	Title  string // the kind of problem, in words
}

// All returns the table in ascending order of status.
func All() []Code { return table[:] }

// Lookup returns the row of a code.
func Lookup(name string) (Code, bool) {
	for _, c := range table {
		if c.Name == name {
			return c, true
		}
	}
	return Code{}, false
}

// badMessage is the title of all codes of refused messages.
const badMessage = "The request is malformed"

// leftOut is the title of all codes of accepted messages that lose a part.
const leftOut = "A part of the message is only in the history"

// table has one line per code.
var table = [...]Code{
	{ReservedName, 200, leftOut},
	{NameTooLong, 200, leftOut},
	{ValueTooLong, 200, leftOut},
	{TooManyFields, 200, leftOut},
	{BadNumber, 200, leftOut},
	{EmptyName, 200, leftOut},
	{BadRequest, 400, badMessage},
	{BadJSON, 400, "The body is not valid JSON"},
	{BadUTF8, 400, "The body is not valid Unicode"},
	{TooManyRejects, 400, "Too many messages of the stream were rejected"},
	{Limit, 400, "The statement exceeds a limit"},
	{Unsupported, 400, "The statement is not supported"},
	{NoType, 400, badMessage},
	{BadType, 400, badMessage},
	{NoID, 400, badMessage},
	{BadID, 400, badMessage},
	{NoEvent, 400, badMessage},
	{BadEvent, 400, badMessage},
	{BadTime, 400, badMessage},
	{BadLine, 400, badMessage},
	{BadVersion, 400, badMessage},
	{BadSpecVersion, 400, badMessage},
	{TooDeep, 400, badMessage},
	{TooLong, 400, badMessage},
	{ForbiddenOrigin, 403, "The request comes from another site"},
	{NotFound, 404, "There is no such resource"},
	{NoProfile, 404, "There is no such profile"},
	{NoSegment, 404, "There is no such segment"},
	{NoList, 404, "There is no such list"},
	{NoWebhook, 404, "There is no such webhook"},
	{NoConsumer, 404, "There is no such consumer"},
	{MethodNotAllowed, 405, "The resource does not support this method"},
	{NotAcceptable, 406, "The answer is not available in this format"},
	{BodyTimeout, 408, "The body arrived too slowly"},
	{SegmentExists, 409, "The segment exists already"},
	{InUse, 409, "It is in use"},
	{Resync, 410, "The cursor cannot be continued"},
	{TooLarge, 413, "The body is too large"},
	{UnsupportedEncoding, 415, "The Content-Encoding is not supported"},
	{Refused, 422, "The request was refused"},
	{SegmentTooExpensive, 422, "The segment is too expensive"},
	{TooManyNames, 422, "There are too many names"},
	{BadName, 422, "The name is not allowed"},
	{WrongType, 422, "The name has another type"},
	{TooManyNewNames, 429, "The sender uses too many new names too fast"},
	{Overloaded, 429, "The server is busy"},
	{MemoryFull, 429, "The memory limit is reached"},
	{DiskFull, 429, "The disk is full"},
	{Canceled, 499, "The client closed the request"},
	{Internal, 500, "Internal server error"},
	{OutcomeUnknown, 503, "It is unknown whether the request took effect; send it again"},
	{NotReady, 503, "The server is not ready yet"},
	{Unavailable, 503, "A shard does not answer"},
	{HistoryIncomplete, 503, "The history is not complete yet"},
	{Timeout, 504, "The statement took too long"},
}

package codes

// The codes of requests that cannot be answered, in ascending order of status.
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

// The codes of messages that can never be taken as they are.
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

// The codes of what a message loses that is taken.
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
	Status int    // of the answer to a request that ends with it
	Title  string // what kind of problem it is, in words
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

// badMessage is what all refusals of one message are.
const badMessage = "The request cannot be understood"

// leftOut is what all losses of a message are: it is taken all the same.
const leftOut = "A part of the message is kept in the history only"

// table has one line for each code.
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
	{Limit, 400, "The statement is beyond a limit"},
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
	{NotFound, 404, "There is no such page"},
	{NoProfile, 404, "There is no such profile"},
	{NoSegment, 404, "There is no such segment"},
	{NoList, 404, "There is no such list"},
	{NoWebhook, 404, "There is no such webhook"},
	{NoConsumer, 404, "There is no such consumer"},
	{MethodNotAllowed, 405, "The page does not take this method"},
	{NotAcceptable, 406, "The answer has no such format"},
	{BodyTimeout, 408, "The body came too slowly"},
	{SegmentExists, 409, "The segment exists already"},
	{InUse, 409, "It is used by something else"},
	{Resync, 410, "The cursor cannot be continued"},
	{TooLarge, 413, "The body is too large"},
	{UnsupportedEncoding, 415, "The Content-Encoding is not known"},
	{Refused, 422, "The request is refused"},
	{SegmentTooExpensive, 422, "The segment is too expensive"},
	{TooManyNames, 422, "There are too many names"},
	{BadName, 422, "The name cannot be given"},
	{WrongType, 422, "The name has another type"},
	{TooManyNewNames, 429, "The sender brings too many new names at once"},
	{Overloaded, 429, "The server is busy"},
	{MemoryFull, 429, "The memory limit is reached"},
	{DiskFull, 429, "The disk is full"},
	{Canceled, 499, "The client went away"},
	{Internal, 500, "The server made a mistake"},
	{OutcomeUnknown, 503, "It is not known whether this took effect: send it again"},
	{NotReady, 503, "The server is not ready yet"},
	{Unavailable, 503, "A shard does not answer"},
	{HistoryIncomplete, 503, "The history is not complete yet"},
	{Timeout, 504, "The statement took too long"},
}

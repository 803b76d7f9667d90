package decode

import (
	"strconv"
	"strings"
	"time"
)

// The times a message may carry, Unix ms: the years 1 to 9999.
const (
	minTime = -62135596800000
	maxTime = 253402300799999
)

// instant is a time that a message gives, if it gives one.
type instant struct {
	ms   int64
	set  bool
	text string // as received, when it is no time
}

// instant reads a time: RFC 3339 or its usual relaxations, or a number of Unix milliseconds. One that
// cannot be read is remembered; whether that matters is known at the end of the message.
func (d *Decoder) instant() (instant, error) {
	v, err := d.json.value()
	if err != nil {
		return instant{}, d.syntax(err)
	}
	switch v.Kind() {
	case 'n':
		return instant{}, nil
	case '0':
		if f, err := strconv.ParseFloat(d.here(v), 64); err == nil && f >= minTime && f <= maxTime {
			return instant{ms: int64(f), set: true}, nil
		}
	case '"':
		if len(v) == 2 {
			return instant{}, nil
		}
		if ms, ok := ParseTime(d.cut(v)); ok {
			return instant{ms: ms, set: true}, nil
		}
	}
	text := d.here(v)
	return instant{set: true, text: text[:min(len(text), 64)]}, nil
}

// relaxed are the forms besides RFC 3339 that senders write; without a zone they are UTC.
var relaxed = [...]string{
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02",
}

// ParseTime reads a time as senders write it, cut to the millisecond.
func ParseTime(s string) (ms int64, ok bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	for i := 0; err != nil && i < len(relaxed); i++ {
		t, err = time.Parse(relaxed[i], s)
	}
	if err != nil && strings.HasSuffix(s, " UTC") {
		t, err = time.Parse("2006-01-02 15:04:05.999999999 UTC", s)
	}
	if err != nil {
		return 0, false
	}
	ms = t.UnixMilli()
	return ms, ms >= minTime && ms <= maxTime
}

// when says when a message happened. A sender's clock may be wrong by the same amount at both of its
// times, so what counts is how long before sending it happened; it never lies behind its arrival. A
// line of an imported file is as the file says.
func (d *Decoder) when() (int64, error) {
	p, received := &d.seen, d.env.ReceivedAt
	original := p.original
	if !original.set {
		original = p.timestamp
	}
	if !original.set {
		return received, nil
	}
	if original.text != "" {
		return 0, refuse("bad_time", "the timestamp %s is not a time", original.text)
	}
	if d.env.Source != "" {
		return original.ms, nil
	}
	t := original.ms
	if p.sent.set && p.sent.text == "" {
		t = received - (p.sent.ms - original.ms)
	} else if d.env.SentAt != 0 {
		t = received - (d.env.SentAt - original.ms)
	}
	return max(min(t, received), minTime), nil
}

package decode

import (
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/api/codes"
)

// The times that a message may have, in Unix ms: the years 1 to 9999.
const (
	minTime = -62135596800000
	maxTime = 253402300799999
)

// instant is an optional time in a message.
type instant struct {
	ms   int64
	set  bool
	text string // as received, if it is not a time
}

// instant reads a time: RFC 3339 or one of its usual relaxations, or a number of Unix milliseconds. The
// text of an invalid one is returned in the instant: only at the end of the message is it known whether
// it matters.
func (d *Decoder) instant() (instant, error) {
	v, err := d.json.value()
	if err != nil {
		return instant{}, d.syntax(err)
	}
	switch v.Kind() {
	case 'n':
		return instant{}, nil
	case '0':
		if ms, ok := wholeNumber(d.here(v)); ok {
			return instant{ms: ms, set: true}, nil
		}
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

// wholeNumber parses a string of digits that is short enough to be a time in Unix milliseconds.
func wholeNumber(s string) (n int64, ok bool) {
	if len(s) > 14 {
		return 0, false
	}
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// relaxed are the layouts other than RFC 3339 that senders write; without a zone they are UTC.
var relaxed = [...]string{
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02",
}

// ParseTime parses a time as senders write it, and truncates it to milliseconds.
func ParseTime(s string) (ms int64, ok bool) {
	if ms, ok := parseUsual(s); ok {
		return ms, true
	}
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

// usual is the form of nearly all times, as JavaScript's toISOString writes them.
const usual = "0000-00-00T00:00:00.000Z"

// parseUsual parses a time in the usual form. ok is false for any other form, for an invalid time, and
// for the last days of a month.
func parseUsual(s string) (ms int64, ok bool) {
	if len(s) != len(usual) {
		return 0, false
	}
	for i := range len(usual) {
		if usual[i] == '0' && s[i]-'0' > 9 || usual[i] != '0' && s[i] != usual[i] {
			return 0, false
		}
	}
	two := func(at int) int { return int(s[at]-'0')*10 + int(s[at+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if year == 0 || month < 1 || month > 12 || day == 0 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return 0, false // package time handles the last days of a month
	}
	// Days since 1970 in the proleptic Gregorian calendar. Years begin on March 1st, so that leap days
	// come last.
	y, m := year, month-3
	if m < 0 {
		y, m = y-1, m+12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*m+2)/5 + day - 1 - 719468
	seconds := int64(days)*86_400 + int64(hour*3600+minute*60+second)
	return seconds*1000 + int64(two(20)*10) + int64(s[22]-'0'), true
}

// when returns the time at which a message happened. A sender's clock may be wrong, but by the same
// amount for the event and for sending it. So the time is that of the arrival minus how long before
// sending it happened; it is never after the arrival. The time of a line of an imported file is taken as
// it is.
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
		return 0, refuse(codes.BadTime, "the timestamp %s is not a time", original.text)
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

package decode

import (
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/api/codes"
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

// wholeNumber reads digits alone, few enough to be a time of Unix milliseconds for certain.
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

// usual is the form of nearly all times: what JavaScript's toISOString makes.
const usual = "0000-00-00T00:00:00.000Z"

// parseUsual reads a time in the usual form from the year 1 on; ok is false for all others, and for what
// is no time.
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
		return 0, false // the last days of a month are left to package time
	}
	// Days since 1970 of the proleptic Gregorian calendar, counted from a March 1st as leap days come last.
	y, m := year, month-3
	if m < 0 {
		y, m = y-1, m+12
	}
	days := 365*y + y/4 - y/100 + y/400 + (153*m+2)/5 + day - 1 - 719468
	seconds := int64(days)*86_400 + int64(hour*3600+minute*60+second)
	return seconds*1000 + int64(two(20)*10) + int64(s[22]-'0'), true
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

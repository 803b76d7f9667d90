package load

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func TestPlainNumber(t *testing.T) {
	cases := map[string]string{ // text → as sent; "" means that it is not a number
		"0": "0", "-1": "-1", "12.50": "12.50", ".5": "0.5", "-.5": "-0.5", "5.": "5.0", "1e5": "1e5", "1.e5": "1.0e5",
		"9223372036854775807": "9223372036854775807", "9223372036854775808": "", "12345678901234567890.5": "12345678901234567890.5",
		"007": "", "+1": "", "": "", "-": "", ".": "", "1_000": "", "1,000": "", "0x10": "", "NaN": "", "1e": "", "1e9999": "", " 1": "", "00": "", "0.0": "0.0",
	}
	for text, want := range cases {
		got := ""
		if number, ok := plainNumber([]byte(text)); ok {
			got = string(appendNumber(nil, number))
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%q: %q is no JSON", text, got)
		}
	}
}

func TestAppendLenientNumber(t *testing.T) {
	cases := map[string]string{
		"1": "1", " 2 ": "2", "007": "7", "-00.50": "-0.50", "+5": "5", "+.5": "0.5", "0": "0", "00": "0", "-1e3": "-1e3",
		"12345678901234567890": "12345678901234567890", "-12345678901234567890": "-12345678901234567890",
		"": "", " ": "", "-": "", "+": "", "--1": "", "+-1": "", "-+1": "", "1 2": "", "0x1f": "", "abc": "", "1,000": "", "NaN": "", "00-1": "",
	}
	for text, want := range cases {
		number, ok := appendLenientNumber([]byte("x"), []byte(text))
		got := string(number[1:])
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", text, got, ok, want)
		}
		if got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%q: %q is no JSON", text, got)
		}
	}
}

func TestParseTime(t *testing.T) {
	cases := []struct{ text, want string }{
		{"2017-01-28T19:06:53Z", "2017-01-28T19:06:53Z"},
		{"2015-09-12T00:46:58.771Z", "2015-09-12T00:46:58.771Z"},
		{"2015-09-12T00:46:58.7719+02:00", "2015-09-11T22:46:58.771Z"},
		{"2015-09-12 00:46:58-0330", "2015-09-12T04:16:58Z"},
		{"2017-01-01", "2017-01-01T00:00:00Z"},
		{"2017-01-01 10:20:30", "2017-01-01T10:20:30Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z"},
		{"568365435", "1988-01-05T07:17:15Z"},
		{"0", "1970-01-01T00:00:00Z"},
		{"-86400", "1969-12-31T00:00:00Z"},
		{"1700000000123", "2023-11-14T22:13:20.123Z"},
		{"1700000000.123", "2023-11-14T22:13:20.123Z"},
		{"2023-02-29", ""}, {"2023-13-01", ""}, {"2023-1-1", ""}, {"2023-01-01T10:00", ""}, {"2023-01-01T24:00:00Z", ""},
		{"2023-01-01T10:00:00 Z", ""}, {"2023-01-01T10:00:00+25:00", ""}, {"yesterday", ""}, {"", ""}, {"1700000000123456", ""}, {"0000-01-01", ""},
	}
	for _, c := range cases {
		ms, ok := ParseTime([]byte(c.text))
		got := ""
		if ok {
			got = time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z")
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// FuzzTime checks ParseTime against package time.
func FuzzTime(f *testing.F) {
	f.Add(int64(1700000000123))
	f.Add(int64(-62135596800000))
	f.Add(int64(951782400000))
	f.Fuzz(func(t *testing.T, ms int64) {
		if ms < minTime || ms > maxTime {
			return
		}
		text := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
		if got, ok := ParseTime([]byte(text)); !ok || got != ms {
			t.Fatalf("%s: %d %v, want %d", text, got, ok, ms)
		}
		local := time.UnixMilli(ms).In(time.FixedZone("", 3*3600+30*60))
		if local.Year() > 9999 {
			return
		}
		if got, ok := ParseTime([]byte(local.Format("2006-01-02 15:04:05.000-0700"))); !ok || got != ms {
			t.Fatalf("%s: %d %v, want %d", local, got, ok, ms)
		}
	})
}

// FuzzSkipValue checks that the scanner accepts what encoding/json accepts, except for values that are
// nested too deeply. Neither checks UTF-8.
func FuzzSkipValue(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e3,null,true],"b":{"c":"\u00e9\n"}}`, `[]`, `{}`, `"x`, `01`, `1.`, `{"a" : 1 , "b":2}`, `[1,]`, `{"a":}`, "\"\t\"", `-`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.TrimSpace(text)
		end, err := skipValue(text, 0, maxDepth)
		if err == errTooDeep {
			return
		}
		if got, want := err == nil && end == len(text), json.Valid(text); got != want {
			t.Fatalf("%q: valid %v, want %v", text, got, want)
		}
	})
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", "q\"u\\o", "line\nfeed\ttab\x01\x1f", "é世界"} {
		var back string
		if err := json.Unmarshal(appendString(nil, []byte(s)), &back); err != nil || back != s {
			t.Errorf("%q decodes to %q, %v", s, back, err)
		}
	}
}

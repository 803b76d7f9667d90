package tree

import "testing"

func TestParseWhen(t *testing.T) {
	for text, want := range map[string]When{
		"2026-01-31":                     {Date: true, Y: 2026, M: 1, D: 31},
		"1970-01-02T00:00:00Z":           {Millis: 86_400_000},
		"1970-01-01T02:00:00.0019+02:00": {Millis: 1},
		"0000-01-01T00:00:00Z":           {Millis: -62167219200000},
	} {
		if got, ok := ParseWhen(text); !ok || got != want {
			t.Errorf("ParseWhen(%q) = %+v, %v, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "2026-02-30", "2026-01-31T10:00", "2026-01-31T10:00:00", "0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"} {
		if got, ok := ParseWhen(text); ok {
			t.Errorf("ParseWhen(%q) = %+v, want none", text, got)
		}
	}
}

package decode

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// tokens returns the kinds and values of a text in the order of reading, and whether it is one JSON text.
func tokens(text string) (kinds, values string, ok bool) {
	var s scanner
	s.reset([]byte(text))
	depth := 0
	for first := true; first || depth > 0; first = false {
		var err error
		k := s.peek()
		switch k {
		case '{', '[':
			depth++
			err = s.enter()
		case '}', ']':
			depth--
			err = s.leave()
		default:
			var v jsontext.Value
			v, err = s.value()
			values += string(v) + "\n"
		}
		if err != nil {
			return kinds, values, false
		}
		kinds += string(rune(k))
	}
	return kinds, values, s.end()
}

// twinTokens does the same with jsontext.
func twinTokens(text string) (kinds, values string, ok bool) {
	d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true))
	depth := 0
	for first := true; first || depth > 0; first = false {
		var err error
		k := d.PeekKind()
		switch k {
		case '{', '[':
			depth++
			_, err = d.ReadToken()
		case '}', ']':
			depth--
			_, err = d.ReadToken()
		default:
			var v jsontext.Value
			v, err = d.ReadValue()
			values += string(v) + "\n"
		}
		if err != nil {
			return kinds, values, false
		}
		kinds += string(rune(k))
	}
	_, err := d.ReadToken()
	return kinds, values, errors.Is(err, io.EOF)
}

var scannerTexts = []string{
	``, ` `, `{}`, `[]`, `[[]]`, `{"a":1}`, ` { "a" : [ 1 , "b" , { } ] } `, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{"a"}`, `{"a":}`, `{"a":]`,
	`[}`, `{]`, `{"a":1 "b":2}`, `[1 2]`, `{1:2}`, `{"a":1}x`, `{"a":1} {}`, `nul`, `null`, `true`, `falsey`, `[true,false,null]`,
	`0`, `-0`, `-`, `01`, `1.`, `1.5`, `.5`, `1e`, `1e5`, `1E+5`, `1e-`, `1.2.3`, `[1e5,-2.5E-7]`, `+1`,
	`"`, `"a`, `"a"`, `"\"`, `"\""`, `"\n\t\/\b\f\r\\"`, `"\x"`, `"\u12"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83d\u0041"`, `"\uD83Dx"`,
	"\"\x1f\"", "\"a\tb\"", "\"é\"", "\"\xff\"", "\"\xc3\"", "\"12345678\xe2\x82\xac12345678\"", "\"1234567\\n1234567é\x00\"", "\"\x7f\"",
	"\ufeff{}", "{\"a\":\v1}", `{"a":1,"a":2}`, `"12345678"`, `"1234567"`, `"123456789"`, `{"long name of a member":"long text that says something"}`,
}

func checkScanner(t *testing.T, text string) {
	t.Helper()
	kinds, values, ok := tokens(text)
	wantKinds, wantValues, want := twinTokens(text)
	if ok != want {
		t.Fatalf("%q: accepted is %v, by jsontext %v", text, ok, want)
	}
	if want && (kinds != wantKinds || values != wantValues) {
		t.Fatalf("%q: %s %q, by jsontext %s %q", text, kinds, values, wantKinds, wantValues)
	}
	var s scanner
	s.reset([]byte(text))
	v, err := s.value()
	if whole := err == nil && s.end(); whole != want {
		t.Fatalf("%q: accepted as one value is %v, by jsontext %v", text, whole, want)
	} else if want && string(v) != strings.Trim(text, " \t\r\n") {
		t.Fatalf("%q: the value is %q", text, v)
	}
}

// TestScanner compares the scanner with jsontext.
func TestScanner(t *testing.T) {
	for _, text := range scannerTexts {
		checkScanner(t, text)
	}
	for _, n := range []int{maxLevels, maxLevels + 1} {
		checkScanner(t, strings.Repeat("[", n)+strings.Repeat("]", n))
	}
}

// FuzzScanner compares the scanner with jsontext on any text.
func FuzzScanner(f *testing.F) {
	for _, text := range append(scannerTexts, sdkMessage, importLine) {
		f.Add(text)
	}
	f.Fuzz(checkScanner)
}

package decode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// malformedItems are items that are not messages, or not even JSON, but whose ends can be found.
var malformedItems = []string{
	`{"type":"track","userId":"bad","event":"\ud83d"}`, `{"a":"\ude00\ud83d"}`, "{\"a\":\"\xff\xfe\"}", "{\"\xc3\":1}", `{"a":NaN}`, `{"a":-Infinity,"b":undefined}`,
	`{"a":01}`, `{"a":1.}`, `{'a':1}`, `{a:1}`, `{"a":1,}`, `{"a" 1}`, `{"a":"\x"}`, `{"a":"\u12"}`, "{\"a\":\"tab\there\x00\"}", `{"a":[1,2}`,
	`NaN`, `nonsense`, `null`, `7`, `-`, `"text"`, `[1,[2]]`, `{}`, strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000), strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000),
	`}`, `{"a":1}}`, `:`, `\`, `//`, `{"a":/*x*/1}`, "\u00a0", "\xff", `{"a":"b" "c"}`, `{"a":tru}`, `{"type":"track","type":"track"}`,
}

func goodMessage(n int) string {
	return fmt.Sprintf(`{"type":"track","messageId":"m%d","userId":"u%d","event":"E","properties":{"text":"a \"b\" \\ {[","list":[1,{"x":[]}]}}`, n, n)
}

// taken returns the ids of the accepted messages of a body, in order.
func taken(t *testing.T, d *Decoder, body string) (ids []string, b Body) {
	t.Helper()
	b, err := d.Split([]byte(body))
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	for _, at := range b.Items {
		if m, err := d.Message([]byte(body[at.Start:at.End]), testEnvelope()); err == nil && m.UserID != "bad" {
			ids = append(ids, m.MessageID)
		}
	}
	return ids, b
}

// TestMalformedItem: whatever is between good messages, all of them are found, and so are the members of
// the batch.
func TestMalformedItem(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, bad := range malformedItems {
		for _, form := range []string{`{"batch":[%s],"sentAt":"2026-11-05T12:00:00Z","context":{"ip":"::1"}}`, ` {"sentAt":"2026-11-05T12:00:00Z","context":{"ip":"::1"}, "batch" : [%s]}`, `[%s]`} {
			body := fmt.Sprintf(form, goodMessage(1)+","+bad+" , "+goodMessage(2)+"\n,"+bad+","+goodMessage(3))
			ids, b := taken(t, d, body)
			if got := strings.Join(ids, " "); got != "m1 m2 m3" || b.Broken != nil {
				t.Errorf("%.60s in %s: took %s, broken %v", bad, form, got, b.Broken)
			}
			if form[0] != '[' && (b.SentAt != received || string(b.Context) != `{"ip":"::1"}`) {
				t.Errorf("%.60s in %s: sent at %d, context %s", bad, form, b.SentAt, b.Context)
			}
		}
	}
}

// TestMalformedEnvelope: no message is lost because of the batch's own members, and what is dropped is
// noted.
func TestMalformedEnvelope(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, c := range []struct{ body, context, notes string }{
		{`{"context":{"page":"\ud83d"},"batch":[` + goodMessage(1) + `]}`, `{"page":"` + "\uFFFD" + `"}`, "bad_utf8"},
		{"{\"batch\":[" + goodMessage(1) + "],\"context\":{\"page\":\"caf\xe9\"}}", `{"page":"caf` + "\uFFFD" + `"}`, "bad_utf8"},
		{`{"context":{"a":NaN},"batch":[` + goodMessage(1) + `]}`, "", "bad_json"},
		{`{"context":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70) + `,"batch":[` + goodMessage(1) + `]}`, "", "too_deep"},
		{`{"context":` + strings.Repeat(`{"a":`, 11_000) + "1" + strings.Repeat("}", 11_000) + `,"batch":[` + goodMessage(1) + `]}`, "", "bad_json"},
		{`{"sentAt":NaN,"batch":[` + goodMessage(1) + `]}`, "", ""},
		{`{"\ud83d":1,"batch":[` + goodMessage(1) + `],"integrations":{"All":tru}}`, "", ""},
		{"\ufeff" + `{"batch":[` + goodMessage(1) + `]}`, "", ""},
	} {
		ids, b := taken(t, d, c.body)
		var codes []string
		for _, n := range b.Notes {
			codes = append(codes, n.Code)
		}
		if strings.Join(ids, " ") != "m1" || string(b.Context) != c.context || strings.Join(codes, " ") != c.notes || b.Broken != nil {
			t.Errorf("%.80s: took %v, context %s, notes %v, broken %v", c.body, ids, b.Context, b.Notes, b.Broken)
		}
	}
}

// TestCutBody: of a body that breaks off anywhere, the messages before that point are found, and BrokenAt
// says from where on nothing is. A body that breaks off in its first message is not taken for a batch.
func TestCutBody(t *testing.T) {
	d := NewDecoder(Limits{})
	for _, whole := range []string{`{"batch":[` + goodMessage(1) + `, ` + goodMessage(2) + `],"sentAt":"2026-11-05T12:00:00Z"}`, `[` + goodMessage(1) + `,` + goodMessage(2) + `]`} {
		first := strings.Index(whole, goodMessage(1)) + len(goodMessage(1))
		second := strings.Index(whole, goodMessage(2)) + len(goodMessage(2))
		for n := range len(whole) {
			if n < first {
				if b, err := d.Split([]byte(whole[:n])); err == nil && b.Batch {
					t.Errorf("%s: accepted", whole[:n])
				}
				continue
			}
			ids, b := taken(t, d, whole[:n])
			want := []string{"m1", "m2"}
			if n < second {
				want = want[:1]
			}
			if !slices.Equal(ids, want) || b.Broken == nil || b.BrokenAt < first || n < second && b.BrokenAt > second {
				t.Errorf("%s: took %v, broken at %d: %v", whole[:n], ids, b.BrokenAt, b.Broken)
			}
		}
		if ids, b := taken(t, d, whole+" x"); len(ids) != 2 || b.Broken == nil || b.BrokenAt != len(whole)+1 {
			t.Errorf("with something after the end: %v, %v", ids, b.Broken)
		}
	}
	ids, b := taken(t, d, `{"batch":[`+goodMessage(1)+`],"batch":[`+goodMessage(2)+`]}`)
	if len(ids) != 2 || b.Broken != nil {
		t.Errorf("of two batches: %v, %v", ids, b.Broken)
	}
}

// cutItems cuts text that arrives in pieces; size returns the length of the next piece.
func cutItems(text string, size func() int) (items []string) {
	var cutter Items
	part := ""
	for at, held := 0, 0; ; { // text[at:held] has arrived and is not read
		found, start, end := cutter.Next([]byte(text[at:held]))
		item := text[at+start : at+end]
		at += end
		switch found {
		case Item:
			items, part = append(items, part+item), ""
		case End:
			return append(items, "]")
		case Part:
			part += item
		}
		if found != Item {
			if held == len(text) {
				return append(items, "cut "+part)
			}
			held = min(held+size(), len(text))
		}
	}
}

// TestItems: text that arrives in pieces of any length is cut as it is in one piece.
func TestItems(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		var list []string
		for range r.IntN(4) {
			if item := malformedItems[r.IntN(len(malformedItems))]; len(item) < 1000 {
				list = append(list, item)
			}
			list = append(list, goodMessage(r.IntN(100)))
		}
		text := strings.Join(list, " ,\n") + "]"
		if r.IntN(2) == 0 {
			text = corrupted(r, text)
		}
		want := cutItems(text, func() int { return len(text) })
		if got := cutItems(text, func() int { return 1 + r.IntN(9) }); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s\ngot  %q\nwant %q", seed, text, got, want)
		}
	}
}

// TestRepairUnicode: invalid Unicode is replaced, and nothing else is changed.
func TestRepairUnicode(t *testing.T) {
	for text, want := range map[string]string{
		`"\ud83d"`: "\"\uFFFD\"", `"\ud83dx"`: "\"\uFFFDx\"", `"\ude00\ud83d"`: "\"\uFFFD\uFFFD\"", `"\ud83d\ud83d\ude00"`: "\"\uFFFD\\ud83d\\ude00\"",
		`"\ud83d\u0041"`: "\"\uFFFD\\u0041\"", "\"\xff\"": "\"\uFFFD\"", "\"\xe2\x82\"": "\"\uFFFD\uFFFD\"", "caf\xe9 ": "caf\uFFFD ",
		`"\\ud83d"`: "", `"\ud83d\ude00"`: "", `"plain é \n"`: "", `"\u12"`: "", `"\`: "", `"\ud8`: "", "": "",
	} {
		got, ok := repair([]byte(text))
		if ok != (want != "") || ok && string(got) != want || !ok && string(got) != text {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

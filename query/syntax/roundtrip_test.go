package syntax

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/musterdb/muster/query/tree"
)

var trees = flag.Int("trees", 5_000, "number of random trees for the round trips")

// wide returns limits for tests whose trees may be large.
func wide() Limits { return Limits{Text: 16 << 20, Nesting: 10_000, Predicates: 100_000} }

// TestRoundTrip converts random trees to text and back, and to JSON and back.
func TestRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for i := range *trees {
		g := generator{rand.New(rand.NewPCG(seed, uint64(i)))}
		q := g.query(g.IntN(4))
		text := Format(q)
		parsed, err := Parse(text, wide())
		if err != nil {
			t.Fatalf("seed %d tree %d: parse the canonical text:\n%s", seed, i, Render(err.(*tree.Diagnostic), text))
		}
		if diff := sameTree(q, parsed); diff != "" {
			t.Fatalf("seed %d tree %d: %s\ngives a different tree:\n%s", seed, i, text, diff)
		}
		if again := Format(parsed); again != text {
			t.Fatalf("seed %d tree %d: format is not stable:\n%s\n%s", seed, i, text, again)
		}
		data, err := MarshalJSON(q)
		if err != nil {
			t.Fatalf("seed %d tree %d: %s: %v", seed, i, text, err)
		}
		back, err := UnmarshalJSON(data)
		if err != nil {
			t.Fatalf("seed %d tree %d: %s\n%s: %v", seed, i, text, data, err)
		}
		if diff := sameTree(q, back); diff != "" {
			t.Fatalf("seed %d tree %d: JSON changed %s:\n%s", seed, i, text, diff)
		}
	}
}

// TestPredRoundTrip is the same for predicates alone.
func TestPredRoundTrip(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for i := range *trees / 5 {
		g := generator{rand.New(rand.NewPCG(seed, uint64(i)))}
		p := g.pred(3, ofProfile)
		parsed, err := ParsePred(FormatPred(p), wide())
		if err != nil {
			t.Fatalf("seed %d tree %d: %s: %v", seed, i, FormatPred(p), err)
		}
		data, err := marshalPred(parsed)
		if err != nil {
			t.Fatal(err)
		}
		back, err := unmarshalPred(data)
		if err != nil {
			t.Fatalf("seed %d tree %d: %s: %v", seed, i, data, err)
		}
		if diff := sameTree(p, back); diff != "" {
			t.Fatalf("seed %d tree %d: %s changed:\n%s", seed, i, FormatPred(p), diff)
		}
	}
}

// TestHostileJSON checks that JSON that is not a tree is refused with a reason and never panics.
func TestHostileJSON(t *testing.T) {
	deep := strings.Repeat(`{"kind":"not","arg":`, 200) + `{"kind":"everyone"}` + strings.Repeat("}", 200)
	for name, text := range map[string]string{
		"empty":               ``,
		"null":                `null`,
		"array":               `[]`,
		"no statement":        `{}`,
		"unknown kind":        `{"statement":{"kind":"x"}}`,
		"unknown key":         `{"statement":{"kind":"count","x":1}}`,
		"key at the root":     `{"statement":{"kind":"count"},"x":1}`,
		"two documents":       `{"statement":{"kind":"count"}}{}`,
		"empty and":           `{"statement":{"kind":"count","where":{"kind":"and"}}}`,
		"string for a number": `{"statement":{"kind":"count","limit":"1"}}`,
		"negative limit":      `{"statement":{"kind":"count","limit":-1}}`,
		"huge number":         `{"statement":{"kind":"count","limit":1e999}}`,
		"deep":                `{"statement":{"kind":"count","where":` + deep + `}}`,
		"very deep":           strings.Repeat(`[`, 100_000),
		"injected words":      `{"statement":{"kind":"show","what":"segments as of 2026-01-01"}}`,
		"unused numbers":      `{"statement":{"kind":"count","where":{"kind":"did","event":"A","count":{"form":"exactly","n":1,"m":3}}}}`,
		"no event":            `{"statement":{"kind":"count","where":{"kind":"did","event":""}}}`,
		"nested explain":      `{"statement":{"kind":"explain","statement":{"kind":"explain","statement":{"kind":"count"}}}}`,
		"measure in event":    `{"statement":{"kind":"count","where":{"kind":"did","event":"A","where":{"kind":"did","event":"B"}}}}`,
		"stray previous":      `{"statement":{"kind":"count","where":{"kind":"truth","name":"x","previous":true}}}`,
		"no x":                `{"statement":{"kind":"count","where":{"kind":"is_set"}}}`,
		"null value":          `{"statement":{"kind":"count","where":{"kind":"in","x":{"kind":"name","name":"a"},"values":[null]}}}`,
		"bad date":            `{"statement":{"kind":"count"},"as_of":"2026-02-30"}`,
		"half a sequence":     `{"statement":{"kind":"count","where":{"kind":"sequence","first":{"event":"A"}}}}`,
		"ends exchanged":      `{"statement":{"kind":"count","where":{"kind":"in_sample","name":"x","from":20,"to":10}}}`,
		"one step":            `{"statement":{"kind":"funnel","steps":[{"event":"A"}],"within":{"n":1,"unit":"day"}}}`,
		"two dimensions":      `{"statement":{"kind":"count","by":[{"name":"a","segment":"b"}]}}`,
		"no dimension":        `{"statement":{"kind":"count","by":[{}]}}`,
	} {
		if q, err := UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %s", name, Format(q))
		} else if err.Error() == "" {
			t.Errorf("%s: no reason", name)
		}
	}
	long := `{"statement":{"kind":"count"},"timezone":"` + strings.Repeat("x", 3<<20) + `"}`
	if _, err := UnmarshalJSON([]byte(long)); err == nil {
		t.Error("a tree of three megabytes was accepted")
	}
}

// FuzzParse checks that no text makes the parser panic or slow, that a parsed text has one canonical text,
// and that its JSON form gives the same tree.
func FuzzParse(f *testing.F) {
	texts, _ := canonicalCases(f)
	for _, text := range texts {
		f.Add(text)
	}
	for _, text := range []string{"", "count where \"\\", "count where a > 2026-01-31T", "count where did `", "list -1 - -1", "\xff", "count where x in (", "count where did a where"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		q, err := Parse(text, Limits{})
		if took := time.Since(start); took > time.Second {
			t.Fatalf("parsing took %s", took)
		}
		if err != nil {
			d := err.(*tree.Diagnostic)
			if d.Line < 1 || d.Column < 1 || d.Length < 1 || d.Message == "" || d.At.Offset < 0 || d.At.Offset > len(text) {
				t.Fatalf("diagnostic without a position: %+v", d)
			}
			if m := mistakeOfText(text); m.edit != nil && utf8.ValidString(text) {
				m.edit.apply(text)
			}
			Render(d, text)
			return
		}
		canonical := Format(q)
		again, err := Parse(canonical, wide())
		if err != nil {
			t.Fatalf("%q has the canonical text %q: %v", text, canonical, err)
		}
		if diff := sameTree(q, again); diff != "" {
			t.Fatalf("%q and its canonical text %q differ:\n%s", text, canonical, diff)
		}
		if twice := Format(again); twice != canonical {
			t.Fatalf("format is not stable: %q, %q", canonical, twice)
		}
		data, err := MarshalJSON(q)
		if err != nil {
			t.Fatal(err)
		}
		if len(canonical) > 64<<10 {
			return
		}
		back, err := UnmarshalJSON(data)
		if err != nil {
			t.Fatalf("%q: %s: %v", canonical, data, err)
		}
		if diff := sameTree(q, back); diff != "" {
			t.Fatalf("JSON changed %q:\n%s", canonical, diff)
		}
	})
}

// FuzzTree checks that no JSON makes the decoder panic, and that accepted JSON keeps its form.
func FuzzTree(f *testing.F) {
	texts, _ := canonicalCases(f)
	for _, text := range texts {
		q, err := Parse(text, Limits{})
		if err != nil {
			f.Fatal(err)
		}
		data, err := MarshalJSON(q)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := UnmarshalJSON(data)
		if err != nil {
			return
		}
		form, err := MarshalJSON(q)
		if err != nil {
			t.Fatal(err)
		}
		back, err := UnmarshalJSON(form)
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		if diff := sameTree(q, back); diff != "" {
			t.Fatalf("%s changed:\n%s", form, diff)
		}
	})
}

// marshalPred returns the JSON form of p.
func marshalPred(p tree.Pred) ([]byte, error) {
	return encode(func(f *form) { f.predBody(&p) })
}

// unmarshalPred is UnmarshalJSON for a predicate alone.
func unmarshalPred(data []byte) (tree.Pred, error) {
	var p tree.Pred
	if err := decode(data, func(f *form) { f.predBody(&p) }); err != nil {
		return nil, err
	}
	parsed, err := ParsePred(FormatPred(p), Limits{})
	if err != nil {
		return nil, err
	}
	return parsed, sameForm(func(f *form) { f.predBody(&p) }, func(f *form) { f.predBody(&parsed) })
}

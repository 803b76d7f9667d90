package syntax

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// TestMutations breaks valid texts by a token or two: whatever comes out is parsed or refused with a
// place and a hint, and an offered edit lies inside the text.
func TestMutations(t *testing.T) {
	texts, _ := canonicalCases(t)
	var pool []string
	for _, text := range texts {
		for _, token := range scan(text) {
			pool = append(pool, text[token.at:token.end])
		}
	}
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 2))
	refused, mended := 0, 0
	for range *trees * 4 {
		tokens := strings.Fields(spaced(texts[r.IntN(len(texts))]))
		for range 1 + r.IntN(2) {
			i := r.IntN(len(tokens))
			switch r.IntN(4) {
			case 0:
				tokens = append(tokens[:i:i], tokens[i+1:]...)
			case 1:
				tokens = append(tokens[:i:i], append([]string{pool[r.IntN(len(pool))]}, tokens[i:]...)...)
			case 2:
				tokens[i] = pool[r.IntN(len(pool))]
			case 3:
				tokens = tokens[:i+1]
			}
			if len(tokens) == 0 {
				tokens = []string{"count"}
			}
		}
		text := strings.Join(tokens, " ")
		_, err := Parse(text, Limits{})
		if err == nil {
			continue
		}
		refused++
		d := err.(*tree.Diagnostic)
		if d.Line < 1 || d.Message == "" || d.Hint == "" {
			t.Errorf("seed %d: %s: no place or no hint: %+v", seed, text, d)
		}
		if m := mistakeOfText(text); m.mend != nil && mistakeOfText(m.mend.apply(text)) == nil {
			mended++
		}
	}
	if refused < *trees || mended == 0 {
		t.Errorf("seed %d: only %d of the texts were refused, %d mended", seed, refused, mended)
	}
}

// spaced puts spaces between the tokens of a text.
func spaced(text string) string {
	var b strings.Builder
	for _, token := range scan(text) {
		b.WriteString(text[token.at:token.end] + " ")
	}
	return b.String()
}

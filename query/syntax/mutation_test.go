package syntax

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// TestMutations changes a token or two of valid texts. Each result must either parse or be refused with a
// position and a hint, and applying the edit of a mistake must not panic.
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
	refused, fixed := 0, 0
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
			t.Errorf("seed %d: %s: no position or no hint: %+v", seed, text, d)
		}
		if m := mistakeOfText(text); m.edit != nil && mistakeOfText(m.edit.apply(text)) == nil {
			fixed++
		}
	}
	if refused < *trees || fixed == 0 {
		t.Errorf("seed %d: only %d of the texts were refused, %d fixed", seed, refused, fixed)
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

package naming

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestDifferent checks that for one seed no two numbers have the same text, and that every text is printable.
func TestDifferent(t *testing.T) {
	for _, s := range All() {
		for _, seed := range []uint64{0, 1, 1303} {
			const n = 20_000
			seen := make(map[string]int, n)
			for i := range n {
				// Large numbers too: their texts must differ from those of small ones.
				at := i
				if i%2 == 1 && s.Limit == 0 {
					at = i * 40_009
				}
				text := s.Text(seed, at)
				if other, there := seen[text]; there && other != at {
					t.Fatalf("%s, seed %d: %d and %d are both %q", s.Name, seed, other, at, text)
				}
				seen[text] = at
				if text == "" || len(text) > 510 || !utf8.ValidString(text) {
					t.Fatalf("%s, seed %d: %d is %q", s.Name, seed, at, text)
				}
			}
		}
	}
}

// TestPeople checks that ids of people need no escapes in JSON, URLs and CSV, and are about as long as those
// of a counter.
func TestPeople(t *testing.T) {
	bytes, counter := 0, ByName("user_N")
	seen := map[string]int{}
	const n = 200_000
	for i := range n {
		id := string(AppendPerson(nil, i))
		if other, there := seen[id]; there {
			t.Fatalf("%d and %d are both %s", other, i, id)
		}
		seen[id] = i
		if strings.ContainsAny(id, "\"\\/?#%&,; \n") {
			t.Fatalf("%d is %q", i, id)
		}
		bytes += len(id) - len(counter.Text(0, i))
	}
	if mean := float64(bytes) / n; mean < -0.5 || mean > 0.5 {
		t.Errorf("ids of people are %.2f bytes longer than those of a counter", mean)
	}
}

package decode

import (
	"reflect"
	"testing"

	"github.com/musterdb/muster/engine"
)

// TestReuse: a decoder that reuses its memory reads messages as a new one does.
func TestReuse(t *testing.T) {
	used := NewDecoder(Limits{})
	texts := testMessages(t)
	for round := range 3 {
		for at := 0; at < len(texts); at += 40 {
			used.Reuse()
			some := texts[at:min(at+40, len(texts))]
			var got, want []engine.Incoming
			for _, text := range some {
				m, err := NewDecoder(Limits{}).Message([]byte(text), testEnvelope())
				again, againErr := used.Message([]byte(text), testEnvelope())
				if (err == nil) != (againErr == nil) {
					t.Fatalf("round %d: %s: %v, want %v", round, text, againErr, err)
				}
				got, want = append(got, again), append(want, m)
			}
			for i := range want { // messages read first have not changed
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Fatalf("round %d: %s\ngot  %+v\nwant %+v", round, some[i], got[i], want[i])
				}
			}
		}
	}
}

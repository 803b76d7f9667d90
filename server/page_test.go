package server

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestRoutesAreDescribed: docs/API.md mentions every route of the table. It may write the kinds of
// messages and profiles as parameters, and omit /v1/ from a path.
func TestRoutesAreDescribed(t *testing.T) {
	page, err := os.ReadFile("../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`^(/api/s/(?:s2s/)?)\w+$|^(/debug/pprof/).+$`)
	s := newTestServer(t, &Node{}, nil)
	for i := range s.routes {
		r := &s.routes[i]
		path := r.pattern
		if m := kinds.FindStringSubmatch(path); m != nil {
			path = map[bool]string{true: m[1] + "{type}", false: m[2] + "{name}"}[m[1] != ""]
		}
		short := "`" + strings.TrimPrefix(path, "/v1/") + "`"
		if path != "/{$}" && !strings.Contains(string(page), path) && !strings.Contains(string(page), short) {
			t.Errorf("docs/API.md does not mention %s %s", r.method, r.pattern)
		}
	}
}

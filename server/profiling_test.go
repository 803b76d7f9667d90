package server

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestProfiling: only callers on this machine get profiles.
func TestProfiling(t *testing.T) {
	s := newTestServer(t, &Node{}, nil)
	base := "http://" + serve(t, s) + "/debug/pprof"
	for path, want := range map[string]string{"": "heap\n", "/goroutine?debug=1": "goroutine profile", "/heap": "", "/profile?seconds=1": ""} {
		answer, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) || len(body) == 0 {
			t.Errorf("%s: %s, %.200s, %v", path, answer.Status, body, err)
		}
	}
	answer, err := http.Get(base + "/nothing")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown profile: %s", answer.Status)
	}
	problemOf(t, ask(s, "GET", "/debug/pprof/heap", nil), 403, "forbidden_origin") // from 192.0.2.1
}

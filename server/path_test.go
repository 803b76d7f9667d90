package server

import (
	"net/http"
	"testing"
)

// TestPlainPath: superfluous slashes are removed, and escaped ones of an id stay.
func TestPlainPath(t *testing.T) {
	for target, want := range map[string]string{
		"/v1/track":                        "/v1/track",
		"//v1///track/":                    "/v1/track",
		"/":                                "/",
		"/v1/profiles/a%2Fb":               "/v1/profiles/a%2Fb",
		"/v1/profiles/a%2F":                "/v1/profiles/a%2F",
		"/v1/profiles/a%2F/":               "/v1/profiles/a%2F",
		"/v1/profiles/https:%2F%2Fa%2F%2F": "/v1/profiles/https:%2F%2Fa%2F%2F",
		"//v1/profiles/%2F%2F/timeline//":  "/v1/profiles/%2F%2F/timeline",
		"/v1/profiles/%25//":               "/v1/profiles/%25",
	} {
		r, err := http.NewRequest(http.MethodGet, "http://muster.test"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if plainPath(r); r.URL.EscapedPath() != want {
			t.Errorf("%s has become %s, want %s", target, r.URL.EscapedPath(), want)
		}
	}
}

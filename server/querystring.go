package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/musterdb/muster/api/codes"
)

// checkQueryString refuses a query string that cannot be parsed, and parameters that the route does not
// have: ignoring a misspelt one would silently change the answer.
func checkQueryString(r *http.Request, route *route) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	values, err := readQueryString(r)
	if err != nil {
		return err
	}
	known := make([]string, len(route.query))
	for i, p := range route.query {
		known[i] = p.name
	}
	for name, given := range values {
		switch {
		case !slices.Contains(known, name):
			return unknownName("parameter", name, known)
		case len(given) > 1:
			return problem(codes.BadRequest, "the parameter "+name+" is given twice")
		}
	}
	return nil
}

// readQueryString returns the parameters of a request, or a problem that says why they cannot be parsed.
func readQueryString(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err == nil {
		return values, nil
	}
	var escape url.EscapeError
	switch {
	case errors.As(err, &escape):
		return nil, problem(codes.BadRequest, "the query string has "+string(escape)+", which is not an escape: write a percent sign as %25")
	case strings.Contains(r.URL.RawQuery, ";"):
		return nil, problem(codes.BadRequest, "the query string has a semicolon: write it as %3B, and separate parameters with &")
	}
	return nil, problem(codes.BadRequest, "the query string cannot be read")
}

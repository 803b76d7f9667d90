package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/musterdb/muster/api/codes"
)

// checkQueryString refuses a query string that cannot be read, and parameters that the route does not have:
// what is misspelt or lost there would change the answer without a word.
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

// readQueryString returns the parameters of a request, or why they cannot be told.
func readQueryString(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err == nil {
		return values, nil
	}
	var escape url.EscapeError
	switch {
	case errors.As(err, &escape):
		return nil, problem(codes.BadRequest, "the query string has "+string(escape)+", which is no escape: a percent sign is written %25")
	case strings.Contains(r.URL.RawQuery, ";"):
		return nil, problem(codes.BadRequest, "the query string has a semicolon: write it %3B, and & between parameters")
	}
	return nil, problem(codes.BadRequest, "the query string cannot be read")
}

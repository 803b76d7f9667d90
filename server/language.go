package server

import (
	"errors"
	"net/http"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// parse answers with the tree and canonical text of a statement, or with its mistakes: an editor wants
// either, so both are 200.
func (s *Server) parse(w *answer, r *http.Request) error {
	var request api.ParseRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	out := api.Parsed{Diagnostics: []api.Diagnostic{}, Tokens: tokens(request.Query)}
	parsed, err := syntax.Parse(request.Query, syntax.Limits{})
	var mistake *tree.Diagnostic
	switch {
	case errors.As(err, &mistake):
		out.Diagnostics = diagnostics([]tree.Diagnostic{*mistake})
		return writeJSON(w, http.StatusOK, out)
	case err != nil:
		return err
	}
	if out.Tree, err = syntax.MarshalJSON(parsed); err != nil {
		return err
	}
	out.OK, out.Text = true, syntax.Format(parsed)
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) format(w *answer, r *http.Request) error {
	var request api.FormatRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	q, err := syntax.UnmarshalJSON(request.Tree)
	if err != nil {
		var mistake *tree.Diagnostic
		if errors.As(err, &mistake) {
			return err
		}
		return problem(codes.BadRequest, err.Error())
	}
	return writeJSON(w, http.StatusOK, api.Formatted{Text: syntax.Format(q)})
}

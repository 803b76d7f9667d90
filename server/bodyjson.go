package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/query/syntax"
)

// maxControlBody is the largest body of a request that is not ingest. It is above the language's own
// limit on a statement, which has a better error message.
const maxControlBody = 4 << 20

// readJSON reads the body of a control request into a value. It accepts exactly what the OpenAPI document
// says: a member with another name is an error, since it is probably misspelt. The Content-Type does not
// matter.
func (s *Server) readJSON(w *answer, r *http.Request, into any) error {
	body, release, err := s.readBody(w, r, min(maxControlBody, s.cfg.MaxBody))
	if err != nil {
		return err
	}
	defer release()
	if len(body) == 0 {
		return problem(codes.BadJSON, "the body is empty")
	}
	var v any
	if err := jsonv2.Unmarshal(body, &v); err != nil {
		return badJSON(err)
	}
	if err := s.schemas.check(w.route.schema, v, ""); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil { // e.g. a whole number written as 1e3, or one that is too large
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) {
			return problem(codes.BadJSON, fmt.Sprintf("%s is %s: a whole number of up to 64 bits is expected", mistyped.Field, mistyped.Value))
		}
		return problem(codes.BadJSON, "the body does not match its documented schema")
	}
	return nil
}

// badJSON returns the problem of a body that is not JSON, or that has duplicate names or invalid Unicode.
func badJSON(err error) error {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		return problem(codes.BadJSON, "the body is not valid JSON")
	}
	text := syntactic.Error()
	text = "the body is not valid JSON: " + strings.TrimPrefix(text, "jsontext: ")
	if strings.Contains(text, "UTF-8") || strings.Contains(text, "surrogate") {
		return problem(codes.BadUTF8, text)
	}
	return problem(codes.BadJSON, text)
}

// schemas are the schemas of the OpenAPI document.
type schemas struct{ huma.Registry }

// check returns a problem if v does not match schema. It supports those parts of JSON Schema that the
// document uses. at is the path of v in the body, "" for the body itself.
func (x schemas) check(schema *huma.Schema, v any, at string) error {
	for schema.Ref != "" {
		schema = x.SchemaFromRef(schema.Ref)
	}
	fault := func(expected string) error {
		if at == "" {
			at = "the body"
		}
		return problem(codes.BadJSON, fmt.Sprintf("%s is %s: %s is expected", at, kindOf(v), expected))
	}
	switch schema.Type {
	case huma.TypeObject:
		object, ok := v.(map[string]any)
		if !ok {
			return fault("an object")
		}
		return x.checkObject(schema, object, at)
	case huma.TypeArray:
		items, ok := v.([]any)
		if !ok {
			return fault("a list")
		}
		for i, item := range items {
			if err := x.check(schema.Items, item, at+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	case huma.TypeString:
		text, ok := v.(string)
		if !ok {
			return fault("a string")
		}
		if len(schema.Enum) > 0 && !slices.Contains(schema.Enum, any(text)) {
			return problem(codes.BadRequest, fmt.Sprintf("%s %.40q is unknown: use one of %s", at, text, listed(schema.Enum)))
		}
	case huma.TypeBoolean:
		if _, ok := v.(bool); !ok {
			return fault("true or false")
		}
	case huma.TypeInteger:
		n, ok := v.(float64)
		if !ok || n != math.Trunc(n) {
			return fault("a whole number")
		}
		if schema.Minimum != nil && n < *schema.Minimum || schema.Maximum != nil && n > *schema.Maximum {
			return problem(codes.BadRequest, fmt.Sprintf("%s is %v: a number %s is expected", at, n, bounds(schema)))
		}
	}
	return nil
}

func (x schemas) checkObject(schema *huma.Schema, object map[string]any, at string) error {
	inside := func(name string) string {
		if at == "" {
			return name
		}
		return at + "." + name
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		property, known := schema.Properties[name]
		if !known {
			if schema.AdditionalProperties == false {
				return unknownName("member", inside(name), slices.Sorted(maps.Keys(schema.Properties)))
			}
			continue
		}
		if err := x.check(property, object[name], inside(name)); err != nil {
			return err
		}
	}
	for _, name := range schema.Required {
		if _, ok := object[name]; !ok {
			return problem(codes.BadJSON, fmt.Sprintf("%s is missing: it is required", inside(name)))
		}
	}
	return nil
}

// unknownName returns the problem of an unknown member or parameter.
func unknownName(what, name string, known []string) *api.Problem {
	code := codes.BadRequest
	if what == "member" {
		code = codes.BadJSON
	}
	p := problem(code, fmt.Sprintf("there is no %s %.60q", what, name))
	switch near := syntax.Nearest(name, known); {
	case near != "":
		p.Hint, p.Suggestions = "did you mean "+near+"?", []string{near}
	case len(known) > 0:
		p.Hint = "the " + what + "s are " + strings.Join(known, ", ")
	default:
		p.Hint = "there are no " + what + "s here"
	}
	return p
}

func listed(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}

func bounds(schema *huma.Schema) string {
	switch {
	case schema.Maximum == nil:
		return fmt.Sprintf("of at least %v", *schema.Minimum)
	case schema.Minimum == nil:
		return fmt.Sprintf("of at most %v", *schema.Maximum)
	}
	return fmt.Sprintf("from %v to %v", *schema.Minimum, *schema.Maximum)
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return "a string"
	case float64:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

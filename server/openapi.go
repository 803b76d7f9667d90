package server

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/musterdb/muster/api"
)

// document returns the OpenAPI 3.1 document of the route table, with schemas of the types of package api.
// Everything it says of a route comes from the table.
func (s *Server) document() ([]byte, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Muster", Version: s.cfg.Version,
			Description: "Real-time customer segmentation. Errors are application/problem+json with a code."},
		Paths:      make(map[string]*huma.PathItem),
		Components: &huma.Components{Schemas: registry},
	}
	problemSchema := registry.Schema(reflect.TypeFor[api.Problem](), true, "Problem")
	for i := range s.routes {
		r := &s.routes[i]
		path := strings.TrimSuffix(r.pattern, "{$}")
		item := doc.Paths[path]
		if item == nil {
			item = &huma.PathItem{}
			doc.Paths[path] = item
		}
		op := r.operation.document(registry, path, r.body)
		if op.RequestBody != nil && r.class == controlClass {
			r.schema = op.RequestBody.Content["application/json"].Schema
			notNull(registry, r.schema)
		}
		op.Responses["default"] = &huma.Response{Description: "A problem", Content: map[string]*huma.MediaType{api.ProblemType: {Schema: problemSchema}}}
		switch r.method {
		case "GET":
			item.Get = op
		case "POST":
			item.Post = op
		case "PUT":
			item.Put = op
		case "DELETE":
			item.Delete = op
		}
	}
	s.schemas = schemas{registry}
	return json.Marshal(doc)
}

// notNull marks the lists in a body's schema as not nullable.
func notNull(registry huma.Registry, schema *huma.Schema) {
	for schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	for _, property := range schema.Properties {
		property.Nullable = false
	}
}

// document returns the OpenAPI operation.
func (o operation) document(registry huma.Registry, path string, body any) *huma.Operation {
	op := &huma.Operation{OperationID: o.id, Summary: o.summary, Responses: make(map[string]*huma.Response)}
	for _, part := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			op.Parameters = append(op.Parameters, &huma.Param{Name: strings.TrimSuffix(name, "}"), In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	for _, p := range o.query {
		op.Parameters = append(op.Parameters, &huma.Param{Name: p.name, In: "query", Description: p.what, Schema: schemaOf(registry, p.kind)})
	}
	if body != nil {
		media := o.bodyMedia
		if media == nil {
			media = []string{"application/json"}
		}
		op.RequestBody = &huma.RequestBody{Required: !o.optional, Content: content(media, schemaOf(registry, body))}
		if _, many := body.(messages); many {
			op.Description = "The Content-Type is ignored. Of many messages, an invalid one is rejected by itself; a single message must be an object."
			if lines := op.RequestBody.Content["application/x-ndjson"]; lines != nil {
				lines.Schema = nil // each line is a message: the whole body is not one JSON text
			}
		}
	}
	response := &huma.Response{Description: o.summary, Content: content(o.media, nil)}
	if o.answer != nil {
		response.Content["application/json"] = &huma.MediaType{Schema: schemaOf(registry, o.answer)}
	}
	status := o.status
	if status == 0 {
		status = 200
	}
	op.Responses[strconv.Itoa(status)] = response
	return op
}

func content(media []string, schema *huma.Schema) map[string]*huma.MediaType {
	out := make(map[string]*huma.MediaType)
	for _, m := range media {
		out[m] = &huma.MediaType{Schema: schema}
	}
	return out
}

// schemaOf returns the schema of a value's type; a map stands for any object.
func schemaOf(registry huma.Registry, v any) *huma.Schema {
	object := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	switch v := v.(type) {
	case map[string]any:
		return object
	case messages:
		return &huma.Schema{OneOf: []*huma.Schema{object, {Type: huma.TypeArray, Items: &huma.Schema{}}}}
	case anything:
		return &huma.Schema{}
	case span:
		least, most := float64(v.least), float64(v.most)
		return &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most}
	}
	t := reflect.TypeOf(v)
	return registry.Schema(t, true, t.Name())
}

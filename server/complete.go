package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// maxEdited is the longest text that an editor may send, in bytes; a statement's own limit is lower or
// equal.
const maxEdited = 64 << 10

// namesTTL is how long counts and examples of names are reused for completion, which is requested at
// every keystroke.
const namesTTL = 5 * time.Second

// knownNames caches the names that the node returned last.
type knownNames struct {
	mu struct {
		sync.Mutex
		until  time.Time
		byKind map[query.NameKind]map[string]query.NameInfo
	}
}

// get returns the names by kind, from the node if the cached ones are old. If the node does not answer in
// time, names have no counts and examples.
func (k *knownNames) get(ctx context.Context, from Catalog) map[query.NameKind]map[string]query.NameInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Now().Before(k.mu.until) {
		return k.mu.byKind
	}
	byKind := make(map[query.NameKind]map[string]query.NameInfo)
	for _, kind := range []query.NameKind{query.AttributeName, query.EventName} {
		infos, err := from.Names(ctx, kind)
		if err != nil {
			return byKind
		}
		byKind[kind] = make(map[string]query.NameInfo, len(infos))
		for _, info := range infos {
			byKind[kind][info.Name] = info
		}
	}
	k.mu.byKind, k.mu.until = byKind, time.Now().Add(namesTTL)
	return byKind
}

// completionNames implements syntax.Names with the catalog.
type completionNames struct {
	schema query.Schema
	infos  map[query.NameKind]map[string]query.NameInfo
}

var _ syntax.Names = completionNames{}

func (n completionNames) list(kind query.NameKind, event string, count func(name string) int64) []syntax.Known {
	var out []syntax.Known
	n.schema.Names(kind, event, func(name string, t tree.Type) bool {
		out = append(out, syntax.Known{Name: name, Type: t, Count: count(name)})
		return true
	})
	return out
}

// Attributes implements syntax.Names.
func (n completionNames) Attributes() []syntax.Known {
	return n.list(query.AttributeName, "", func(name string) int64 { return n.infos[query.AttributeName][name].Count })
}

// Events implements syntax.Names.
func (n completionNames) Events() []syntax.Known {
	return n.list(query.EventName, "", func(name string) int64 { return n.infos[query.EventName][name].Count })
}

// Properties implements syntax.Names.
func (n completionNames) Properties(event string) []syntax.Known {
	return n.list(query.PropertyName, event, func(name string) int64 { return n.property(event, name).Count })
}

// Segments implements syntax.Names.
func (n completionNames) Segments() []syntax.Known {
	return n.list(query.SegmentName, "", func(string) int64 { return 0 })
}

// Lists implements syntax.Names.
func (n completionNames) Lists() []syntax.Known {
	return n.list(query.ListName, "", func(string) int64 { return 0 })
}

// Values implements syntax.Names.
func (n completionNames) Values(event, name string) []tree.Value {
	if event == "" {
		return n.infos[query.AttributeName][name].Examples
	}
	return n.property(event, name).Examples
}

func (n completionNames) property(event, name string) query.NameInfo {
	for _, p := range n.infos[query.EventName][event].Properties {
		if p.Name == name {
			return p
		}
	}
	return query.NameInfo{}
}

func (s *Server) complete(w *answer, r *http.Request) error {
	var request api.CompleteRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	if len(request.Query) > maxEdited {
		return problem(codes.Limit, "the text is too long to be completed")
	}
	catalog := s.node().Catalog
	schema := catalog.Schema()
	if schema == nil {
		return starting{}.notReady()
	}
	ctx, cancel := s.queryContext(r)
	defer cancel()
	out := api.Completion{Candidates: []api.Candidate{}}
	for _, c := range syntax.Complete(request.Query, request.Offset, completionNames{schema, s.names.get(ctx, catalog)}) {
		out.Candidates = append(out.Candidates, api.Candidate{Text: c.Text, Kind: string(c.Kind), Doc: c.Doc, Start: c.Offset, End: c.Offset + c.Length})
	}
	return writeJSON(w, http.StatusOK, out)
}

// tokens returns the tokens of a text for highlighting; never nil.
func tokens(text string) []api.Token {
	out := []api.Token{}
	if len(text) > maxEdited {
		return out
	}
	for _, t := range syntax.Tokens(text) {
		out = append(out, api.Token{Kind: string(t.Kind), Offset: t.Offset, Length: t.Length})
	}
	return out
}

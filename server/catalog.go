package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
	"github.com/musterdb/muster/server/render"
)

// Catalog has the names of attributes, events, properties, segments and lists.
type Catalog interface {
	// Schema returns the newest catalog that this node knows, nil while the node is starting. A returned
	// schema never changes.
	Schema() query.Schema
	// Names describes attributes, events or segments as they are in memory.
	Names(ctx context.Context, kind query.NameKind) ([]query.NameInfo, error)
}

// Lists are the static lists of ids.
type Lists interface {
	// ListEdit adds ids to a list and removes others. It creates the list if there is none.
	ListEdit(ctx context.Context, list string, add, remove []string) error
	// DropList removes a list that no segment uses.
	DropList(ctx context.Context, list string) error
}

func (s *Server) getCatalog(w *answer, r *http.Request) error {
	ctx, cancel := s.queryContext(r)
	defer cancel()
	out := api.Catalog{Memory: []api.MemoryLine{}}
	for _, part := range []struct {
		kind query.NameKind
		into *[]api.Name
	}{{query.AttributeName, &out.Attributes}, {query.EventName, &out.Events}, {query.SegmentName, &out.Segments}} {
		infos, err := s.node().Catalog.Names(ctx, part.kind)
		if err != nil {
			return err
		}
		*part.into = names(infos)
	}
	sums := make(map[string]int64)
	for _, line := range s.node().Health.Status(ctx).Memory {
		sums[line.Name] += line.Bytes
	}
	for name, bytes := range sums {
		out.Memory = append(out.Memory, api.MemoryLine{Name: name, Bytes: bytes})
	}
	slices.SortFunc(out.Memory, func(a, b api.MemoryLine) int {
		if a.Bytes != b.Bytes {
			return int(min(1, max(-1, b.Bytes-a.Bytes)))
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return writeJSON(w, http.StatusOK, out)
}

func names(infos []query.NameInfo) []api.Name {
	out := make([]api.Name, 0, len(infos))
	for _, n := range infos {
		name := api.Name{Name: n.Name, Count: n.Count, Cardinality: n.Cardinality, MemoryBytes: n.MemoryBytes, Overflowed: n.Overflowed, Mismatched: n.Mismatched}
		if n.Type != tree.NoType {
			name.Type = n.Type.String()
		}
		for _, v := range n.Examples {
			name.Examples = append(name.Examples, value(v))
		}
		if n.FirstSeen != 0 || n.LastSeen != 0 {
			name.FirstSeen, name.LastSeen = render.Time(n.FirstSeen), render.Time(n.LastSeen)
		}
		if len(n.Properties) > 0 {
			name.Properties = names(n.Properties)
		}
		out = append(out, name)
	}
	return out
}

func (s *Server) getLists(w *answer, r *http.Request) error {
	out := api.Lists{Lists: []string{}}
	schema := s.node().Catalog.Schema()
	if schema == nil {
		return starting{}.notReady()
	}
	schema.Names(query.ListName, "", func(name string, _ tree.Type) bool {
		out.Lists = append(out.Lists, name)
		return true
	})
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) deleteList(w *answer, r *http.Request) error {
	if err := s.node().Lists.DropList(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) putList(w *answer, r *http.Request) error {
	var request api.ListRequest
	if err := s.readJSON(w, r, &request); err != nil {
		return err
	}
	add := append(request.IDs, request.Add...)
	for _, ids := range [][]string{add, request.Remove} {
		for _, id := range ids {
			if id == "" || len(id) > s.cfg.Message.ID {
				return problem(codes.BadRequest, "an id is empty or too long")
			}
		}
	}
	name := r.PathValue("name")
	if err := s.node().Lists.ListEdit(r.Context(), name, add, request.Remove); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.ListEdited{List: name, Added: len(add), Removed: len(request.Remove)})
}

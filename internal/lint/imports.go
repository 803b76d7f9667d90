package lint

import (
	"slices"
	"strings"
)

// mayImport is the matrix of docs/ARCHITECTURE: what each of our packages may import of the others.
// Sub-packages count as their parent. cmd may import all.
var mayImport = map[string][]string{
	"query":    {},
	"engine":   {"query"},
	"live":     {"engine"},
	"persist":  {},
	"cluster":  {"engine", "query"},
	"api":      {},
	"server":   {"api", "live", "engine", "query"},
	"console":  {},
	"bench":    {"api", "engine", "query"},
	"internal": {},
}

// onlyIn names outside packages that belong to some of ours alone, by the beginning of their path.
var onlyIn = map[string][]string{
	"github.com/hashicorp/raft":            {"cluster", "persist", "cmd"},
	"github.com/dgraph-io/badger":          {"persist", "cmd"},
	"github.com/alecthomas/participle":     {"query"},
	"github.com/RoaringBitmap/roaring":     {"query", "engine"},
	"github.com/gorilla/websocket":         {"server", "api", "cmd", "bench"},
	"github.com/alecthomas/kong":           {"cmd"},
	"encoding/json":                        {"api", "server", "query", "persist", "cmd", "bench", "console", "internal"},
	"github.com/go-json-experiment/json":   {"api", "server", "query", "cmd", "bench"},
	"github.com/valyala/fastjson":          {"server", "cmd", "bench"},
	"github.com/prometheus/client_golang/": {"server", "cmd", "cluster", "bench"},
}

// Imports holds a file's imports against the matrix. Tests of a package may look further than the
// package itself.
func Imports(f *File) []Finding {
	if f.IsTest() || f.Top() == "" {
		return nil
	}
	var found []Finding
	for _, spec := range f.AST.Imports {
		path := importPath(spec)
		if inside, ours := strings.CutPrefix(path, Module+"/"); ours {
			if !allowedInside(f.Top(), inside) {
				found = append(found, Finding{f.at(spec.Pos()), f.Top() + " imports " + inside,
					f.Top() + " may import of ours: " + orNothing(mayImport[f.Top()]) + "; define an interface here and let cmd fill it"})
			}
			continue
		}
		for prefix, tops := range onlyIn {
			if (path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")) && !slices.Contains(tops, f.Top()) {
				found = append(found, Finding{f.at(spec.Pos()), f.Top() + " imports " + path,
					"it belongs to " + strings.Join(tops, ", ") + "; take what you need through an interface"})
			}
		}
	}
	return found
}

func allowedInside(top, inside string) bool {
	target, _, _ := strings.Cut(inside, "/")
	allowed, known := mayImport[top]
	return top == "cmd" || target == top || inside == "internal/invariant" || known && slices.Contains(allowed, target)
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

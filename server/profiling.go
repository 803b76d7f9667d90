package server

import (
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	runtimepprof "runtime/pprof"
	"strconv"
	"strings"

	"github.com/musterdb/muster/api/codes"
)

// profilingRoutes are those of net/http/pprof, whose handlers are used, and not its mux. As long as there
// are no keys they answer callers on this machine only, wherever the server listens: a profile names files
// and arguments.
func (s *Server) profilingRoutes() []route {
	get := func(pattern, id, summary, media string, handle handler) route {
		return route{method: "GET", pattern: pattern, class: healthClass, reads: true, handle: func(w *answer, r *http.Request) error {
			if err := localOnly(r.RemoteAddr); err != nil {
				return err
			}
			return handle(w, r)
		}, operation: operation{id: id, summary: summary, media: []string{media}}}
	}
	seconds := []parameter{{"seconds", 0, "For how long"}}
	named := get("/debug/pprof/{profile}", "pprofNamed", "A profile for go tool pprof: allocs, block, goroutine, heap, mutex, threadcreate", "application/octet-stream", func(w *answer, r *http.Request) error {
		name := r.PathValue("profile")
		if runtimepprof.Lookup(name) == nil {
			return problem(codes.NotFound, "there is no profile "+strconv.Quote(name))
		}
		pprof.Handler(name).ServeHTTP(w, r)
		return nil
	})
	cpu := get("/debug/pprof/profile", "pprofCPU", "What the processor does, for go tool pprof; 30 s by default", "application/octet-stream", func(w *answer, r *http.Request) error {
		pprof.Profile(w, r)
		return nil
	})
	trace := get("/debug/pprof/trace", "pprofTrace", "Everything that happens, for go tool trace; 1 s by default", "application/octet-stream", func(w *answer, r *http.Request) error {
		pprof.Trace(w, r)
		return nil
	})
	cpu.query, trace.query = seconds, seconds
	return []route{named, cpu, trace, get("/debug/pprof", "pprof", "The profiles there are, one a line", "text/plain", func(w *answer, r *http.Request) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		names := []string{"profile", "trace"}
		for _, p := range runtimepprof.Profiles() {
			names = append(names, p.Name())
		}
		_, err := io.WriteString(w, strings.Join(names, "\n")+"\n")
		return unsent(err)
	})}
}

// localOnly refuses callers of other machines.
func localOnly(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err == nil && loopback(host) {
		return nil
	}
	return problem(codes.ForbiddenOrigin, "profiles are for callers on the node's own machine")
}

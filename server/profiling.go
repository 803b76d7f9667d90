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

// profilingRoutes returns the routes of net/http/pprof, with its handlers but without its mux. While
// there are no keys they only answer callers on this machine, whatever address the server listens on: a
// profile shows file names and arguments.
func (s *Server) profilingRoutes() []route {
	get := func(pattern, id, summary, media string, handle handler) route {
		return route{method: "GET", pattern: pattern, class: healthClass, reads: true, handle: func(w *answer, r *http.Request) error {
			if err := localOnly(r.RemoteAddr); err != nil {
				return err
			}
			return handle(w, r)
		}, operation: operation{id: id, summary: summary, media: []string{media}}}
	}
	seconds := []parameter{{"seconds", 0, "How long to record, in seconds"}}
	named := get("/debug/pprof/{profile}", "pprofNamed", "A profile for go tool pprof: allocs, block, goroutine, heap, mutex, threadcreate", "application/octet-stream", func(w *answer, r *http.Request) error {
		name := r.PathValue("profile")
		if runtimepprof.Lookup(name) == nil {
			return problem(codes.NotFound, "there is no profile "+strconv.Quote(name))
		}
		pprof.Handler(name).ServeHTTP(w, r)
		return nil
	})
	cpu := get("/debug/pprof/profile", "pprofCPU", "CPU profile, for go tool pprof; 30 s by default", "application/octet-stream", func(w *answer, r *http.Request) error {
		pprof.Profile(w, r)
		return nil
	})
	trace := get("/debug/pprof/trace", "pprofTrace", "Execution trace, for go tool trace; 1 s by default", "application/octet-stream", func(w *answer, r *http.Request) error {
		pprof.Trace(w, r)
		return nil
	})
	cpu.query, trace.query = seconds, seconds
	return []route{named, cpu, trace, get("/debug/pprof", "pprof", "The available profiles, one a line", "text/plain", func(w *answer, r *http.Request) error {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		names := []string{"profile", "trace"}
		for _, p := range runtimepprof.Profiles() {
			names = append(names, p.Name())
		}
		_, err := io.WriteString(w, strings.Join(names, "\n")+"\n")
		return unsent(err)
	})}
}

// localOnly refuses callers on other machines.
func localOnly(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err == nil && loopback(host) {
		return nil
	}
	return problem(codes.ForbiddenOrigin, "profiles are for callers on the node's own machine")
}

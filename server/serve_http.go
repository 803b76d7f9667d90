package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/musterdb/muster/api/codes"
)

// handler answers a request; an error that it returns is answered as a problem.
type handler func(w *answer, r *http.Request) error

// routed registers a route at the mux, which is only used to find routes.
type routed struct{ *route }

// ServeHTTP records in the capture which route was found.
func (f routed) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.(*capture).route = f.route }

// capture is the ResponseWriter that the mux gets. It discards what the mux would answer itself (not
// found, wrong method, redirects); the server answers that as a problem.
type capture struct{ route *route }

// Header returns a header that is discarded.
func (*capture) Header() http.Header { return http.Header{} }

// Write discards b.
func (*capture) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader does nothing.
func (*capture) WriteHeader(int) {}

// answer is a ResponseWriter that records what has been sent, and gives every write a deadline.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	route   *route
	status  int
	bytes   int64

	admitted bool // the request has its slot
	reading  bool // the handler has begun to read the body
	broken   bool // a write failed
}

// WriteHeader writes and records the status.
func (w *answer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes b with a new deadline.
func (w *answer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if err := w.control.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("set write deadline: %w", err)
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	w.broken = w.broken || err != nil
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP finds the route, checks that the request may use it, and answers.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	started := time.Now()
	w := &answer{ResponseWriter: rw, control: http.NewResponseController(rw), timeout: s.cfg.WriteTimeout}
	defer func() {
		cause := recover()
		if cause != nil && cause != http.ErrAbortHandler {
			s.cfg.Log.Error("handler panicked", "method", r.Method, "path", r.URL.Path, "err", cause, "stack", string(debug.Stack()))
			s.metrics.panics.Inc()
			if w.status == 0 {
				s.fail(w, r, problem(codes.Internal, "see the server's log"))
				cause = nil
			}
		}
		s.observe(w, r, time.Since(started))
		if cause != nil {
			panic(http.ErrAbortHandler) // half an answer must not look complete
		}
	}()
	if r.ContentLength != 0 {
		// If the request is refused before its body is read, the answer waits for the body: not forever.
		_ = w.control.SetReadDeadline(time.Now().Add(s.cfg.BodyTimeout)) // an httptest recorder has no deadlines
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	gap := plainPath(r)
	handle, release, err := s.admit(w, r, gap)
	if err == nil {
		defer release()
		w.admitted = true
		err = handle(w, r)
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

func (s *Server) observe(w *answer, r *http.Request, took time.Duration) {
	pattern := "none"
	if w.route != nil {
		pattern = w.route.pattern
	}
	s.metrics.requests.WithLabelValues(pattern, strconv.Itoa(w.status)).Inc()
	s.metrics.durations.WithLabelValues(pattern).Observe(took.Seconds())
	s.cfg.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", w.status, "bytes", w.bytes, "ms", float64(took.Microseconds())/1000)
}

// plainPath removes double and trailing slashes from the path: SDKs are configured with hosts with and
// without a trailing slash, and some of them take a redirect for a successful delivery. Slashes of an id
// are escaped and stay. gap reports whether there was an empty part between others.
func plainPath(r *http.Request) (gap bool) {
	given := r.URL.EscapedPath()
	plain := "/" + strings.Trim(given, "/")
	gap = strings.Contains(plain, "//")
	for strings.Contains(plain, "//") {
		plain = strings.ReplaceAll(plain, "//", "/")
	}
	if plain == given {
		return false
	}
	if path, err := url.PathUnescape(plain); err == nil {
		r.URL.Path, r.URL.RawPath = path, plain
	}
	return gap
}

// admit finds the route of a request and takes a slot for it, which release returns. A path with a gap is
// only valid for an SDK that was configured with a path as its host: elsewhere an empty name would be
// taken for the next part of the path.
func (s *Server) admit(w *answer, r *http.Request, gap bool) (handle handler, release func(), err error) {
	release = func() {}
	w.route = s.find(r)
	if w.route != nil && gap && w.route.pages != openPages {
		w.route = nil
		return nil, nil, problem(codes.NotFound, "a part of the path is empty")
	}
	if w.route == nil {
		handle, err := s.unrouted(w, r)
		return handle, release, err
	}
	if err := s.guard(w, r); err != nil {
		return nil, nil, err
	}
	if w.route.pages != openPages && w.route.class != healthClass {
		if err := checkQueryString(r, w.route); err != nil {
			return nil, nil, err
		}
	}
	slots := s.requests
	switch w.route.class {
	case healthClass:
		return w.route.handle, release, nil
	case ingestClass:
		slots = s.ingests
	case streamClass:
		return s.streams.admit(w.route.handle)
	}
	select {
	case slots <- struct{}{}:
		return w.route.handle, func() { <-slots }, nil
	default:
		s.openBodies.cutSlow(time.Now())
		return nil, nil, busy(codes.Overloaded, "too many concurrent requests", time.Second)
	}
}

// find returns the route of a request, nil if there is none.
func (s *Server) find(r *http.Request) *route {
	for _, part := range strings.Split(r.URL.EscapedPath(), "/") {
		if part == "." || part == ".." { // the mux would redirect
			return nil
		}
	}
	found := &capture{}
	if !hasSlashes(r.URL) {
		s.mux.ServeHTTP(found, r) // sets the path values
		return found.route
	}
	// The mux treats a part that is only an escaped slash as the end of the path. It is replaced by
	// another name for the lookup.
	other := r.Clone(r.Context())
	renameSlashes(other.URL)
	s.mux.ServeHTTP(found, other)
	if found.route == nil {
		return nil
	}
	for _, part := range strings.Split(found.route.pattern, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			value := other.PathValue(name)
			if value == slashName {
				value = "/"
			}
			r.SetPathValue(name, value)
		}
	}
	return found.route
}

// slashName replaces an id or name that is a single slash while a route is looked up.
const slashName = "\x00/"

// hasSlashes reports whether a part of a path is only an escaped slash.
func hasSlashes(u *url.URL) bool {
	return u.RawPath != "" && (strings.Contains(u.RawPath+"/", "/%2F/") || strings.Contains(u.RawPath+"/", "/%2f/"))
}

func renameSlashes(u *url.URL) {
	parts := strings.Split(u.RawPath, "/")
	for i, part := range parts {
		if part == "%2F" || part == "%2f" {
			parts[i] = url.PathEscape(slashName)
		}
	}
	u.RawPath = strings.Join(parts, "/")
	u.Path, _ = url.PathUnescape(u.RawPath) // it was a valid path
}

// unrouted answers preflights, and refuses an unknown path or method.
func (s *Server) unrouted(w *answer, r *http.Request) (handler, error) {
	var methods []string
	open := false
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if route := s.find(other); route != nil {
			methods, open = append(methods, method), open || route.pages == openPages
		}
	}
	if len(methods) == 0 {
		return nil, problem(codes.NotFound, "there is nothing at "+r.URL.Path)
	}
	allow := strings.Join(append(methods, http.MethodOptions), ", ")
	w.Header().Set("Allow", allow)
	if r.Method != http.MethodOptions {
		return nil, problem(codes.MethodNotAllowed, r.Method+" is not among "+allow)
	}
	return s.preflight(open, allow), nil
}

// queryContext returns a context with the time limit of a statement.
func (s *Server) queryContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), s.cfg.QueryTimeout)
}

// slogLines returns a logger for net/http, whose lines (mostly about broken connections) go to the log at
// debug level.
func slogLines(to *slog.Logger) *log.Logger {
	return slog.NewLogLogger(to.Handler(), slog.LevelDebug)
}

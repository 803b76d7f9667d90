package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/engine"
)

// audience determines which pages may use a route besides the server's own and those of the configured
// origins. It only concerns browsers: a client that is not a page may use all routes.
type audience uint8

const (
	ownPages  audience = iota
	linked             // pages of other sites may link here
	harmless           // pages of other sites may send requests, but not read the answers
	openPages          // pages of any site may send requests and read the answers
)

// foreign reports whether a request comes from a page of a site that was not configured. Browsers send
// Sec-Fetch-Site if they trust the server's address (https, or this machine). Otherwise they send Origin
// with every request that a script may read or that may change something. A request with neither does not
// come from a page.
func (s *Server) foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" && s.allowedOrigin(origin) {
		return false
	}
	told := r.Header.Values("Sec-Fetch-Site")
	for _, site := range told {
		if site != "same-origin" && site != "none" { // none: a typed address or a bookmark
			return true
		}
	}
	return len(told) == 0 && origin != "" && !sameHost(origin, r.Host)
}

// allowedOrigin reports whether an origin is among the configured ones.
func (s *Server) allowedOrigin(origin string) bool {
	for _, allowed := range s.cfg.Origins {
		if strings.EqualFold(origin, strings.TrimSuffix(allowed, "/")) {
			return true
		}
	}
	return false
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

// guard prevents pages of other sites from using the browser of somebody who may connect (with an image,
// a frame, a form or a script), and refuses foreign host names that were made to point to this server.
func (s *Server) guard(w *answer, r *http.Request) error {
	if w.route.pages == openPages {
		allowOrigin(w)
		return nil
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	if err := s.guardHost(r); err != nil {
		return err
	}
	if origin := r.Header.Get("Origin"); origin != "" && s.allowedOrigin(origin) {
		allowNamed(w, origin)
	}
	if w.route.pages == harmless || w.route.pages == linked && navigates(r) || !s.foreign(r) {
		return nil
	}
	return problem(codes.ForbiddenOrigin, "the request comes from a page of another site, whose origin is not allowed: allow it with --origins")
}

// navigates reports whether the request comes from following a link in a window, and not in a frame.
func navigates(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// guardHost refuses host names that are not this server's.
func (s *Server) guardHost(r *http.Request) error {
	if !s.cfg.LocalOnly {
		return nil
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "" || net.ParseIP(host) != nil || loopback(host) {
		return nil
	}
	for _, name := range s.cfg.Hosts {
		if strings.EqualFold(name, host) {
			return nil
		}
	}
	return problem(codes.ForbiddenOrigin, fmt.Sprintf("the host name %.100q is not one of this server's", host))
}

// allowOrigin allows pages of any site to send, and to read when to retry.
func allowOrigin(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
}

// allowNamed allows pages of one site to read the answer.
func allowNamed(w http.ResponseWriter, origin string) {
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Add("Vary", "Origin")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After, Muster-Now, Muster-Warnings")
}

// preflight returns a handler that tells the browser what a page may send.
func (s *Server) preflight(open bool, allow string) handler {
	return func(w *answer, r *http.Request) error {
		origin := r.Header.Get("Origin")
		switch {
		case open:
			allowOrigin(w)
		case origin != "" && s.allowedOrigin(origin):
			allowNamed(w, origin)
		default:
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		w.Header().Set("Access-Control-Allow-Methods", allow)
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, AnonymousId, Content-Type, Content-Encoding, X-Retry-Count, X-Write-Key, X-Enable-Debug, Last-Event-ID")
		w.Header().Set("Access-Control-Max-Age", "86400")
		if r.Header.Get("Access-Control-Request-Private-Network") != "" {
			w.Header().Set("Access-Control-Allow-Private-Network", "true")
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// identityForbidden reports whether a request may not send alias and profile messages.
func (s *Server) identityForbidden(r *http.Request) bool { return !s.cfg.OpenIdentity && s.foreign(r) }

// checkImport refuses imports by pages of other sites: their messages would be identified by file and
// line, and so could pass for those of a real import.
func (s *Server) checkImport(r *http.Request) error {
	if !s.identityForbidden(r) {
		return nil
	}
	return problem(codes.ForbiddenOrigin, "imports from pages of other sites are refused: allow a site with --origins, or all sites with --open-identity")
}

// checkIdentity returns an error if a kind of message is not accepted from pages of other sites: one that
// joins two profiles for good, or that sets attributes without an event.
func checkIdentity(kind engine.Kind) error {
	if kind != engine.Alias && kind != engine.Profile {
		return nil
	}
	return errors.New(kind.String() + " messages from pages of other sites are refused: allow a site with --origins, or all sites with --open-identity")
}

// checkOrigins returns an error for each invalid origin.
func checkOrigins(origins []string) (faults []error) {
	for _, origin := range origins {
		u, err := url.Parse(strings.TrimSuffix(origin, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			faults = append(faults, fmt.Errorf("server config: origin %q is not valid: write it like https://shop.example", origin))
		}
	}
	return faults
}

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

// audience says whose pages may use a route besides the server's own and those of the configured origins. It is
// about browsers: what is no page of a site may use all of them.
type audience uint8

const (
	ownPages  audience = iota
	linked             // pages of other sites may lead their visitors here, as to any page
	harmless           // pages of other sites may ask, though not read the answer
	openPages          // pages of any site may send, and read the answer
)

// foreign reports whether a request comes from a page of another site that was not configured. Browsers say
// where a request comes from in Sec-Fetch-Site wherever the server is one they trust (https, or this machine),
// and else in Origin for all that a script may read or that changes something. What says neither is no page.
func (s *Server) foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" && s.named(origin) {
		return false
	}
	told := r.Header.Values("Sec-Fetch-Site")
	for _, site := range told {
		if site != "same-origin" && site != "none" { // none: typed, or a bookmark
			return true
		}
	}
	return len(told) == 0 && origin != "" && !sameHost(origin, r.Host)
}

// named reports whether an origin is one of those the server was given.
func (s *Server) named(origin string) bool {
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

// guard keeps pages of other sites from using the browser of somebody who may connect, be it by an image, a
// frame, a form or a script, and a name that was made to point here from being taken for this server's.
func (s *Server) guard(w *answer, r *http.Request) error {
	if w.route.pages == openPages {
		allowOrigin(w)
		return nil
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	if err := s.guardHost(r); err != nil {
		return err
	}
	if origin := r.Header.Get("Origin"); origin != "" && s.named(origin) {
		allowNamed(w, origin)
	}
	if w.route.pages == harmless || w.route.pages == linked && navigates(r) || !s.foreign(r) {
		return nil
	}
	return problem(codes.ForbiddenOrigin, "a page of another site asks, whose origin is none that this server was given (--origins)")
}

// navigates reports whether somebody follows a link, in a window of its own and not in a frame.
func navigates(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// guardHost refuses names that are none of this server's.
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
	return problem(codes.ForbiddenOrigin, fmt.Sprintf("the host name %.100q is not one this server was given", host))
}

// allowOrigin lets pages of any site send, and read when to try again.
func allowOrigin(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
}

// allowNamed lets the pages of one site read the answer.
func allowNamed(w http.ResponseWriter, origin string) {
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Add("Vary", "Origin")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After, Muster-Now, Muster-Warnings")
}

// preflight tells a browser what a page may send.
func (s *Server) preflight(open bool, allow string) handler {
	return func(w *answer, r *http.Request) error {
		origin := r.Header.Get("Origin")
		switch {
		case open:
			allowOrigin(w)
		case origin != "" && s.named(origin):
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

// limited reports whether a request's messages may not say who is who.
func (s *Server) limited(r *http.Request) bool { return !s.cfg.OpenIdentity && s.foreign(r) }

// importsOf refuses imports by pages of other sites: they would be known by file and line like those of
// somebody who may import.
func (s *Server) importsOf(r *http.Request) error {
	if !s.limited(r) {
		return nil
	}
	return problem(codes.ForbiddenOrigin, "imports from pages of other sites are not taken: --origins names sites that may, --open-identity lets all")
}

// refusesIdentity says why a message is not taken from a page of another site, nil where it is: one that joins
// two profiles for good, or sets attributes without standing for anything that happened.
func refusesIdentity(kind engine.Kind) error {
	if kind != engine.Alias && kind != engine.Profile {
		return nil
	}
	return errors.New(kind.String() + " messages from pages of other sites are not taken: --origins names sites that may send them, --open-identity lets all")
}

// checkOrigins refuses what is no origin.
func checkOrigins(origins []string) (faults []error) {
	for _, origin := range origins {
		u, err := url.Parse(strings.TrimSuffix(origin, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			faults = append(faults, fmt.Errorf("server config: origin %q is not one such as https://shop.example", origin))
		}
	}
	return faults
}

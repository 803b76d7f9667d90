package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/server/webhook"
)

// Server answers HTTP requests for a node. It is an http.Handler; Serve runs it with the right
// timeouts.
type Server struct {
	cfg      Config
	attached atomic.Pointer[Node]
	rejects  *rejectLog
	metrics  *metrics
	mux      *http.ServeMux
	routes   []route
	names    knownNames
	openapi  []byte
	schemas  schemas

	inFlight     budget
	newNames     *newNames
	senders      *senders
	ingests      chan struct{} // slots
	requests     chan struct{}
	decoders     sync.Pool // of *decode.Decoder
	parcels      sync.Pool // of *parcel
	bodies       sync.Pool // of *[]byte
	gzips        sync.Pool // of *gzip.Reader
	changes      atomic.Pointer[Live]
	streams      *streams
	hooks        atomic.Pointer[webhook.Hooks]
	writeBuffers sync.Pool // of gorilla's
	corkRooms    sync.Pool // of *[]byte: what streams write at once
	idPrefix     string
	idCounter    atomic.Uint64
}

// New returns a Server. Until Attach everything that needs a node answers 503 not_ready, so that the listener can
// be up while one opens.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:      cfg,
		rejects:  newRejectLog(cfg.RejectCount, cfg.RejectBytes),
		inFlight: budget{limit: cfg.MaxInFlight},
		senders:  newSenders(cfg),
		newNames: newNewNames(cfg.NewNames, cfg.NewNamesEach, cfg.Now),
		ingests:  make(chan struct{}, cfg.MaxIngests),
		requests: make(chan struct{}, cfg.MaxRequests),
		streams:  newStreams(cfg.MaxStreams),
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("make message ids: %w", err)
	}
	s.idPrefix = "muster-" + hex.EncodeToString(random[:]) + "-"
	var err error
	if s.metrics, err = newMetrics(cfg.Registry, s); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	s.routes = s.table()
	s.mux = http.NewServeMux()
	for i := range s.routes {
		s.mux.Handle(s.routes[i].method+" "+s.routes[i].pattern, routed{&s.routes[i]})
	}
	if s.openapi, err = s.document(); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return s, nil
}

// Attach gives the server its node, once that is open.
func (s *Server) Attach(n Node) { s.attached.Store(&n) }

// node returns the node. While there is none it returns one that is not ready.
func (s *Server) node() *Node {
	if n := s.attached.Load(); n != nil {
		return n
	}
	return openingNode()
}

// newID makes the id of a message that came without one: every such message is a fact of its own.
func (s *Server) newID() string {
	return s.idPrefix + strconv.FormatUint(s.idCounter.Add(1), 36)
}

// Serve answers on listener until ctx ends; then it lets requests finish for at most grace.
func (s *Server) Serve(ctx context.Context, listener net.Listener, grace time.Duration) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slogLines(s.cfg.Log),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.streams.end() // they would go on for ever
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	hooks := make(chan error, 1)
	go func() { hooks <- s.StopWebhooks(patience) }() // requests need not wait for them
	err := errors.Join(s.streams.wait(patience), server.Shutdown(patience), <-hooks)
	if err != nil {
		err = errors.Join(fmt.Errorf("shut down %s: %w", listener.Addr(), err), server.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

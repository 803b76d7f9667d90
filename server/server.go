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

// Server answers HTTP requests for a node. It is an http.Handler; Serve runs it with the right timeouts.
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

	inFlight      budget
	nameLimits    *nameLimits
	openBodies    *openBodies
	ingests       chan struct{} // slots of ingest requests
	requests      chan struct{} // slots of other requests
	decoders      sync.Pool     // of *decode.Decoder
	batches       sync.Pool     // of *batch
	bodies        sync.Pool     // of *[]byte
	gzips         sync.Pool     // of *gzip.Reader
	changes       atomic.Pointer[Live]
	streams       *streams
	hooks         atomic.Pointer[webhook.Hooks]
	writeBuffers  sync.Pool // of gorilla/websocket
	streamBuffers sync.Pool // of *[]byte, for bufferedConn
	idPrefix      string
	idCounter     atomic.Uint64
}

// New returns a Server. Until Attach, everything that needs a node answers 503 not_ready, so that the
// listener can be up while the node starts.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:        cfg,
		rejects:    newRejectLog(cfg.RejectCount, cfg.RejectBytes),
		inFlight:   budget{limit: cfg.MaxInFlight},
		openBodies: newOpenBodies(cfg),
		nameLimits: newNameLimits(cfg.NewNames, cfg.NewNamesEach, cfg.Now),
		ingests:    make(chan struct{}, cfg.MaxIngests),
		requests:   make(chan struct{}, cfg.MaxRequests),
		streams:    newStreams(cfg.MaxStreams),
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

// Attach sets the server's node, once that is open.
func (s *Server) Attach(n Node) { s.attached.Store(&n) }

// node returns the node, or one that is not ready while there is none.
func (s *Server) node() *Node {
	if n := s.attached.Load(); n != nil {
		return n
	}
	return startingNode()
}

// newID returns an id for a message without one, which is never a duplicate.
func (s *Server) newID() string {
	return s.idPrefix + strconv.FormatUint(s.idCounter.Add(1), 36)
}

// Serve answers on listener until ctx ends; then it gives running requests at most grace to finish.
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
	s.streams.end() // they would never end
	graceCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	hooks := make(chan error, 1)
	go func() { hooks <- s.StopWebhooks(graceCtx) }() // at the same time as the requests
	err := errors.Join(s.streams.wait(graceCtx), server.Shutdown(graceCtx), <-hooks)
	if err != nil {
		err = errors.Join(fmt.Errorf("shut down %s: %w", listener.Addr(), err), server.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/musterdb/muster/server/decode"
)

// Config is how a Server behaves. Zero values mean the defaults named here.
type Config struct {
	Log      *slog.Logger         // nothing is logged without one
	Registry *prometheus.Registry // of the metrics; a new one
	Now      func() time.Time     // time.Now
	Version  string               // shown on the front page; "dev"

	MaxBody      int64 // bytes of one body once inflated, except streams; 16 MiB
	MaxLine      int   // bytes of one line or array item of POST /v1/events; 1 MiB
	MaxItems     int   // messages of one batch; 20,000
	MaxInFlight  int64 // bytes of all bodies held at once; 256 MiB
	MaxIngests   int   // ingest requests at once; 512
	MaxRequests  int   // other requests at once; 256
	MaxProblems  int   // problems one answer lists; 10,000
	MaxRejects   int   // messages of a stream that may be rejected while fewer are taken; 10,000
	MaxInflation int   // bytes that one byte of an encoded body may become, behind the first MiB; 100
	MaxStreams   int   // sockets and other endless answers at once; 10,000

	NewNames     int // new names of events and attributes that a sender may bring at once; 1,000; negative: any number
	NewNamesEach int // and every minute; 100

	HeaderTimeout time.Duration // to read the headers; 10 s
	IdleTimeout   time.Duration // between requests of a connection; 2 min
	BodyTimeout   time.Duration // for a whole body, and for each read of a stream; 30 s
	BodyGrace     time.Duration // for which a body may come more slowly than MinBodyRate; 5 s
	MinBodyRate   int64         // bytes a second of a body, and of streams while others wait; 1 KiB
	WriteTimeout  time.Duration // for each write of an answer; 30 s
	IngestTimeout time.Duration // until messages are durable; 60 s
	QueryTimeout  time.Duration // of a statement; 30 s
	Heartbeat     time.Duration // between signs of life on a stream; 15 s
	StreamTimeout time.Duration // for each write to a stream; 30 s

	RejectCount int   // rejects kept; 10,000
	RejectBytes int64 // and their bytes; 8 MiB

	// Hosts are the names clients may use besides addresses and localhost; it is only looked at when
	// LocalOnly is set, which a loopback listener without keys needs against rebinding of names.
	LocalOnly bool
	Hosts     []string

	// Origins are the sites (such as https://shop.example) whose pages may do everything that the server's own
	// may. Pages of other sites may send messages, and nothing else.
	Origins []string
	// OpenIdentity says that they may also send alias and profile messages, and import.
	OpenIdentity bool

	PrivateWebhooks bool // webhooks may go to addresses of this machine and of private networks

	// Turn waits until messages may be decoded for a fraction of a millisecond; end must be called then. nil:
	// at once.
	Turn func(ctx context.Context) (end func())

	Message decode.Limits
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	orDefault(&c.MaxBody, 16<<20)
	orDefault(&c.MaxLine, 1<<20)
	orDefault(&c.MaxItems, 20_000)
	orDefault(&c.MaxInFlight, 256<<20)
	orDefault(&c.MaxIngests, 512)
	orDefault(&c.MaxRequests, 256)
	orDefault(&c.MaxProblems, 10_000)
	orDefault(&c.MaxRejects, 10_000)
	orDefault(&c.NewNames, 1000)
	orDefault(&c.NewNamesEach, 100)
	orDefault(&c.MaxInflation, 100)
	orDefault(&c.MaxStreams, 10_000)
	orDefault(&c.Heartbeat, 15*time.Second)
	orDefault(&c.StreamTimeout, 30*time.Second)
	orDefault(&c.HeaderTimeout, 10*time.Second)
	orDefault(&c.IdleTimeout, 2*time.Minute)
	orDefault(&c.BodyTimeout, 30*time.Second)
	orDefault(&c.BodyGrace, 5*time.Second)
	orDefault(&c.MinBodyRate, 1<<10)
	orDefault(&c.WriteTimeout, 30*time.Second)
	orDefault(&c.IngestTimeout, time.Minute)
	orDefault(&c.QueryTimeout, 30*time.Second)
	orDefault(&c.RejectCount, 10_000)
	orDefault(&c.RejectBytes, 8<<20)
	c.Message = c.Message.WithDefaults()
	if c.Turn == nil {
		c.Turn = func(context.Context) func() { return func() {} }
	}
	return c
}

func orDefault[T int | int64 | time.Duration](at *T, value T) {
	if *at == 0 {
		*at = value
	}
}

// Validate reports everything that makes no sense at once. It judges the values with defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	for _, f := range []struct {
		name  string
		value int64
		least int64
	}{
		{"max body", c.MaxBody, 1024}, {"max line", int64(c.MaxLine), 1024}, {"max items", int64(c.MaxItems), 1},
		{"max in flight", c.MaxInFlight, streamBudget}, {"max ingests", int64(c.MaxIngests), 1}, {"max requests", int64(c.MaxRequests), 1},
		{"max problems", int64(c.MaxProblems), 1}, {"max rejects", int64(c.MaxRejects), 1}, {"max inflation", int64(c.MaxInflation), 1}, {"reject count", int64(c.RejectCount), 1}, {"reject bytes", c.RejectBytes, maxExcerpt},
		{"header timeout", int64(c.HeaderTimeout), 1}, {"idle timeout", int64(c.IdleTimeout), 1}, {"body grace", int64(c.BodyGrace), 1}, {"min body rate", c.MinBodyRate, 1}, {"body timeout", int64(c.BodyTimeout), 1},
		{"write timeout", int64(c.WriteTimeout), 1}, {"ingest timeout", int64(c.IngestTimeout), 1}, {"query timeout", int64(c.QueryTimeout), 1},
		{"max streams", int64(c.MaxStreams), 1}, {"heartbeat", int64(c.Heartbeat), int64(10 * time.Millisecond)}, {"stream timeout", int64(c.StreamTimeout), 1},
	} {
		if f.value < f.least {
			faults = append(faults, fmt.Errorf("server config: %s is %d: must be at least %d", f.name, f.value, f.least))
		}
	}
	if c.MaxBody > c.MaxInFlight {
		faults = append(faults, fmt.Errorf("server config: max body %d is above max in flight %d", c.MaxBody, c.MaxInFlight))
	}
	faults = append(faults, checkOrigins(c.Origins)...)
	return errors.Join(append(faults, c.Message.Validate())...)
}

// CheckListen refuses an address that others can reach: until keys exist anybody who can connect may
// read and write everything. insecure says that this is wanted.
func CheckListen(addr string, insecure bool) error {
	if insecure {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", addr, err)
	}
	if loopback(host) {
		return nil
	}
	return fmt.Errorf("listen on %q: everybody who can reach it could read and write everything, as there are no keys: listen on 127.0.0.1, or say --insecure", addr)
}

func loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

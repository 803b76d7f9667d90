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

// Config is the configuration of a Server. A zero value means the default, which is given last below.
type Config struct {
	Log      *slog.Logger         // nothing is logged if nil
	Registry *prometheus.Registry // for the metrics; a new one
	Now      func() time.Time     // time.Now
	Version  string               // shown on the front page; "dev"

	MaxBody      int64 // bytes of one decompressed body, except streams; 16 MiB
	MaxLine      int   // bytes of one line or array item of POST /v1/events; 1 MiB
	MaxItems     int   // messages of one batch; 20,000
	MaxInFlight  int64 // bytes of all bodies in memory; 256 MiB
	MaxIngests   int   // concurrent ingest requests; 512
	MaxRequests  int   // other concurrent requests; 256
	MaxProblems  int   // problems listed in one answer; 10,000
	MaxRejects   int   // rejected messages after which a stream ends if fewer were accepted; 10,000
	MaxInflation int   // bytes that one byte of an encoded body may inflate to, after the first MiB; 100
	MaxStreams   int   // concurrent sockets and other endless answers; 10,000

	NewNames     int // new names of events and attributes that a sender may add at once; 1,000; negative: no limit
	NewNamesEach int // and per minute; 100

	HeaderTimeout time.Duration // for reading the headers; 10 s
	IdleTimeout   time.Duration // between requests of a connection; 2 min
	BodyTimeout   time.Duration // for a whole body, and for each read of a stream; 30 s
	BodyGrace     time.Duration // for which a body may be slower than MinBodyRate; 5 s
	MinBodyRate   int64         // bytes per second of a body, and of a stream while all slots are taken; 1 KiB
	WriteTimeout  time.Duration // for each write of an answer; 30 s
	IngestTimeout time.Duration // until messages are durable; 60 s
	QueryTimeout  time.Duration // of a statement; 30 s
	Heartbeat     time.Duration // between signs of life on a stream; 15 s
	StreamTimeout time.Duration // for each write to a stream; 30 s

	RejectCount int   // rejects that are kept; 10,000
	RejectBytes int64 // and their bytes; 8 MiB

	// Hosts are the names that clients may use besides addresses and localhost. They are only checked if
	// LocalOnly is set, as it must be for a loopback listener without keys: it protects against DNS
	// rebinding.
	LocalOnly bool
	Hosts     []string

	// Origins are the sites (such as https://shop.example) whose pages may do everything that the
	// server's own pages may. Pages of other sites may only send messages.
	Origins []string
	// OpenIdentity allows pages of other sites to send alias and profile messages too, and to import.
	OpenIdentity bool

	PrivateWebhooks bool // webhooks may go to addresses of this machine and of private networks

	// Turn waits until the caller may decode messages. The caller must call end within a fraction of a
	// millisecond. nil: no wait.
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

// Validate returns an error that lists everything that is out of range, after defaults have been applied.
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

// CheckListen refuses an address that other machines can reach: until there are keys, everyone who can
// connect may read and write everything. insecure allows it anyway.
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
	return fmt.Errorf("listen on %q: there are no keys yet, so everyone who can reach this address could read and write everything: listen on 127.0.0.1, or pass --insecure", addr)
}

func loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

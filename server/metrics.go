package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/musterdb/muster/engine"
)

// metrics are the server's own counters. The node's counters are read at each scrape.
type metrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	panics    prometheus.Counter
	messages  struct{ accepted, duplicate, rejected, dropped prometheus.Counter }
}

// scrapeTimeout is how long a scrape waits for the node.
const scrapeTimeout = 5 * time.Second

func newMetrics(registry *prometheus.Registry, s *Server) (*metrics, error) {
	m := &metrics{
		requests:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "muster_http_requests_total", Help: "Requests by route and status."}, []string{"route", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "muster_http_request_seconds", Help: "Time to answer by route.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"route"}),
		panics:    prometheus.NewCounter(prometheus.CounterOpts{Name: "muster_http_panics_total", Help: "Requests that ended in a panic."}),
	}
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "muster_messages_total", Help: "Messages received, by outcome; dropped ones are accepted messages that lost a value."}, []string{"outcome"})
	m.messages.accepted = messages.WithLabelValues("accepted")
	m.messages.duplicate = messages.WithLabelValues("duplicate")
	m.messages.rejected = messages.WithLabelValues("rejected")
	m.messages.dropped = messages.WithLabelValues("dropped")
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "muster_http_body_bytes", Help: "Bytes of request bodies in memory."}, func() float64 { return float64(s.inFlight.used.Load()) })
	streams := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "muster_streams_open", Help: "Open sockets, event streams and polls for changes."}, func() float64 { return float64(len(s.streams.slots)) })
	var faults []error
	for _, c := range []prometheus.Collector{m.requests, m.durations, m.panics, messages, inFlight, streams, newNodeCollector(s)} {
		faults = append(faults, registry.Register(c))
	}
	return m, errors.Join(faults...)
}

// nodeCollector exports the node's Status as metrics.
type nodeCollector struct {
	s                                                    *Server
	ready, degraded, profiles, events, diskFree          *prometheus.Desc
	segments, segmentsLimit, reserved                    *prometheus.Desc
	memory, seq, lag, shardProfiles, shardEvents, logLen *prometheus.Desc
}

func newNodeCollector(s *Server) *nodeCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("muster_"+name, help, labels, nil)
	}
	return &nodeCollector{
		s:             s,
		ready:         desc("ready", "1 when the node serves."),
		degraded:      desc("degraded", "1 when the node serves but refuses some writes."),
		profiles:      desc("profiles", "Profiles in memory."),
		events:        desc("events", "Events in memory."),
		diskFree:      desc("disk_free_bytes", "Bytes free on the data disk."),
		segments:      desc("segments_price", "Estimated cost of all live segments: bytes of memory, seconds of processor time.", "of"),
		segmentsLimit: desc("segments_budget", "Limit on the cost of all live segments; 0 means no limit.", "of"),
		reserved:      desc("segments_reserved_bytes", "Memory reserved for segments that are being built."),
		memory:        desc("memory_bytes", "Memory by structure.", "structure"),
		seq:           desc("shard_seq", "Last applied position of a shard's log.", "shard"),
		lag:           desc("shard_settled_lag_seconds", "How far live membership is behind the shard's time.", "shard"),
		shardProfiles: desc("shard_profiles", "Profiles of a shard.", "shard"),
		shardEvents:   desc("shard_events", "Events of a shard.", "shard"),
		logLen:        desc("shard_log_bytes", "Bytes of a shard's log.", "shard"),
	}
}

// Describe sends nothing: the node's counters are not known in advance.
func (c *nodeCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the node's Status.
func (c *nodeCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	st := c.s.node().Health.Status(ctx)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge(c.ready, flag(st.Ready))
	gauge(c.degraded, flag(st.Degraded))
	gauge(c.profiles, float64(st.Profiles))
	gauge(c.events, float64(st.Events))
	gauge(c.diskFree, float64(st.DiskFree))
	for d, price := range map[*prometheus.Desc]engine.Price{c.segments: st.Prices.Price, c.segmentsLimit: st.Prices.Limit} {
		gauge(d, float64(price.Memory), "memory")
		gauge(d, price.Event.Seconds(), "event")
		gauge(d, price.Second.Seconds(), "second")
		gauge(d, price.Build.Seconds(), "build")
		gauge(d, price.Stop.Seconds(), "stop")
	}
	gauge(c.reserved, float64(st.Prices.Reserved))
	sums := make(map[string]int64)
	for _, line := range st.Memory {
		sums[line.Name] += line.Bytes
	}
	for name, bytes := range sums {
		gauge(c.memory, float64(bytes), name)
	}
	for _, shard := range st.Shards {
		id := strconv.Itoa(shard.Shard)
		gauge(c.seq, float64(shard.Seq), id)
		gauge(c.lag, float64(max(shard.Time-shard.SettledTo, 0))/1000, id)
		gauge(c.shardProfiles, float64(shard.Profiles), id)
		gauge(c.shardEvents, float64(shard.Events), id)
		gauge(c.logLen, float64(shard.LogBytes), id)
	}
	for name, n := range st.Counters {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("muster_node_"+name+"_total", "Counted by the node.", nil, nil), prometheus.CounterValue, float64(n))
	}
}

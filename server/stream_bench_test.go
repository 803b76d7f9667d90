package server

import (
	"io"
	"testing"
	"time"
)

// BenchmarkFollow measures the cost of a change from the log to a socket when many changes are waiting.
func BenchmarkFollow(b *testing.B) {
	const many = 100_000
	f := newFakeLive(b, 8, nil)
	_, h := newLiveServer(b, f, func(c *Config) { c.Heartbeat = time.Minute })
	start := f.Now().String()
	ordinals := make([]uint32, 1000)
	for i := range many / len(ordinals) {
		for k := range ordinals {
			ordinals[k] = uint32(i/8*len(ordinals) + k)
		}
		f.flip(i%8, ordinals...)
	}
	for b.Loop() {
		conn := dial(b, h.URL, nil)
		say(b, conn, `{"op":"subscribe","id":"s","segment":"VIP","credit":100000,"from":"`+start+`"}`)
		if n, err := io.CopyN(io.Discard, conn.NetConn(), many*180); err != nil {
			b.Fatalf("%d bytes: %v", n, err)
		}
		_ = conn.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/change")
}

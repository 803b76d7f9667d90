package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/musterdb/muster/cluster"
	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/query/tree"
)

// BenchmarkNodeIngest measures durable ingest without HTTP, from the router until an event can be queried: two
// senders with batches of 2,000 events with 4 properties each. One op is one event.
func BenchmarkNodeIngest(b *testing.B) {
	c := testConfig(b.TempDir())
	c.Tune = func(cc *cluster.Config) { cc.QueueBytes = 64 << 20 }
	n, err := openCluster(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			b.Error(err)
		}
	}()
	const batch = 2000
	batches := make(chan []engine.Incoming, 4)
	var senders sync.WaitGroup
	b.ResetTimer()
	for range 2 {
		senders.Go(func() {
			for msgs := range batches {
				if _, err := n.Ingest(b.Context(), msgs); err != nil {
					b.Errorf("ingest: %v", err)
				}
			}
		})
	}
	at := time.Now().UnixMilli()
	for sent := 0; sent < b.N; sent += batch {
		msgs := make([]engine.Incoming, batch)
		for i := range msgs {
			k := sent + i
			msgs[i] = engine.Incoming{
				Kind: engine.Track, MessageID: fmt.Sprintf("%016x", k*2654435761), UserID: fmt.Sprintf("user-%09d", k*7919%200_000),
				Event: [...]string{"Page Viewed", "Product Viewed", "Order Completed", "Search"}[k%4], Time: at, ReceivedAt: at,
				Fields: []engine.NamedField{
					field("amount", tree.NumInt(int64(k%1000))), field("category", tree.Str([...]string{"shoes", "hats", "books"}[k%3])),
					field("sku", tree.Str(fmt.Sprint("sku-", k%5000))), field("gift", tree.Bool(k%2 == 0)),
				},
			}
		}
		batches <- msgs
	}
	close(batches)
	senders.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

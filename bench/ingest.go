package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/musterdb/muster/api"
)

// LoadConfig says which node is measured under live events, and for how long.
type LoadConfig struct {
	NodeConfig
	Traffic  TrafficConfig
	Warm     time.Duration // not counted; 2 s by default
	Snapshot time.Duration // how long the node is driven while it takes snapshots; 90 s by default
}

// Validate reports all faults and sets the defaults.
func (c *LoadConfig) Validate() error {
	faults := c.faults()
	if c.Warm == 0 {
		c.Warm = 2 * time.Second
	}
	if c.Snapshot == 0 {
		c.Snapshot = 90 * time.Second
	}
	return errors.Join(append(faults, c.Traffic.Validate())...)
}

// ingestGoal is the goal for one node in durable events per second.
const ingestGoal = 150_000

// MeasureIngest sends events to a fresh node as fast as it accepts them, over both paths, and checks that each
// acknowledged event is stored exactly once.
func MeasureIngest(ctx context.Context, c LoadConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	events := int64(0)
	path := func(name string, segment bool, seed uint64) step {
		return func(ctx context.Context, node *Node) ([]Figure, error) {
			return c.ingest(ctx, node, name, segment, seed, &events)
		}
	}
	return c.run(ctx, path("NDJSON", false, 1), path("Segment batch", true, 3))
}

// ingest measures one path; events counts the acknowledged events.
func (c *LoadConfig) ingest(ctx context.Context, node *Node, path string, segment bool, seed uint64, events *int64) ([]Figure, error) {
	traffic := c.Traffic
	traffic.Segment, traffic.Seed = segment, seed
	warm := traffic
	warm.Duration, warm.Seed = c.Warm, seed+1
	c.Log("ingest, %s: %s", path, traffic.Duration)
	first, err := Send(ctx, node.Client, warm)
	if err != nil {
		return nil, err
	}
	before, err := node.processorTime()
	if err != nil {
		return nil, err
	}
	sent, err := Send(ctx, node.Client, traffic)
	if err != nil {
		return nil, err
	}
	after, err := node.processorTime()
	if err != nil {
		return nil, err
	}
	*events += first.Events + sent.Events
	if err := accepted(ctx, node, sent, traffic, *events); err != nil {
		return nil, fmt.Errorf("check ingest over %s: %w", path, err)
	}
	latencies := sent.Latencies(nil)
	note := fmt.Sprintf("%d senders, %d events of %d bytes a request, 4 properties; %d times busy", traffic.Senders, traffic.Batch, len(sent.Last)/traffic.Batch, sent.Busy)
	an := func(seconds float64) float64 { return seconds * 1e6 / float64(sent.Events) }
	return []Figure{
		{Name: "ingest, " + path, Value: sent.Rate(), Unit: "events/s", Goal: ingestGoal, More: true, Note: note},
		{Name: "ingest, " + path + ", p50 to acknowledgement", Value: quantile(latencies, 0.5), Unit: "ms"},
		{Name: "ingest, " + path + ", p99 to acknowledgement", Value: quantile(latencies, 0.99), Unit: "ms"},
		{Name: "ingest, " + path + ", processor time of the node", Value: an(after - before), Unit: "µs/event"},
		{Name: "ingest, " + path + ", processor time of the senders", Value: an(sent.Own), Unit: "µs/event"},
	}, nil
}

// accepted compares the node with what was acknowledged, and sends a body again, which must change nothing.
func accepted(ctx context.Context, node *Node, sent *Sent, c TrafficConfig, events int64) error {
	for _, again := range []bool{false, true} {
		if again {
			if err := resend(ctx, node, sent.Last, c.Segment); err != nil {
				return err
			}
		}
		health, err := node.Client.Health(ctx)
		if err != nil {
			return err
		}
		if health.Events != events {
			return fmt.Errorf("the node has %d events of %d acknowledged (a body sent again: %t)", health.Events, events, again)
		}
	}
	return trafficAudit(node, events).Run(ctx)
}

// trafficAudit is the audit of a node that only received events.
func trafficAudit(node *Node, events int64) *Audit {
	return &Audit{Profiles: -1, Events: events, Names: trafficEvents[:], Ask: AskHTTP(node.Client, "")}
}

func resend(ctx context.Context, node *Node, body []byte, segment bool) error {
	if segment {
		var batch struct{ Batch []json.RawMessage }
		if err := json.Unmarshal(body, &batch); err != nil {
			return err
		}
		_, err := node.Client.Batch(ctx, batch.Batch)
		return err
	}
	result, err := node.Client.Events(ctx, bytes.NewReader(body), "")
	if err == nil && result.Accepted > 0 {
		err = fmt.Errorf("%d events sent again were accepted", result.Accepted)
	}
	return err
}

// asOfNow returns the clause with which a statement is answered as of Now.
func asOfNow() string { return " as of " + Now().Format(time.RFC3339) }

// askHTTP sends a node one question as of Now and returns the rows as text and the time the node reports.
func askHTTP(ctx context.Context, client *api.Client, q Question) (Answer, time.Duration, error) {
	answer, err := client.Query(ctx, api.QueryRequest{Query: q.MQL + asOfNow()})
	if err != nil {
		return nil, 0, fmt.Errorf("ask %q: %w", q.MQL, err)
	}
	return cellsOf(answer), time.Duration(answer.Stats.ElapsedMillis * float64(time.Millisecond)), nil
}

// newHTTP returns a separate client with as many connections as needed.
func newHTTP(node *Node, connections int) *api.Client {
	return &api.Client{BaseURL: node.Client.BaseURL, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}}
}

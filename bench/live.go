package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/musterdb/muster/api"
	"github.com/musterdb/muster/bench/gen"
)

// LiveConfig says with which data and segments live membership is measured. The load, the readers and the node
// share the machine, so the processor time of each is reported with the figures.
type LiveConfig struct {
	NodeConfig
	Users    int // profiles of the shop; 200,000 by default
	Events   int // in the 90 days before now; 5 per profile by default
	Segments int // live ones; see gen.Segments
	Rate     int // events per second sent during the measurement
	Seed     uint64
}

// prepare reports all faults and sets the defaults.
func (c *LiveConfig) prepare() []error {
	faults := c.faults()
	if c.Users == 0 {
		c.Users = 200_000
	}
	if c.Events == 0 {
		c.Events = 5 * c.Users
	}
	if c.Users < 1 || c.Events < 0 || c.Segments < 0 || c.Rate < 0 {
		faults = append(faults, fmt.Errorf("%d profiles, %d events, %d segments, %d events a second: want none below 0, and a profile", c.Users, c.Events, c.Segments, c.Rate))
	}
	return faults
}

func (c *LiveConfig) shop() (*gen.Shop, error) {
	return gen.New(gen.Config{Users: c.Users, Events: c.Events, Seed: c.Seed, End: time.Now().UTC().Truncate(time.Second)})
}

// fill loads the shop into a node.
func (c *LiveConfig) fill(ctx context.Context, node *Node) ([]Figure, error) {
	shop, err := c.shop()
	if err != nil {
		return nil, err
	}
	c.Log("%d profiles with %d events", c.Users, c.Events)
	err = stream(ctx, node, func(out io.Writer) {
		var line []byte
		n := 0
		for p := range shop.Profiles() {
			n++
			line = appendLine(p.AppendMessage(line[:0]), n)
			out.Write(line)
		}
		for e := range shop.Events() {
			n++
			line = appendLine(e.AppendMessage(line[:0]), n)
			out.Write(line)
		}
	})
	if err != nil {
		return nil, err
	}
	return nil, ShopAudit(c.Users, c.Events, AskHTTP(node.Client, "")).Run(ctx)
}

// appendLine adds the line number that identifies a message in an import.
func appendLine(message []byte, line int) []byte {
	return fmt.Appendf(message[:len(message)-len("}\n")], `,"_line":%d}`+"\n", line)
}

// stream sends lines as one import. write may ignore write errors; stream returns them.
func stream(ctx context.Context, node *Node, write func(out io.Writer)) error {
	read, pipe := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(pipe, 256<<10) // keeps its first error
		write(out)
		pipe.CloseWithError(out.Flush())
	}()
	defer read.Close()
	result, err := node.Client.Events(ctx, read, fmt.Sprint("bench-", time.Now().UnixNano()))
	if err == nil && result.Rejected > 0 {
		err = fmt.Errorf("%d lines were rejected: %+v", result.Rejected, result.Problems[0])
	}
	return err
}

// define saves the segments from to n of the generated ones that do not exist yet, many at the same time, and
// waits until they are built.
func (c *LiveConfig) define(ctx context.Context, node *Node, from, n int) (took time.Duration, err error) {
	texts := gen.Segments(c.Seed, n)
	started := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range next {
				if err := save(ctx, node, segmentName(i), texts[i], ""); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := from; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	took = time.Since(started)
	return took, c.quiet(ctx, node)
}

func segmentName(i int) string { return fmt.Sprint("segment ", i) }

func save(ctx context.Context, node *Node, name, text, zone string) error {
	for {
		_, err := node.Client.PutSegment(ctx, name, api.SegmentRequest{Predicate: text, Zone: zone}, true)
		var p *api.Problem
		if err == nil {
			return nil
		}
		if !errors.As(err, &p) || !p.Temporary() {
			return fmt.Errorf("save segment %s as %s: %w", name, text, err)
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// quietTimeout is how long a node may take to build its segments.
const quietTimeout = 10 * time.Minute

// quiet waits until the node uses less than a fifth of a processor, so it has built everything.
func (c *LiveConfig) quiet(ctx context.Context, node *Node) error {
	for give := time.Now().Add(quietTimeout); time.Now().Before(give); {
		before, err := node.processorTime()
		if err != nil {
			return err
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
		after, err := node.processorTime()
		if err != nil {
			return err
		}
		if after-before < 0.2 {
			return nil
		}
	}
	c.Log("the node is busy without any requests")
	return nil
}

// wait waits for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shared is the note on a figure that was measured while its load ran on the same machine.
func shared(seconds float64, node, own float64) string {
	return fmt.Sprintf("node %.2f, load and readers %.2f processors; they share the machine", node/seconds, own/seconds)
}

var errStatus = errors.New("unexpected status")

// call sends a request and checks only the status of the answer.
func call(ctx context.Context, node *Node, method, path string, body io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, method, node.Client.BaseURL+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %w %d: %.300s", method, path, errStatus, answer.StatusCode, text)
	}
	return nil
}

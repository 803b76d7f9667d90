package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/bench/gen"
)

// ShopConfig says which data is loaded into a node before measuring.
type ShopConfig struct {
	NodeConfig
	Size Size
	Seed uint64
}

func (c *ShopConfig) faults() []error {
	faults := c.NodeConfig.faults()
	if c.Size.Users < 1 {
		faults = append(faults, errors.New("no size"))
	}
	return faults
}

// StoredConfig says with which data a node is measured.
type StoredConfig struct {
	ShopConfig
	Repeat int // number of times each question is asked over HTTP; 7 by default
}

// Validate reports all faults and sets the defaults.
func (c *StoredConfig) Validate() error {
	if c.Repeat == 0 {
		c.Repeat = 7
	}
	return errors.Join(c.faults()...)
}

// MeasureStored imports a shop into a fresh node and measures the import, memory, questions over HTTP,
// and restarts.
func MeasureStored(ctx context.Context, c StoredConfig) ([]Figure, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.run(ctx, c.imports, c.memory, c.questions, c.restarts)
}

// memory divides the memory that the node reports by the number of profiles and events.
func (c *StoredConfig) memory(ctx context.Context, node *Node) ([]Figure, error) {
	catalog, err := node.Client.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	resident, err := node.Resident()
	if err != nil {
		return nil, err
	}
	disk, err := node.DataBytes()
	if err != nil {
		return nil, err
	}
	figures := []Figure{{Name: "resident memory of the node", Value: float64(resident), Unit: "B"}, {Name: "data directory", Value: float64(disk), Unit: "B"}}
	var perProfile, perEvent int64
	for _, line := range catalog.Memory {
		figures = append(figures, Figure{Name: "memory, " + line.Name, Value: float64(line.Bytes), Unit: "B"})
		switch line.Name {
		case "ids", "seen", "attributes", "attribute dictionaries", "profiles":
			perProfile += line.Bytes
		case "leaves", "tails", "totals", "series", "property dictionaries":
			perEvent += line.Bytes
		}
	}
	return append(figures,
		Figure{Name: "memory a profile with 8 attributes", Value: float64(perProfile) / float64(c.Size.Users), Unit: "B", Goal: 85 + idBytes(c.Size), Note: "85 and the bytes of its id"},
		Figure{Name: "memory an event with 2 properties", Value: float64(perEvent) / float64(c.Size.Events), Unit: "B", Goal: 12, Note: "a third of the events have none"}), nil
}

// idBytes returns approximately the mean length of the ids, computed from the last ones.
func idBytes(s Size) float64 {
	bytes, n := 0, min(s.Users, 1600)
	for i := range n {
		bytes += len(gen.UserID(s.Users - 1 - i))
	}
	return float64(bytes) / float64(n)
}

// questions times the questions over HTTP with one client and no other load.
func (c *StoredConfig) questions(ctx context.Context, node *Node) ([]Figure, error) {
	var figures []Figure
	for _, q := range Questions() {
		var own, outside []float64
		for run := -warmRuns; run < c.Repeat; run++ {
			started := time.Now()
			_, server, err := askHTTP(ctx, node.Client, q)
			if err != nil {
				return nil, err
			}
			if run >= 0 {
				own, outside = append(own, millis(server)), append(outside, millis(time.Since(started)))
			}
		}
		figures = append(figures, Figure{Name: "HTTP: " + q.Name, Value: median(outside), Unit: "ms", Note: fmt.Sprintf("%s ms in the node", formatNumber(median(own)))})
	}
	return figures, nil
}

// restarts kills the node and stops it in order, and measures each restart.
func (c *StoredConfig) restarts(ctx context.Context, node *Node) ([]Figure, error) {
	var figures []Figure
	for _, how := range []struct {
		name string
		end  func() error
	}{{"kill -9", node.Kill}, {"an orderly stop", node.Stop}} {
		before, err := node.Client.Health(ctx)
		if err != nil {
			return nil, err
		}
		if err := how.end(); err != nil {
			return nil, err
		}
		took, err := node.Start(ctx)
		if err != nil {
			return nil, err
		}
		used, err := node.processorTime()
		if err != nil {
			return nil, err
		}
		after, err := node.Client.Health(ctx)
		if err != nil {
			return nil, err
		}
		if before.Events != after.Events || before.Profiles != after.Profiles {
			return nil, fmt.Errorf("restart after %s: %d profiles and %d events became %d and %d", how.name, before.Profiles, before.Events, after.Profiles, after.Events)
		}
		figure := Figure{Name: "restart after " + how.name, Value: took.Seconds(), Unit: "s", Note: formatNumber(used) + " s of processor time"}
		if strings.EqualFold(c.Size.Name, "M") {
			figure.Goal = 15
		}
		figures = append(figures, figure)
	}
	return figures, nil
}

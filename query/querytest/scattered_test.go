package querytest

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

// nodes is the number of nodes that statements are scattered over.
const nodes = 3

// scattered runs a statement on several nodes, each with some of the shards. Nodes share nothing: the state of
// the plan and every partial are encoded and decoded between them.
type scattered struct {
	pool   *exec.Pool
	home   *exec.Plan
	remote [nodes]*exec.Plan
	shards [nodes][]exec.Shard
}

func scatter(pool *exec.Pool, sources []*Source, prepare func() (*exec.Plan, error)) (*scattered, error) {
	s := &scattered{pool: pool}
	for i, src := range sources {
		node := (i + 1) % nodes
		s.shards[node] = append(s.shards[node], exec.Shard{Number: i, Source: src})
	}
	var err error
	for node := range s.remote {
		if s.remote[node], err = prepare(); err != nil {
			return nil, err
		}
	}
	s.home, err = prepare()
	return s, err
}

func answerScattered(pool *exec.Pool, q *tree.Query, s query.Schema, now int64, sources []*Source) (*query.Answer, error) {
	x, err := scatter(pool, sources, func() (*exec.Plan, error) { return exec.Prepare(q, s, exec.Options{Now: now}) })
	if err != nil {
		return nil, err
	}
	a, err := x.run()
	if err != nil {
		return nil, err
	}
	return x.home.Complete(a, func(counting *exec.Plan) (*query.Answer, error) {
		further := &scattered{pool: pool, home: counting, shards: x.shards}
		for node := range x.remote {
			if further.remote[node], err = x.remote[node].Counting(); err != nil {
				return nil, err
			}
		}
		return further.run()
	})
}

// run answers the statement.
func (x *scattered) run() (*query.Answer, error) {
	for {
		done, err := x.round()
		if err != nil {
			return nil, err
		}
		if done {
			return x.home.Answer()
		}
	}
}

// round runs the next round of the statement and reports whether it was the last.
func (x *scattered) round() (done bool, err error) {
	if err := x.pool.Enter(context.Background()); err != nil {
		return false, err
	}
	defer x.pool.Leave()
	settled := x.home.State()
	state := exec.AppendState(nil, &settled)
	var parts []*exec.Partial
	for node, plan := range x.remote {
		resumed, err := exec.ReadState(state)
		if err != nil {
			return false, err
		}
		if again := exec.AppendState(nil, &resumed); !bytes.Equal(again, state) {
			return false, fmt.Errorf("a state that was decoded is encoded differently")
		}
		plan.Resume(resumed)
		found, err := x.pool.Partials(context.Background(), plan, x.shards[node])
		if err != nil {
			return false, err
		}
		for _, part := range found {
			if part, err = recoded(x.home, part); err != nil {
				return false, err
			}
			parts = append(parts, part)
		}
	}
	return x.home.Merge(parts)
}

// recoded encodes and decodes a partial, as on its way to the node that merges.
func recoded(home *exec.Plan, part *exec.Partial) (*exec.Partial, error) {
	sent := exec.AppendPartial(nil, part)
	got, err := home.Read(sent)
	if err != nil {
		return nil, err
	}
	if again := exec.AppendPartial(nil, got); !bytes.Equal(again, sent) {
		return nil, fmt.Errorf("a partial that was decoded is encoded differently")
	}
	return got, nil
}

// membersScattered returns the ids of the members of a checked predicate, evaluated in the zone of the generator.
func (c *testCase) membersScattered(p tree.Pred) (map[string]bool, error) {
	zoned := &tree.InSegment{Def: &tree.Segment{Zone: c.gen.Zone, Pred: p}}
	x, err := scatter(c.pool, c.sources, func() (*exec.Plan, error) {
		return exec.PrepareMembers(zoned, c.schema, exec.Options{Now: c.gen.Now})
	})
	if err != nil {
		return nil, err
	}
	for done := false; !done; {
		if done, err = x.round(); err != nil {
			return nil, err
		}
	}
	ids := map[string]bool{}
	for _, set := range x.home.Members() {
		for pos := range roaring.Values(set.Members) {
			ids[c.sources[set.Shard()].ID(uint32(set.Chunk())<<query.ChunkBits|pos)] = true
		}
	}
	return ids, nil
}

func sameWarnings(got, want []tree.Diagnostic) error {
	same := slices.EqualFunc(got, want, func(a, b tree.Diagnostic) bool { return a.Code == b.Code && a.Message == b.Message })
	if !same {
		return fmt.Errorf("warnings %v, want %v", got, want)
	}
	return nil
}

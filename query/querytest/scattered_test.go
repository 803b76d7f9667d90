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

// nodes is over how many nodes statements are scattered.
const nodes = 3

// scattered is a statement that is asked of several nodes, each with some of the shards. They share nothing:
// what a plan has settled and every partial are encoded and decoded on their way.
type scattered struct {
	pool *exec.Pool
	home *exec.Plan
	away [nodes]*exec.Plan
	of   [nodes][]exec.Shard
}

func scatter(pool *exec.Pool, sources []*Source, prepare func() (*exec.Plan, error)) (*scattered, error) {
	s := &scattered{pool: pool}
	for i, src := range sources {
		node := (i + 1) % nodes
		s.of[node] = append(s.of[node], exec.Shard{Number: i, Source: src})
	}
	var err error
	for node := range s.away {
		if s.away[node], err = prepare(); err != nil {
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
		further := &scattered{pool: pool, home: counting, of: x.of}
		for node := range x.away {
			if further.away[node], err = x.away[node].Counting(); err != nil {
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

// round runs the round that comes next.
func (x *scattered) round() (done bool, err error) {
	if err := x.pool.Enter(context.Background()); err != nil {
		return false, err
	}
	defer x.pool.Leave()
	settled := x.home.State()
	state := exec.AppendState(nil, &settled)
	var parts []*exec.Partial
	for node, plan := range x.away {
		resumed, err := exec.ReadState(state)
		if err != nil {
			return false, err
		}
		if again := exec.AppendState(nil, &resumed); !bytes.Equal(again, state) {
			return false, fmt.Errorf("a state is encoded in another way once it has been decoded")
		}
		plan.Resume(resumed)
		found, err := x.pool.Partials(context.Background(), plan, x.of[node])
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

// recoded returns a partial as the node that merges gets it.
func recoded(home *exec.Plan, part *exec.Partial) (*exec.Partial, error) {
	sent := exec.AppendPartial(nil, part)
	got, err := home.Read(sent)
	if err != nil {
		return nil, err
	}
	if again := exec.AppendPartial(nil, got); !bytes.Equal(again, sent) {
		return nil, fmt.Errorf("a partial is encoded in another way once it has been decoded")
	}
	return got, nil
}

// membersScattered returns the ids of the members of a checked predicate, in the zone of the generator.
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

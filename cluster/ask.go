package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/check"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// Ask is one statement with its wishes.
type Ask struct {
	Text        string
	Consistency string // leader (default), linearizable, stale
	MaxRows     int    // 0: the default
}

// asker answers statements: parse, check, prepare, scatter to the views of all shards, merge.
type asker struct {
	node  *Node
	slots slots
}

func newAsker(n *Node) *asker {
	return &asker{node: n, slots: make(slots, n.config.Evaluations)}
}

// stretchChunks is the largest number of chunks evaluated without yielding: some milliseconds.
const stretchChunks = 4

// Query runs one statement of any kind.
func (n *Node) Query(ctx context.Context, ask Ask) (*query.Answer, error) {
	if !n.ready.Load() {
		return nil, ErrClosed
	}
	started := time.Now()
	limited, cancel := context.WithTimeout(ctx, n.config.StatementTime)
	defer cancel()
	n.counters.statements.Add(1)
	answer, err := n.query(limited, ask)
	if err != nil {
		n.counters.statementErrors.Add(1)
		return nil, timeLimit(ctx, err)
	}
	n.counters.eventsScanned.Add(answer.Stats.EventsScanned)
	answer.Stats.ElapsedMillis = float64(time.Since(started).Microseconds()) / 1000
	return answer, nil
}

func (n *Node) query(ctx context.Context, ask Ask) (*query.Answer, error) {
	q, err := syntax.Parse(ask.Text, syntax.Limits{})
	if err != nil {
		return nil, err
	}
	if err := n.atLevel(ctx, ask.Consistency); err != nil {
		return nil, err
	}
	if answer, ok, err := n.catalogStatement(ctx, q, ask.Text); ok {
		return answer, err
	}
	schema := n.Schema()
	checked, warnings, err := check.Statement(q, schema)
	if err != nil {
		return nil, diagnose(err, ask.Text)
	}
	answer, err := n.asker.run(ctx, checked, schema, int64(ask.MaxRows))
	if err != nil {
		return nil, diagnose(err, ask.Text)
	}
	answer.Warnings = located(append(warnings, answer.Warnings...), ask.Text)
	return answer, nil
}

// diagnose locates the asker's mistake in the text; other errors stay as they are.
func diagnose(err error, text string) error {
	var d *tree.Diagnostic
	if errors.As(err, &d) {
		if d.Line == 0 {
			d.Locate(text)
		}
		return d
	}
	return err
}

// atLevel makes sure that what is read next is as fresh as asked for. The only node leads every
// group, so its state is the newest there is; linearizable asks raft whether that is still so.
func (n *Node) atLevel(ctx context.Context, level string) error {
	switch level {
	case "", "leader", "stale":
		return nil
	case "linearizable":
		for _, s := range n.shards {
			if err := wait(ctx, s.group.raft.VerifyLeader()); err != nil {
				return notReady("leadership is not certain", err)
			}
		}
		return nil
	}
	return refused("bad_request", fmt.Sprintf("consistency is %q, want leader, linearizable or stale", level))
}

// run evaluates a checked statement. The slot comes before the views: whoever waits holds none.
func (a *asker) run(ctx context.Context, q *tree.Query, schema query.Schema, maxRows int64) (*query.Answer, error) {
	if err := a.slots.enter(ctx); err != nil {
		return nil, err
	}
	defer a.slots.leave()
	v := a.node.takeViews()
	defer v.release()
	if err := checkOverflow(q.Stmt, schema, v); err != nil {
		return nil, err
	}
	v.sets = newSets(ctx, a.node, v)
	plan, err := exec.Prepare(q, schema, exec.Options{Now: v.now, MaxRows: maxRows, Budget: a.node.config.StatementBytes, Sets: v.sets})
	if err != nil {
		return nil, err
	}
	answer, err := a.rounds(ctx, plan, v)
	if err == nil {
		err = v.sets.failed()
	}
	if err != nil {
		return nil, err
	}
	answer.Stats.Shards = v.stats()
	return answer, nil
}

// rounds scatters a plan until it has its answer.
func (a *asker) rounds(ctx context.Context, plan *exec.Plan, v *views) (*query.Answer, error) {
	pieces := v.stretches(stretchChunks)
	for {
		parts := make([]*exec.Partial, len(pieces))
		err := a.slots.scatter(ctx, pieces, func(ctx context.Context, i int, piece stretch) (err error) {
			parts[i], err = plan.Partial(ctx, v.source(piece.shard), piece.from, piece.to)
			return err
		})
		if err != nil {
			return nil, err
		}
		done, err := plan.Merge(parts)
		if err != nil {
			return nil, err
		}
		if done {
			return plan.Answer()
		}
	}
}

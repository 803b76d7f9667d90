package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/exec"
	"github.com/musterdb/muster/query/tree"
)

// asker answers statements. It parses, checks and prepares a statement, evaluates it on views of all
// shards, and merges the results.
type asker struct {
	node   *Node
	pool   *exec.Pool
	memory *exec.Memory // shared by all statements being evaluated
	texts  exec.Texts
}

func newAsker(n *Node) *asker {
	return &asker{node: n, pool: exec.NewPool(n.config.Evaluations), memory: exec.NewMemory(n.config.statementMemory())}
}

// busyMemory turns a refusal for memory that other statements hold into an error that says when to
// retry.
func busyMemory(err error) error {
	if errors.Is(err, exec.ErrBusy) {
		return overloaded(exec.ErrBusy.Error())
	}
	return err
}

// Query runs one statement of any kind.
func (n *Node) Query(ctx context.Context, ask node.Ask) (*query.Answer, error) {
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

func (n *Node) query(ctx context.Context, ask node.Ask) (*query.Answer, error) {
	text, err := n.asker.texts.Parse(ask.Text)
	if err != nil {
		return nil, err
	}
	if err := n.atLevel(ctx, ask.Consistency); err != nil {
		return nil, err
	}
	if answer, ok, err := n.catalogStatement(ctx, text.Query, ask.Text); ok {
		return answer, err
	}
	state := n.registry.state.Load()
	schema := state.Schema()
	if err := refuseKeptSets(state, text.Query); err != nil {
		return nil, diagnose(err, ask.Text)
	}
	checked, err := n.asker.texts.Check(text, schema)
	if err != nil {
		return nil, diagnose(err, ask.Text)
	}
	answer, err := n.asker.run(ctx, checked, schema, int64(ask.MaxRows))
	if err != nil {
		return nil, diagnose(busyMemory(err), ask.Text)
	}
	answer.Warnings = located(append(slices.Clone(checked.Warnings), answer.Warnings...), ask.Text)
	return answer, nil
}

// diagnose locates a diagnostic in the text of the statement. Other errors are returned unchanged.
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

// atLevel ensures that what is read next is as fresh as the consistency level requires. This node is the
// only one and leads every group, so its state is the newest there is; for linearizable it verifies the
// leadership with raft.
func (n *Node) atLevel(ctx context.Context, level string) error {
	switch level {
	case "", node.Leader, node.Stale:
		return nil
	case node.Linearizable:
		for _, s := range n.shards {
			if err := wait(ctx, s.group.raft.VerifyLeader()); err != nil {
				return notReady("leadership is not certain", err)
			}
		}
		return nil
	}
	return refused(codes.BadRequest, fmt.Sprintf("consistency is %q, want leader, linearizable or stale", level))
}

// run evaluates a checked statement. It enters the pool before it takes views, so that a waiting
// statement holds no views.
func (a *asker) run(ctx context.Context, q *exec.Checked, schema query.Schema, maxRows int64) (*query.Answer, error) {
	a.node.config.Gate.Enter()
	defer a.node.config.Gate.Leave()
	if err := a.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer a.pool.Leave()
	v := a.node.takeViews()
	defer v.release()
	if err := checkOverflow(q.Properties, schema, v); err != nil {
		return nil, err
	}
	plan, err := exec.Prepare(q.Query, schema, exec.Options{Now: v.now, MaxRows: maxRows, Budget: a.node.config.StatementBytes, Memory: a.memory, Held: heldSegments(a.node.registry.state.Load())})
	if err != nil {
		return nil, err
	}
	defer plan.Release()
	if err := a.node.resolve(ctx, v, plan.Inputs()); err != nil {
		return nil, err
	}
	answer, err := a.pool.Ask(ctx, plan, v.sources())
	if err != nil {
		return nil, err
	}
	answer.Stats.Shards = v.stats()
	return answer, nil
}

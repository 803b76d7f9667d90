package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/syntax"
	"github.com/musterdb/muster/query/tree"
)

// catalogGroup is the name of the catalog's raft group; shards are shard-000, shard-001, …
const catalogGroup = "catalog"

// closeGrace is how long Close waits for entries in flight, and again for the history.
const closeGrace = 5 * time.Second

// Node is one process of a cluster: so far the only one, which leads every group.
type Node struct {
	config   Config
	meta     meta
	registry *registry
	group    *group // of the catalog
	definer  *definer
	shards   []*shard
	watch    *watch
	changes  Changes // may be nil
	asker    *asker
	prices   *prices
	counters counters
	routings sync.Pool // of *routing

	incarnations []uint64 // of the shards' logs, see loadIncarnations

	run     context.Context
	stop    context.CancelFunc // ends proposers, definer and loops
	abandon context.CancelFunc // stops waiting for a history that cannot be written
	loops   sync.WaitGroup
	ready   atomic.Bool
	closed  sync.Once
}

// Open opens the node with the data directory c.Dir, and makes one if there is none. It returns when
// everything committed is applied and every group can take entries. The node closes c.Storage, also
// after an error.
func Open(ctx context.Context, c Config) (*Node, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := &Node{config: c.withDefaults()}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	started := time.Now()
	var history context.Context
	n.run, n.stop = context.WithCancel(context.Background())
	history, n.abandon = context.WithCancel(context.Background())
	found, err := n.config.Storage.Found()
	if err != nil {
		return fmt.Errorf("open %s: %w", n.config.Dir, err)
	}
	if n.meta, err = loadMeta(n.config.Dir, n.config.Shards, int(n.config.DedupBytes/dedupEntry), found); err != nil {
		return err
	}
	if err := n.meta.checkFound(n.config.Dir, found); err != nil {
		return err
	}
	if n.config.repairs, err = LoadRepairs(n.config.Dir); err != nil {
		return err
	}
	for _, r := range n.config.repairs {
		if r.Kind == SkippedEntry {
			n.config.Log.Warn("an entry of the log is skipped by an earlier muster repair", "group", r.Group, "index", r.Index,
				"entry", r.What, "repaired_at", time.UnixMilli(r.At).UTC())
		}
	}
	n.prices = newPrices(n)
	n.asker = newAsker(n)
	n.watch = newWatch(n.config, n.asker.memory.Held)
	n.watch.look()
	n.registry = newRegistry(parsePredicate, n.config.Storage, n.catalogChanged)
	if err := n.openGroups(ctx, history); err != nil {
		return err
	}
	if err := n.recordParts(found); err != nil {
		n.config.Log.Warn("cannot record the parts of the data directory", "err", err)
	}
	for i, s := range n.shards {
		s.proposer = newProposer(n.run, i, n.config, s, newStamper(n.config.Clock))
	}
	n.ready.Store(true)
	n.catalogChanged(n.registry.state.Load().Version())
	n.definer = newDefiner(n.run, &definer{registry: n.registry, propose: n.proposeCatalog, lag: n.lag, refused: n.refusedChange})
	n.watch.reserved = n.prices.reserved
	if err := n.reportSkipped(ctx); err != nil {
		return err
	}
	n.startLoops(n.run)
	n.config.Log.Info("node is ready", "cluster", n.meta.Cluster, "shards", len(n.shards),
		"catalog", n.registry.state.Load().Version(), "elapsed", time.Since(started))
	return nil
}

// parsePredicate parses the text of a segment. Its limits are fixed: every node must accept what one
// node accepts.
func parsePredicate(text string) (tree.Pred, error) { return syntax.ParseSaved(text) }

// openGroups opens all groups, those of the shards in parallel: most of the time goes into reading and
// elections. No group starts before all are open and belong together.
func (n *Node) openGroups(ctx, history context.Context) error {
	n.shards = make([]*shard, n.meta.Shards)
	for i := range n.shards {
		var err error
		ec := n.meta.engineConfig(i)
		ec.Skip, ec.Building = n.config.Skip, n.logBuilding(i)
		if n.shards[i], err = newShard(history, i, ec); err != nil {
			return err
		}
	}
	var err error
	if n.group, err = prepareGroup(ctx, n.config, catalogGroup); err != nil {
		return err
	}
	if err := n.eachShard(func(s *shard) error { return n.openShard(ctx, history, s) }); err != nil {
		return err
	}
	if err := n.checkLogs(); err != nil {
		return err
	}
	if err := n.group.start(ctx, n.config, n.meta.Node, n.registry); err != nil {
		return err
	}
	if err := n.loadIncarnations(); err != nil {
		return err
	}
	if err := n.openChanges(); err != nil {
		return err
	}
	if err := n.eachShard(func(s *shard) error { return s.group.start(ctx, n.config, n.meta.Node, s) }); err != nil {
		return err
	}
	return n.checkCatalog()
}

// logBuilding returns a function that logs when a shard begins to build a segment that takes long. If a
// node never gets past that, the last of these lines names the segment to skip.
func (n *Node) logBuilding(shard int) func(string, engine.Price) {
	return func(segment string, price engine.Price) {
		n.config.Log.Info("building segment", append([]any{"segment", segment, "shard", shard}, priceAttrs(price)...)...)
	}
}

// eachShard calls work for all shards in parallel.
func (n *Node) eachShard(work func(s *shard) error) error {
	errs := make([]error, len(n.shards))
	var working sync.WaitGroup
	for i, s := range n.shards {
		working.Go(func() { errs[i] = work(s) })
	}
	working.Wait()
	return errors.Join(errs...)
}

// openShard opens the storage of a shard. The shard must be closed, also after an error.
func (n *Node) openShard(ctx, history context.Context, s *shard) error {
	s.storage, s.registry, s.watch, s.gate = n.config.Storage, n.registry, n.watch, n.config.Gate
	store, err := n.config.Storage.History(s.name())
	if err != nil {
		return fmt.Errorf("open history of %s: %w", s.name(), err)
	}
	s.historyWriter = newHistoryWriter(history, store, n.config.Gate, n.config.HistoryBytes, n.config.Log.With("shard", s.number))
	s.group, err = prepareGroup(ctx, n.config, s.name())
	return err
}

// dedupEntry is the memory of one messageId: 512 MiB are enough for 45 million.
const dedupEntry = 12

// catalogChanged makes every shard apply the catalog up to version.
func (n *Node) catalogChanged(version uint64) {
	if !n.ready.Load() {
		return
	}
	for _, s := range n.shards {
		s.proposer.wantCatalog(version)
	}
}

// proposeCatalog appends a change to the catalog's log.
func (n *Node) proposeCatalog(ctx context.Context, change []byte) (applied, error) {
	future := n.group.raft.Apply(change, 0)
	if err := wait(ctx, future); err != nil {
		return applied{}, proposalError(err)
	}
	a, _ := future.Response().(applied)
	return a, nil
}

// refusedChange returns why a change of the catalog may not be made now, or nil. Dropping is allowed
// while memory is full, since it frees memory.
func (n *Node) refusedChange(kind catalog.ChangeKind) error {
	if kind == catalog.DropSegment || kind == catalog.DropList {
		return n.watch.writable()
	}
	return n.watch.admit()
}

// lag returns how many catalog versions the slowest shard is behind.
func (n *Node) lag() uint64 {
	newest := n.registry.state.Load().Version()
	slowest := newest
	for _, s := range n.shards {
		slowest = min(slowest, s.catalog())
	}
	return newest - slowest
}

// awaitCatalog waits until every shard has applied the catalog up to version.
func (n *Node) awaitCatalog(ctx context.Context, version uint64) error {
	waits := make([]*proposal, len(n.shards))
	var errs []error
	for i, s := range n.shards {
		if s.catalog() >= version {
			continue
		}
		// The command is a tick, which the proposer sends after the catalog version it needs.
		var err error
		if waits[i], err = s.proposer.start(version, 32, engine.EncodeTick); err != nil {
			errs = append(errs, fmt.Errorf("bring catalog version %d to shard %d: %w", version, i, err))
		}
	}
	for i, q := range waits {
		if q == nil {
			continue
		}
		if _, err := n.shards[i].proposer.await(ctx, q); err != nil {
			errs = append(errs, fmt.Errorf("bring catalog version %d to shard %d: %w", version, i, err))
		}
	}
	return errors.Join(errs...)
}

// Schema returns the newest schema this node knows.
func (n *Node) Schema() query.Schema { return n.registry.state.Load().Schema() }

// Close stops everything the node has started and closes its storage. Entries in flight get closeGrace
// to finish; callers that still wait then get ErrClosed.
func (n *Node) Close() error {
	var err error
	n.closed.Do(func() { err = n.close() })
	return err
}

func (n *Node) close() error {
	var flushed error
	if n.changes != nil && n.ready.Load() {
		flushed = n.changes.Flush()
	}
	n.stop()
	n.ready.Store(false)
	grace := time.AfterFunc(closeGrace, n.abandon) // a full disk may delay the entries
	for _, s := range n.shards {
		if s != nil && s.proposer != nil {
			<-s.proposer.ended
		}
	}
	if n.definer != nil {
		<-n.definer.done
	}
	n.loops.Wait()
	if n.asker != nil {
		n.asker.pool.Close()
	}
	grace.Stop()
	var closing sync.WaitGroup
	errs := make([]error, len(n.shards)+1)
	for i, s := range n.shards {
		if s != nil {
			closing.Go(func() { errs[i] = s.close() })
		}
	}
	if n.group != nil {
		closing.Go(func() { errs[len(n.shards)] = n.group.close() })
	}
	closing.Wait()
	n.abandon()
	for _, s := range n.shards {
		if s != nil && s.historyWriter != nil {
			errs = append(errs, s.historyWriter.close())
		}
	}
	if n.changes != nil {
		errs = append(errs, n.changes.Close())
	}
	return errors.Join(flushed, errors.Join(errs...), n.config.Storage.Close())
}

// close syncs the history, which saves the next start the replay, and ends the group.
func (s *shard) close() error {
	if s.historyWriter != nil {
		ctx, cancel := context.WithTimeout(s.ctx, closeGrace)
		seq := s.state.Load().Seq()
		if s.group != nil && s.group.guard != nil && s.group.guard.failed() != nil {
			seq-- // the entry that could not be applied has no records
		}
		_ = s.historyWriter.sync(ctx, seq) // on an error the log still has what is not synced
		cancel()
	}
	if s.group == nil {
		return nil
	}
	return s.group.close()
}

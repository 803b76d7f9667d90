package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node/disk"
)

// historian writes a shard's received messages behind Apply, in its own goroutine and in log order,
// from a queue bounded in bytes: when it is full, applying waits. A disk that refuses is tried again
// every retryHistory; nothing is dropped, because the log still has what is not synced. It syncs every
// so many bytes, so that a restart, which applies the log again, need not write it again.
type historian struct {
	store   disk.History
	gate    *Gate
	log     *slog.Logger
	limit   int64
	room    *semaphore.Weighted
	queue   chan historyTask
	done    chan struct{}
	records recorder
	had     uint64 // durable at the start: what a replay brings up to there is there
	behind  int64  // bytes of entries since the last sync
}

// historyTask is an entry of messages with what became of them, or a request: to sync up to seq, or to tell
// when what came before can be read.
type historyTask struct {
	seq      uint64
	entry    []byte
	outcomes []engine.Outcome
	bytes    int64
	synced   chan error // of a request; capacity 1
	written  bool       // the request is satisfied when what came before is written
}

// syncHistory is how many bytes of entries are written between two syncs.
const syncHistory = 16 << 20

// retryHistory is how long a refused write waits.
const retryHistory = 500 * time.Millisecond

// historyQueue bounds the entries waiting; the bytes are bounded by room.
const historyQueue = 256

// newHistorian starts the goroutine; ctx ends it even while the disk refuses.
func newHistorian(ctx context.Context, store disk.History, gate *Gate, limit int, log *slog.Logger) *historian {
	h := &historian{
		store: store, gate: gate, log: log, limit: int64(limit), room: semaphore.NewWeighted(int64(limit)),
		queue: make(chan historyTask, historyQueue), done: make(chan struct{}), had: store.Synced(),
	}
	go h.run(ctx)
	return h
}

// put hands over an entry; it keeps it. It waits for room until ctx ends.
func (h *historian) put(ctx context.Context, task historyTask) error {
	if task.seq <= h.had {
		return nil
	}
	task.bytes = min(int64(len(task.entry)), h.limit) // a single entry larger than the limit goes alone
	if err := h.room.Acquire(ctx, task.bytes); err != nil {
		return err
	}
	select {
	case h.queue <- task:
		return nil
	case <-ctx.Done():
		h.room.Release(task.bytes)
		return ctx.Err()
	}
}

// sync waits until everything put so far is durable.
func (h *historian) sync(ctx context.Context, seq uint64) error {
	return h.request(ctx, historyTask{seq: seq, synced: make(chan error, 1)})
}

// await waits until everything put so far can be read: who was told that a message is taken finds it.
func (h *historian) await(ctx context.Context) error {
	return h.request(ctx, historyTask{written: true, synced: make(chan error, 1)})
}

func (h *historian) request(ctx context.Context, task historyTask) error {
	select {
	case h.queue <- task:
	case <-h.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-task.synced:
		return err
	case <-h.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *historian) run(ctx context.Context) {
	defer close(h.done)
	for {
		select {
		case task := <-h.queue:
			switch {
			case task.written:
				task.synced <- nil
				continue
			case task.synced != nil:
				task.synced <- h.settle(task.seq)
				continue
			}
			h.write(ctx, task)
			h.room.Release(task.bytes)
			if h.behind += int64(len(task.entry)); h.behind >= syncHistory {
				if err := h.settle(task.seq); err != nil { // the next snapshot needs it, and tries again
					h.log.Warn("history is not synced", "seq", task.seq, "err", err)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *historian) settle(seq uint64) error {
	h.behind = 0
	return h.store.Sync(seq)
}

// write makes an entry's records and appends them until the disk takes them.
func (h *historian) write(ctx context.Context, task historyTask) {
	end := h.gate.Turn(ctx)
	records, err := h.records.make(task.entry, task.outcomes)
	end()
	if err != nil {
		h.log.Error("history skips an entry", "seq", task.seq, "err", err)
		return
	}
	for failed := false; ; failed = true {
		err := h.store.Append(task.seq, records)
		if err == nil {
			if failed {
				h.log.Info("history goes on", "seq", task.seq)
			}
			return
		}
		if !failed {
			h.log.Warn("history waits", "seq", task.seq, "err", err)
		}
		if sleep(ctx, retryHistory) != nil {
			return
		}
	}
}

// close ends the goroutine and the store. REQUIRES: the ctx of newHistorian has ended.
func (h *historian) close() error {
	<-h.done
	if err := h.store.Close(); err != nil {
		return fmt.Errorf("close history: %w", err)
	}
	return nil
}

// sleep waits for d, or for ctx and returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

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

// historyWriter writes a shard's received messages after Apply, in its own goroutine and in log order,
// from a queue with a limit in bytes: when the queue is full, applying waits. A failed write is retried
// every historyRetry. Nothing is dropped, because the log still has what is not synced. The writer syncs
// every historySyncBytes, so that a restart, which applies the log again, need not write everything
// again.
type historyWriter struct {
	store    disk.History
	gate     *Gate
	log      *slog.Logger
	limit    int64
	capacity *semaphore.Weighted
	queue    chan historyTask
	done     chan struct{}
	records  recorder
	durable  uint64 // synced at the start: a replay does not write entries up to it again
	unsynced int64  // bytes of entries since the last sync
}

// historyTask is an entry of messages with their outcomes, or a request: to sync up to seq, or to report
// when all earlier entries can be read.
type historyTask struct {
	seq      uint64
	entry    []byte
	outcomes []engine.Outcome
	bytes    int64
	synced   chan error // receives the result of a request; capacity 1
	written  bool       // the request only waits until earlier entries are written
}

// historySyncBytes is how many bytes of entries are written between two syncs.
const historySyncBytes = 16 << 20

// historyRetry is the pause before a failed write is tried again.
const historyRetry = 500 * time.Millisecond

// historyQueueEntries limits the waiting entries; capacity limits their bytes.
const historyQueueEntries = 256

// newHistoryWriter starts the goroutine. It ends with ctx, even while writes fail.
func newHistoryWriter(ctx context.Context, store disk.History, gate *Gate, limit int, log *slog.Logger) *historyWriter {
	h := &historyWriter{
		store: store, gate: gate, log: log, limit: int64(limit), capacity: semaphore.NewWeighted(int64(limit)),
		queue: make(chan historyTask, historyQueueEntries), done: make(chan struct{}), durable: store.Synced(),
	}
	go h.run(ctx)
	return h
}

// put queues an entry and keeps it. It waits for capacity until ctx ends.
func (h *historyWriter) put(ctx context.Context, task historyTask) error {
	if task.seq <= h.durable {
		return nil
	}
	task.bytes = min(int64(len(task.entry)), h.limit) // a single entry larger than the limit goes alone
	if err := h.capacity.Acquire(ctx, task.bytes); err != nil {
		return err
	}
	select {
	case h.queue <- task:
		return nil
	case <-ctx.Done():
		h.capacity.Release(task.bytes)
		return ctx.Err()
	}
}

// sync waits until everything put so far is durable.
func (h *historyWriter) sync(ctx context.Context, seq uint64) error {
	return h.request(ctx, historyTask{seq: seq, synced: make(chan error, 1)})
}

// await waits until everything put so far can be read, so that a sender finds a message that was
// acknowledged.
func (h *historyWriter) await(ctx context.Context) error {
	return h.request(ctx, historyTask{written: true, synced: make(chan error, 1)})
}

func (h *historyWriter) request(ctx context.Context, task historyTask) error {
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

func (h *historyWriter) run(ctx context.Context) {
	defer close(h.done)
	for {
		select {
		case task := <-h.queue:
			switch {
			case task.written:
				task.synced <- nil
				continue
			case task.synced != nil:
				task.synced <- h.syncStore(task.seq)
				continue
			}
			h.write(ctx, task)
			h.capacity.Release(task.bytes)
			if h.unsynced += int64(len(task.entry)); h.unsynced >= historySyncBytes {
				if err := h.syncStore(task.seq); err != nil { // the next snapshot tries again
					h.log.Warn("cannot sync the history, a later sync will retry", "seq", task.seq, "err", err)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *historyWriter) syncStore(seq uint64) error {
	h.unsynced = 0
	return h.store.Sync(seq)
}

// write makes an entry's records and appends them, retrying until the disk accepts them.
func (h *historyWriter) write(ctx context.Context, task historyTask) {
	end := h.gate.Turn(ctx)
	records, err := h.records.make(task.entry, task.outcomes)
	end()
	if err != nil {
		h.log.Error("an entry is missing from the history: its records cannot be made", "seq", task.seq, "err", err)
		return
	}
	for failed := false; ; failed = true {
		err := h.store.Append(task.seq, records)
		if err == nil {
			if failed {
				h.log.Info("history is written again", "seq", task.seq)
			}
			return
		}
		if !failed {
			h.log.Warn("cannot write the history, retrying", "seq", task.seq, "err", err)
		}
		if sleep(ctx, historyRetry) != nil {
			return
		}
	}
}

// close ends the goroutine and the store. REQUIRES: the ctx of newHistoryWriter has ended.
func (h *historyWriter) close() error {
	<-h.done
	if err := h.store.Close(); err != nil {
		return fmt.Errorf("close history: %w", err)
	}
	return nil
}

// sleep waits for d. If ctx ends first, it returns ctx's error.
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

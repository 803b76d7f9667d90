package cluster

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/musterdb/muster/engine"
	"github.com/musterdb/muster/internal/node/disk"
)

// syncedHistory is a History that records its calls.
type syncedHistory struct {
	disk.History // calls that no test expects panic
	had          uint64
	appended     []uint64
	synced       []uint64
}

func (h *syncedHistory) Synced() uint64 { return h.had }
func (h *syncedHistory) Close() error   { return nil }
func (h *syncedHistory) Sync(seq uint64) error {
	h.synced = append(h.synced, seq)
	return nil
}

func (h *syncedHistory) Append(seq uint64, records []disk.Record) error {
	if len(records) != 1 || len(records[0].Data) < 1<<20 || records[0].Key != historyKey("u") {
		panic("not the record of the message")
	}
	h.appended = append(h.appended, seq)
	return nil
}

// TestHistoryWriterSyncs: what is durable is not written again, and the rest is synced after every
// historySyncBytes of entries and on request.
func TestHistoryWriterSyncs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := &syncedHistory{had: 3}
	h := newHistoryWriter(ctx, store, nil, 8<<20, slog.New(slog.DiscardHandler))
	entry := engine.EncodeMessages(1, 7, []engine.Message{{Kind: engine.Track, UserID: "u", MessageID: "m", Context: make([]byte, 1<<20)}})
	outcomes := []engine.Outcome{{Status: engine.Accepted}}
	for seq := uint64(1); seq <= 40; seq++ {
		if err := h.put(ctx, historyTask{seq: seq, entry: entry, outcomes: outcomes}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.sync(ctx, 41); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if n := len(store.appended); n != 37 || store.appended[0] != 4 || store.appended[36] != 40 {
		t.Errorf("appended %v", store.appended)
	}
	if want := []uint64{19, 35, 41}; !slices.Equal(store.synced, want) {
		t.Errorf("synced %v, want %v", store.synced, want)
	}
}

// slowHistory is a History whose Append waits for proceed.
type slowHistory struct {
	syncedHistory
	proceed chan struct{}
}

func (h *slowHistory) Append(seq uint64, records []disk.Record) error {
	<-h.proceed
	return h.syncedHistory.Append(seq, records)
}

// TestHistoryWriterAwaits: await returns when everything put earlier is written, and does not sync.
func TestHistoryWriterAwaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := &slowHistory{proceed: make(chan struct{})}
	h := newHistoryWriter(ctx, store, nil, 8<<20, slog.New(slog.DiscardHandler))
	entry := engine.EncodeMessages(1, 7, []engine.Message{{Kind: engine.Track, UserID: "u", MessageID: "m", Context: make([]byte, 1<<20)}})
	if err := h.put(ctx, historyTask{seq: 1, entry: entry, outcomes: []engine.Outcome{{Status: engine.Accepted}}}); err != nil {
		t.Fatal(err)
	}
	awaited := make(chan error, 1)
	go func() { awaited <- h.await(ctx) }()
	impatient, stop := context.WithCancel(ctx)
	stop()
	if err := h.await(impatient); err == nil {
		t.Error("await does not end with its context")
	}
	select {
	case err := <-awaited:
		t.Errorf("await returned before anything was written: %v", err)
	default:
	}
	close(store.proceed)
	if err := <-awaited; err != nil || len(store.appended) != 1 || len(store.synced) != 0 {
		t.Errorf("%v, appended %v, synced %v", err, store.appended, store.synced)
	}
	cancel()
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
}

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/musterdb/muster/internal/retrylog"
	"github.com/musterdb/muster/server/render"
)

const (
	maxPending = 500 // messages of a hook that wait for an answer or for their next try
	maxDead    = 1000
	maxTries   = 200 // recorded tries of a hook
	tries      = 8   // concurrent tries of a hook
	batchSize  = 64
	saveEvery  = time.Second
)

// worker delivers the messages of one hook. The goroutine of run owns it; mu guards the fields that
// others read.
type worker struct {
	hooks  *Hooks
	cancel context.CancelFunc
	ended  chan struct{}

	mu        sync.Mutex
	hook      Hook
	pending   []*Message // in order
	dead      []*Message // oldest first
	tried     []Try      // newest last
	delivered int64
	failed    int64
	lastError string

	shared  []byte // the hook as it is in the shared table
	resumed bool   // this node has progress of the hook

	cursor  string // after everything read
	paused  time.Time
	changed map[string][]byte // to be written to the table
	dirty   bool

	reading, saving retrylog.Tries
}

func newWorker(h *Hooks, hook Hook) *worker {
	return &worker{hooks: h, hook: hook, cursor: hook.Cursor, ended: make(chan struct{}), changed: map[string][]byte{}}
}

// stop ends the worker and waits until it has ended.
func (w *worker) stop() {
	w.cancel()
	<-w.ended
}

// takeOver continues the work of a worker that has been stopped.
func (w *worker) takeOver(old *worker) {
	if w.hook.Secret == "" || w.hook.Secret == old.hook.Secret {
		w.hook.Secret, w.hook.OldSecret, w.hook.OldUntil = old.hook.Secret, old.hook.OldSecret, old.hook.OldUntil
	} else {
		w.hook.OldSecret, w.hook.OldUntil = old.hook.Secret, time.Now().Add(24*time.Hour)
	}
	w.tried, w.dead, w.delivered, w.failed = old.tried, old.dead, old.delivered, old.failed
	w.hook.Cursor, w.hook.Epoch, w.shared = "", "", old.shared
	if w.hook.Segment == old.hook.Segment {
		w.hook.Cursor, w.hook.Epoch = old.hook.Cursor, old.hook.Epoch
		for _, m := range old.pending {
			if m.before == "" { // the others will be read again
				w.pending = append(w.pending, m)
			}
		}
	} else {
		for _, m := range old.pending {
			w.changed[m.key()] = nil
		}
	}
	w.cursor = w.hook.Cursor
}

// restore adds a message from the table.
func (w *worker) restore(m *Message) {
	if m.Dead {
		w.dead = append(w.dead, m)
	} else {
		w.pending = append(w.pending, m)
	}
}

// revive makes dead messages pending again, as if they had never been tried.
func (w *worker) revive() {
	for _, m := range w.dead {
		m.Dead, m.Attempt, m.Due, m.Error, m.Start = false, 0, time.Time{}, "", ""
		w.change(m)
	}
	w.pending, w.dead = append(w.dead, w.pending...), nil
}

// readChanges is what the reading goroutine sends to run.
type readChanges struct {
	changes []render.Change
	start   string
	cursor  string
	lost    string
}

// run delivers messages until ctx ends.
func (w *worker) run(ctx context.Context) {
	if w.hook.Disabled != "" {
		<-ctx.Done()
		return
	}
	var reading sync.WaitGroup
	feed, results := make(chan readChanges), make(chan result)
	ctx, cancel := context.WithCancel(ctx)
	hook, cursor := w.hook, w.cursor
	reading.Go(func() { w.read(ctx, hook, cursor, feed) })
	saveTick := time.NewTicker(saveEvery)
	defer saveTick.Stop()
	inFlight := 0
	for ctx.Err() == nil && w.hook.Disabled == "" {
		inFlight += w.dispatch(ctx, inFlight, results)
		from := feed
		if len(w.pending) >= maxPending {
			from = nil // the rest waits in the change log
		}
		wake := time.NewTimer(w.nextDue())
		select {
		case n := <-from:
			w.take(&n)
		case r := <-results:
			inFlight--
			w.settle(ctx, &r)
		case <-wake.C:
		case <-saveTick.C:
			if w.hasUnsaved() {
				w.saveOrWarn()
			}
		case <-ctx.Done():
		}
		wake.Stop()
	}
	cancel()
	for ; inFlight > 0; inFlight-- {
		r := <-results
		w.settle(ctx, &r)
	}
	reading.Wait()
	w.saveOrWarn()
}

// read sends the changes after a cursor to run.
func (w *worker) read(ctx context.Context, hook Hook, cursor string, to chan<- readChanges) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	var reader Reader
	for {
		if reader == nil {
			select {
			case <-retry.C:
			case <-ctx.Done():
				return
			}
			retry.Reset(saveEvery)
			var err error
			if reader, err = w.hooks.cfg.Feed(ctx, hook.Segment, cursor, hook.Fields, hook.Format); err != nil {
				reader = nil
				cursor = w.readFailed(ctx, err, cursor, to)
				continue
			}
			if cursor == "" { // from now on: continue from here
				cursor = reader.Cursor()
				if !give(ctx, to, readChanges{cursor: cursor}) {
					return
				}
			}
		}
		changes, next, err := reader.Next(ctx, batchSize, 15*time.Second)
		if err != nil {
			reader = nil
			cursor = w.readFailed(ctx, err, cursor, to)
			continue
		}
		w.reading.Note(w.hooks.cfg.Log, readingChanges, nil, "webhook", w.hook.Name)
		if !give(ctx, to, readChanges{changes: slices.Clone(changes), start: cursor, cursor: next}) {
			return
		}
		cursor = next
	}
}

const readingChanges = "reading changes for a webhook"

// give sends n; it returns false if ctx has ended.
func give(ctx context.Context, to chan<- readChanges, n readChanges) bool {
	select {
	case to <- n:
		return true
	case <-ctx.Done():
		return false
	}
}

// readFailed returns the cursor to continue from. If changes are lost, the target is told, and the hook
// continues from now on.
func (w *worker) readFailed(ctx context.Context, err error, cursor string, to chan<- readChanges) string {
	reason, lost := w.hooks.cfg.Lost(err)
	if !lost {
		if ctx.Err() == nil {
			w.reading.Note(w.hooks.cfg.Log, readingChanges, err, "webhook", w.hook.Name)
		}
		return cursor
	}
	give(ctx, to, readChanges{lost: reason})
	return ""
}

// take turns what was read into messages. A message that is already pending was read before a restart.
func (w *worker) take(n *readChanges) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.lost != "" {
		m := lostMessage(&w.hook, n.lost, time.Now())
		w.pending = append(w.pending, m)
		w.change(m)
		w.cursor = ""
		return
	}
	for _, m := range makeMessages(&w.hook, n.changes, n.start, time.Now()) {
		if !slices.ContainsFunc(w.pending, func(p *Message) bool { return p.ID == m.ID }) {
			w.pending = append(w.pending, m)
		}
	}
	w.cursor, w.dirty = n.cursor, true
}

// dispatch starts tries of the messages that are due: only the oldest message of each profile.
func (w *worker) dispatch(ctx context.Context, inFlight int, results chan<- result) (sent int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.paused) {
		return 0
	}
	hook, busy := w.hook, map[string]bool{}
	for _, m := range w.pending {
		if inFlight+sent >= tries {
			break
		}
		if busy[m.Profile] {
			continue
		}
		busy[m.Profile] = true
		if m.inFlight || now.Before(m.Due) {
			continue
		}
		m.inFlight = true
		sent++
		go func() { results <- w.hooks.try(ctx, &hook, m) }()
	}
	return sent
}

// nextDue returns the time until a message becomes due, at most an hour.
func (w *worker) nextDue() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, now := time.Hour, time.Now()
	for _, m := range w.pending {
		if !m.inFlight && m.Due.After(now) {
			next = min(next, m.Due.Sub(now))
		}
	}
	if w.paused.After(now) {
		next = min(next, w.paused.Sub(now))
	}
	return next
}

// settle records the result of a try.
func (w *worker) settle(ctx context.Context, r *result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := r.message
	m.inFlight = false
	if r.try.Error != "" && ctx.Err() != nil {
		return // cancelled by this side: does not count
	}
	if w.tried = append(w.tried, r.try); len(w.tried) > maxTries {
		w.tried = w.tried[len(w.tried)-maxTries:]
	}
	if r.try.Error == "" {
		w.delivered++
		w.remove(m)
		return
	}
	w.failed++
	w.lastError = r.try.Error
	m.Attempt, m.Error, m.before = m.Attempt+1, r.try.Error, ""
	now := time.Now()
	switch r.try.Status {
	case http.StatusGone:
		w.hook.Disabled = "the target answered with 410 Gone at " + render.Time(now.UnixMilli())
		w.dirty = true
		m.Attempt--
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		w.paused = now.Add(max(r.after, w.hooks.cfg.Jitter(throttleLeast)))
	}
	if m.Attempt >= len(schedule) {
		w.markDead(m)
	} else {
		m.Due = now.Add(max(w.hooks.cfg.Jitter(schedule[m.Attempt]), r.after))
	}
	w.change(m)
}

// markDead makes a message dead. If there are too many dead messages, the oldest is dropped.
func (w *worker) markDead(m *Message) {
	w.pending = slices.DeleteFunc(w.pending, func(p *Message) bool { return p == m })
	m.Dead = true
	if w.dead = append(w.dead, m); len(w.dead) > maxDead {
		w.changed[w.dead[0].key()] = nil
		w.dead = w.dead[1:]
	}
	w.dirty = true
	w.hooks.cfg.Log.Warn("webhook message is dead", "webhook", m.Hook, "message", m.ID, "err", m.Error)
}

func (w *worker) remove(m *Message) {
	w.pending = slices.DeleteFunc(w.pending, func(p *Message) bool { return p == m })
	if m.before == "" {
		w.changed[m.key()] = nil
	}
	w.dirty = true
}

// change marks a message to be written to the table. After that its change is not read again.
func (w *worker) change(m *Message) {
	m.before = ""
	if body, err := json.Marshal(m); err == nil { // of strings, numbers and valid JSON
		w.changed[m.key()] = body
	}
	w.dirty = true
}

func (w *worker) hasUnsaved() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dirty
}

func (w *worker) saveOrWarn() {
	w.saving.Note(w.hooks.cfg.Log, "saving the progress of a webhook", w.save(), "webhook", w.hook.Name)
}

// save writes the progress of the hook and the messages that have changed. Readers of the hook do not
// wait for the disk. REQUIRES: the caller owns the worker.
func (w *worker) save() error {
	changed, err := w.takeUnsaved()
	if err != nil || changed == nil {
		return err
	}
	err = w.hooks.cfg.Table.Put(changed)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dirty = err != nil; w.dirty {
		w.changed = changed
	}
	return err
}

// takeUnsaved returns what has changed and takes it out of the worker: on a failed write the caller must put
// it back. It returns nil if there is no table.
func (w *worker) takeUnsaved() (map[string][]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook.Cursor = w.cursor
	for _, m := range w.pending {
		if m.before != "" {
			w.hook.Cursor = m.before
			break
		}
	}
	if w.hooks.cfg.Table == nil {
		return nil, nil
	}
	body, err := json.Marshal(progress{w.hook.Epoch, w.hook.Cursor})
	if err != nil {
		return nil, err
	}
	changed := w.changed
	changed["progress/"+w.hook.Name] = body
	w.changed = map[string][]byte{}
	return changed, nil
}

// toShare returns the hook as every node should know it: with the cursor after which some change may not
// have been delivered. changed is false if the shared table already has it.
func (w *worker) toShare() (body []byte, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hook := w.hook
	hook.Cursor = w.cursor
	for _, m := range w.pending {
		if m.Start != "" {
			hook.Cursor = m.Start
			break
		}
	}
	body, err := json.Marshal(hook)
	return body, err == nil && !bytes.Equal(body, w.shared)
}

func (w *worker) isShared(body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shared = body
}

// forget removes everything about the hook from this node's table.
func (w *worker) forget() error {
	gone := map[string][]byte{"progress/" + w.hook.Name: nil}
	for _, m := range append(slices.Clone(w.pending), w.dead...) {
		gone[m.key()] = nil
	}
	if w.hooks.cfg.Table == nil {
		return nil
	}
	return w.hooks.cfg.Table.Put(gone)
}

func (w *worker) status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Status{Hook: w.hook, Pending: len(w.pending), Dead: len(w.dead), Delivered: w.delivered, Failed: w.failed, LastError: w.lastError}
}

func (w *worker) seen() (tried []Try, dead []Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tried = slices.Clone(w.tried)
	slices.Reverse(tried)
	for _, m := range w.dead {
		dead = append(dead, *m)
	}
	return tried, dead
}

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
	maxPending = 500 // messages of a hook that wait for an answer or their next try
	maxDead    = 1000
	maxTries   = 200 // of a hook that are remembered
	tries      = 8   // of a hook at once
	batchSize  = 64
	keepEvery  = time.Second
)

// worker delivers the messages of one hook. run's goroutine owns it; mu guards what others look at.
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

	shared  []byte // what every node knows of the hook
	resumed bool   // the node has had the hook before

	cursor  string // behind everything read
	paused  time.Time
	changed map[string][]byte // to be kept
	dirty   bool

	reading, keeping retrylog.Tries
}

func newWorker(h *Hooks, hook Hook) *worker {
	return &worker{hooks: h, hook: hook, cursor: hook.Cursor, ended: make(chan struct{}), changed: map[string][]byte{}}
}

// stop ends the worker and waits.
func (w *worker) stop() {
	w.cancel()
	<-w.ended
}

// takeOver goes on with what a worker that was stopped has left.
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
			if m.before == "" { // the others are read again
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

// restore adds a message out of the table.
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

// news is what the reading goroutine hands over.
type news struct {
	changes []render.Change
	start   string
	cursor  string
	lost    string
}

// run delivers until ctx ends.
func (w *worker) run(ctx context.Context) {
	if w.hook.Disabled != "" {
		<-ctx.Done()
		return
	}
	var reading sync.WaitGroup
	feed, results := make(chan news), make(chan result)
	ctx, cancel := context.WithCancel(ctx)
	hook, cursor := w.hook, w.cursor
	reading.Go(func() { w.read(ctx, hook, cursor, feed) })
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()
	flying := 0
	for ctx.Err() == nil && w.hook.Disabled == "" {
		flying += w.dispatch(ctx, flying, results)
		from := feed
		if len(w.pending) >= maxPending {
			from = nil // the rest waits in the change log
		}
		wake := time.NewTimer(w.nextDue())
		select {
		case n := <-from:
			w.take(&n)
		case r := <-results:
			flying--
			w.settle(ctx, &r)
		case <-wake.C:
		case <-keep.C:
			if w.hasNews() {
				w.keepOrWarn()
			}
		case <-ctx.Done():
		}
		wake.Stop()
	}
	cancel()
	for ; flying > 0; flying-- {
		r := <-results
		w.settle(ctx, &r)
	}
	reading.Wait()
	w.keepOrWarn()
}

// read hands over the changes behind a cursor.
func (w *worker) read(ctx context.Context, hook Hook, cursor string, to chan<- news) {
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
			retry.Reset(keepEvery)
			var err error
			if reader, err = w.hooks.cfg.Feed(ctx, hook.Segment, cursor, hook.Fields, hook.Format); err != nil {
				reader = nil
				cursor = w.readFailed(ctx, err, cursor, to)
				continue
			}
			if cursor == "" { // now: it is where to go on from
				cursor = reader.Cursor()
				if !give(ctx, to, news{cursor: cursor}) {
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
		if !give(ctx, to, news{changes: slices.Clone(changes), start: cursor, cursor: next}) {
			return
		}
		cursor = next
	}
}

const readingChanges = "reading changes for a webhook"

// give hands over; false when ctx has ended.
func give(ctx context.Context, to chan<- news, n news) bool {
	select {
	case to <- n:
		return true
	case <-ctx.Done():
		return false
	}
}

// readFailed returns the cursor to try with next. When changes are lost the target is told, and what
// happens from now on is next.
func (w *worker) readFailed(ctx context.Context, err error, cursor string, to chan<- news) string {
	reason, lost := w.hooks.cfg.Lost(err)
	if !lost {
		if ctx.Err() == nil {
			w.reading.Note(w.hooks.cfg.Log, readingChanges, err, "webhook", w.hook.Name)
		}
		return cursor
	}
	give(ctx, to, news{lost: reason})
	return ""
}

// take makes messages of what was read. One that is pending already was read before the process ended.
func (w *worker) take(n *news) {
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

// dispatch sends what is due: of each profile the oldest message only.
func (w *worker) dispatch(ctx context.Context, flying int, results chan<- result) (sent int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.paused) {
		return 0
	}
	hook, busy := w.hook, map[string]bool{}
	for _, m := range w.pending {
		if flying+sent >= tries {
			break
		}
		if busy[m.Profile] {
			continue
		}
		busy[m.Profile] = true
		if m.flying || now.Before(m.Due) {
			continue
		}
		m.flying = true
		sent++
		go func() { results <- w.hooks.try(ctx, &hook, m) }()
	}
	return sent
}

// nextDue is how long nothing becomes due by time alone.
func (w *worker) nextDue() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, now := time.Hour, time.Now()
	for _, m := range w.pending {
		if !m.flying && m.Due.After(now) {
			next = min(next, m.Due.Sub(now))
		}
	}
	if w.paused.After(now) {
		next = min(next, w.paused.Sub(now))
	}
	return next
}

// settle takes the result of a try.
func (w *worker) settle(ctx context.Context, r *result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := r.message
	m.flying = false
	if r.try.Error != "" && ctx.Err() != nil {
		return // cut off by us: it did not count
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
		w.bury(m)
	} else {
		m.Due = now.Add(max(w.hooks.cfg.Jitter(schedule[m.Attempt]), r.after))
	}
	w.change(m)
}

// bury makes a message a dead one. The oldest dead one makes room.
func (w *worker) bury(m *Message) {
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

// change notes a message to be kept. What is kept is not read again.
func (w *worker) change(m *Message) {
	m.before = ""
	if body, err := json.Marshal(m); err == nil { // of strings, numbers and valid JSON
		w.changed[m.key()] = body
	}
	w.dirty = true
}

func (w *worker) hasNews() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dirty
}

func (w *worker) keepOrWarn() {
	w.keeping.Note(w.hooks.cfg.Log, "keeping the progress of a webhook", w.keep(), "webhook", w.hook.Name)
}

// keep writes the hook, how far it has got, and the messages that have changed. Who looks at the hook does not
// wait for the disk. REQUIRES: the caller owns the worker.
func (w *worker) keep() error {
	changed, err := w.toKeep()
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

// toKeep returns what has changed, nil without a table. It takes it: what is not written must be given back.
func (w *worker) toKeep() (map[string][]byte, error) {
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

// toShare returns the hook as every node should know it: with the cursor behind which nothing has been
// delivered for sure. changed is false where that is known.
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

// forget removes everything about the hook from the node's table.
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

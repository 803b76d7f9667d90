package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/musterdb/muster/query/tree"
)

// take waits for the turn to change hooks. end gives it back.
func (h *Hooks) take(ctx context.Context) (end func(), err error) {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-h.ctx.Done():
		return nil, ErrClosed
	}
	if h.ctx.Err() != nil {
		<-h.turn
		return nil, ErrClosed
	}
	return func() { <-h.turn }, nil
}

// start runs a worker. REQUIRES: Open or a turn is going on.
func (h *Hooks) start(w *worker) {
	ctx, cancel := context.WithCancel(h.ctx)
	w.cancel = cancel
	h.work.Go(func() {
		defer close(w.ended)
		w.run(ctx)
	})
}

// set makes w what is found under its name; nil removes.
func (h *Hooks) set(name string, w *worker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.workers[name] = w; w == nil {
		delete(h.mu.workers, name)
	}
}

// Close ends all hooks; what has not been delivered goes on at the next Open. It waits until ctx ends at most.
func (h *Hooks) Close(ctx context.Context) error {
	h.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.turn <- struct{}{} // for ever: nothing is to be changed any more
		h.work.Wait()
		h.shareAll()
		h.client.CloseIdleConnections()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close webhooks: %w", ctx.Err())
	}
}

// keepShared tells every node, once a second, how far the hooks have got.
func (h *Hooks) keepShared() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
		end, err := h.take(h.ctx)
		if err != nil {
			return
		}
		h.shareAll()
		end()
	}
}

// shareAll shares what is new of all hooks. REQUIRES: a turn, or a hook that is replaced meanwhile would be
// written as it was.
func (h *Hooks) shareAll() {
	h.sharing.Note(h.cfg.Log, "sharing the progress of webhooks", h.share(h.list()...))
}

// share writes what has changed of some hooks in one go. REQUIRES: a turn.
func (h *Hooks) share(workers ...*worker) error {
	if h.cfg.Shared == nil {
		return nil
	}
	values := map[string][]byte{}
	for _, w := range workers {
		if body, changed := w.toShare(); changed {
			values["hook/"+w.hook.Name] = body
		}
	}
	if len(values) == 0 {
		return nil
	}
	if err := h.cfg.Shared.Put(values); err != nil {
		return err
	}
	for _, w := range workers {
		if body := values["hook/"+w.hook.Name]; body != nil {
			w.isShared(body)
		}
	}
	return nil
}

// checkURL refuses what no message can be sent to, and what is too long to be looked at.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || tree.CheckLine("URL", text, maxURL) != nil {
		return ErrURL
	}
	return nil
}

// Put makes or changes a hook. Without a secret one is made, or the old one stays; a new secret leaves
// the old one good for a day. A changed hook is enabled, and goes on where it was if the segment is the
// same. Only a secret that is new is in what is returned: it is shown once.
func (h *Hooks) Put(ctx context.Context, hook Hook) (Hook, error) {
	if err := checkURL(hook.URL); err != nil {
		return Hook{}, err
	}
	if hook.Secret != "" {
		if _, err := secretKey(hook.Secret); err != nil {
			return Hook{}, err
		}
	}
	end, err := h.take(ctx)
	if err != nil {
		return Hook{}, err
	}
	defer end()
	old, _ := h.find(hook.Name)
	if old == nil && len(h.list()) >= maxHooks {
		return Hook{}, ErrMany
	}
	next := newWorker(h, hook)
	if old != nil {
		old.stop()
		next.takeOver(old)
	}
	if next.hook.Secret == "" {
		if next.hook.Secret, err = NewSecret(); err != nil {
			return Hook{}, err
		}
	}
	if next.hook.Epoch == "" {
		next.hook.Epoch = rand.Text()
	}
	made := next.hook
	if old != nil && old.hook.Secret == made.Secret {
		made.Secret = ""
	}
	made.OldSecret = ""
	if err := errors.Join(h.share(next), next.keep()); err != nil {
		if old != nil { // it has been stopped
			h.start(next)
			h.set(hook.Name, next)
		}
		return Hook{}, err
	}
	h.start(next)
	h.set(hook.Name, next)
	return made, nil
}

// Delete removes a hook and what it has not delivered.
func (h *Hooks) Delete(ctx context.Context, name string) error {
	end, err := h.take(ctx)
	if err != nil {
		return err
	}
	defer end()
	w, err := h.find(name)
	if err != nil {
		return err
	}
	if h.cfg.Shared != nil {
		if err := h.cfg.Shared.Put(map[string][]byte{"hook/" + name: nil}); err != nil {
			return err
		}
	}
	h.set(name, nil)
	w.stop()
	return w.forget()
}

// Replay sends the changes from a cursor on again, or, if that is "", the dead messages.
func (h *Hooks) Replay(ctx context.Context, name, cursor string) error {
	end, err := h.take(ctx)
	if err != nil {
		return err
	}
	defer end()
	old, err := h.find(name)
	if err != nil {
		return err
	}
	old.stop()
	next := newWorker(h, old.hook)
	next.takeOver(old)
	if cursor == "" {
		next.revive()
	} else {
		next.cursor = cursor
	}
	err = errors.Join(h.share(next), next.keep())
	h.start(next)
	h.set(name, next)
	return err
}

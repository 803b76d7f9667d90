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

// lock waits for the lock on changing hooks. end releases it.
func (h *Hooks) lock(ctx context.Context) (end func(), err error) {
	select {
	case h.changeLock <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-h.ctx.Done():
		return nil, ErrClosed
	}
	if h.ctx.Err() != nil {
		<-h.changeLock
		return nil, ErrClosed
	}
	return func() { <-h.changeLock }, nil
}

// start runs a worker. REQUIRES: the caller is Open, or holds changeLock.
func (h *Hooks) start(w *worker) {
	ctx, cancel := context.WithCancel(h.ctx)
	w.cancel = cancel
	h.work.Go(func() {
		defer close(w.ended)
		w.run(ctx)
	})
}

// set stores the worker of a name; nil removes it.
func (h *Hooks) set(name string, w *worker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.workers[name] = w; w == nil {
		delete(h.mu.workers, name)
	}
}

// Close stops all hooks. The next Open continues with what has not been delivered. Close returns when ctx
// ends at the latest.
func (h *Hooks) Close(ctx context.Context) error {
	h.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.changeLock <- struct{}{} // never released: no hook may change any more
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

// shareEverySecond shares the progress of all hooks with the other nodes once a second.
func (h *Hooks) shareEverySecond() {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
		end, err := h.lock(h.ctx)
		if err != nil {
			return
		}
		h.shareAll()
		end()
	}
}

// shareAll shares what has changed of all hooks. REQUIRES: the caller holds changeLock; else it could overwrite
// a hook that is being replaced with its old state.
func (h *Hooks) shareAll() {
	h.sharing.Note(h.cfg.Log, "sharing the progress of webhooks", h.share(h.list()...))
}

// share writes what has changed of some hooks in one Put. REQUIRES: the caller holds changeLock.
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

// checkURL refuses URLs that no message can be sent to, and URLs that are too long.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || tree.CheckLine("URL", text, maxURL) != nil {
		return ErrURL
	}
	return nil
}

// Put creates or changes a hook. If hook has no secret, an existing one stays, and a new hook gets a
// random one; after a change of the secret, the old one is still used for a day. A changed hook is
// enabled, and continues where it was if its segment is the same. The returned hook has a secret only if
// that is new: a secret is shown once.
func (h *Hooks) Put(ctx context.Context, hook Hook) (Hook, error) {
	if err := checkURL(hook.URL); err != nil {
		return Hook{}, err
	}
	if hook.Secret != "" {
		if _, err := secretKey(hook.Secret); err != nil {
			return Hook{}, err
		}
	}
	end, err := h.lock(ctx)
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
	if err := errors.Join(h.share(next), next.save()); err != nil {
		if old != nil { // the old worker has been stopped
			h.start(next)
			h.set(hook.Name, next)
		}
		return Hook{}, err
	}
	h.start(next)
	h.set(hook.Name, next)
	return made, nil
}

// Delete removes a hook and its undelivered messages.
func (h *Hooks) Delete(ctx context.Context, name string) error {
	end, err := h.lock(ctx)
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

// Replay sends the changes from cursor on again or, if cursor is "", the dead messages.
func (h *Hooks) Replay(ctx context.Context, name, cursor string) error {
	end, err := h.lock(ctx)
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
	err = errors.Join(h.share(next), next.save())
	h.start(next)
	h.set(name, next)
	return err
}

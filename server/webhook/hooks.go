package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterdb/muster/api/codes"
	"github.com/musterdb/muster/internal/node"
	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/internal/retrylog"
	"github.com/musterdb/muster/server/render"
)

// Hook is a target for the changes of a segment.
type Hook struct {
	Name    string              `json:"name"`
	Segment string              `json:"segment"`
	URL     string              `json:"url"`
	Fields  []string            `json:"fields,omitempty"`
	Format  render.ChangeFormat `json:"format"`
	Secret  string              `json:"secret"`
	// OldSecret is also used to sign until OldUntil, so that the receiver has time to change to Secret.
	OldSecret string    `json:"old_secret,omitempty"`
	OldUntil  time.Time `json:"old_until,omitzero"`
	Disabled  string    `json:"disabled,omitempty"` // why nothing is sent; "" for an enabled hook
	Cursor    string    `json:"cursor,omitempty"`   // all changes before it are delivered, pending or dead
	Epoch     string    `json:"epoch,omitempty"`    // is new when the hook starts over: messages of an earlier epoch are void
}

// Feed opens the changes of a segment from a cursor on, or from now on if cursor is "".
type Feed func(ctx context.Context, segment, cursor string, fields []string, format render.ChangeFormat) (Reader, error)

// Reader reads changes. Next waits at most idle for changes, and returns the cursor after them.
type Reader interface {
	Cursor() string // the current position
	Next(ctx context.Context, limit int, idle time.Duration) (changes []render.Change, cursor string, err error)
}

// Config is how hooks run. Feed is required.
type Config struct {
	Feed Feed
	// Lost reports whether an error of a Reader means that changes are lost and the hook must start over.
	Lost func(error) (reason string, lost bool)
	// Shared has the hooks and, for each, a cursor before which everything is certainly done. Every node
	// has it, and continues from there (at least once) where another one stopped. It is written at most
	// once a second, and when a hook is changed. Table has this node's pending messages and its own
	// progress. It may be the same table. Without tables, nothing outlives the process.
	Shared, Table disk.Table
	AllowPrivate  bool
	Transport     http.RoundTripper // by default one that refuses private addresses
	Log           *slog.Logger
	Jitter        func(time.Duration) time.Duration // adds a random part; for tests
}

func (c Config) withDefaults() Config {
	if c.Lost == nil {
		c.Lost = func(error) (string, bool) { return "", false }
	}
	if c.Shared == nil {
		c.Shared = c.Table
	}
	if c.Transport == nil {
		c.Transport = newTransport(c.AllowPrivate)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Jitter == nil {
		c.Jitter = jitter
	}
	return c
}

// Validate returns an error if Feed is missing.
func (c Config) Validate() error {
	if c.Feed == nil {
		return errors.New("webhook config: Feed is missing")
	}
	return nil
}

// Hooks are all hooks of a node. Methods may be called from any goroutine.
//
// No goroutine blocks while it holds mu, so reading the state never waits for targets, disks or other
// nodes. A goroutine that changes a hook or shares its progress must hold changeLock, a lock that can be waited
// for with a context.
type Hooks struct {
	cfg        Config
	client     *http.Client
	ctx        context.Context
	cancel     context.CancelFunc
	work       sync.WaitGroup
	changeLock chan struct{} // holds one value while it is taken

	sharing retrylog.Tries

	mu struct {
		sync.Mutex
		workers map[string]*worker
	}
}

// The errors of Put.
var (
	ErrURL    = &node.Error{Code: codes.Refused, Text: "the URL must be http or https, with a host and without a user, of at most 2,048 bytes, all of them printable"}
	ErrNoHook = &node.Error{Code: codes.NoWebhook, Text: "no webhook has this name"}
	ErrMany   = &node.Error{Code: codes.Limit, Text: "there are 1,000 webhooks already"}
	ErrClosed = &node.Error{Code: codes.NotReady, Text: "the node is stopping", Retry: time.Second}
)

const (
	maxHooks = 1000
	maxURL   = 2 << 10 // bytes
)

// Open starts the hooks in the table.
func Open(cfg Config) (*Hooks, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	h := &Hooks{cfg: cfg, changeLock: make(chan struct{}, 1), client: &http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a redirect is not a success, and may lead anywhere
	}}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.mu.workers = map[string]*worker{}
	if err := h.load(); err != nil {
		h.cancel()
		return nil, fmt.Errorf("open webhooks: %w", err)
	}
	for _, w := range h.mu.workers {
		h.start(w)
	}
	h.work.Go(h.shareEverySecond)
	return h, nil
}

// progress is how far this node has got with a hook.
type progress struct {
	Epoch  string `json:"epoch"`
	Cursor string `json:"cursor"`
}

// load reads the tables: the hooks, then this node's progress and messages. Those of another epoch are
// dropped.
func (h *Hooks) load() error {
	if h.cfg.Shared == nil {
		return nil
	}
	err := h.cfg.Shared.All(func(key string, value []byte) error {
		if kind, _, _ := strings.Cut(key, "/"); kind != "hook" {
			return nil
		}
		var hook Hook
		if err := json.Unmarshal(value, &hook); err != nil {
			return fmt.Errorf("read %q: %w", key, err)
		}
		w := newWorker(h, hook)
		w.shared = value
		h.mu.workers[hook.Name] = w
		return nil
	})
	if err != nil || h.cfg.Table == nil {
		return err
	}
	var messages []*Message
	err = h.cfg.Table.All(func(key string, value []byte) error {
		var err error
		switch kind, name, _ := strings.Cut(key, "/"); kind {
		case "progress":
			var p progress
			if err = json.Unmarshal(value, &p); err == nil {
				h.resume(name, p)
			}
		case "message":
			m := &Message{}
			err = json.Unmarshal(value, m)
			messages = append(messages, m)
		}
		if err != nil {
			return fmt.Errorf("read %q: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.takeMessages(messages)
}

func (h *Hooks) resume(name string, p progress) {
	if w := h.mu.workers[name]; w != nil && w.hook.Epoch == p.Epoch {
		w.hook.Cursor, w.cursor, w.resumed = p.Cursor, p.Cursor, true
	}
}

// takeMessages hands messages to the hooks that continue with them, and removes the others from the
// table.
func (h *Hooks) takeMessages(messages []*Message) error {
	void := map[string][]byte{}
	slices.SortFunc(messages, func(a, b *Message) int { return a.At.Compare(b.At) })
	for _, m := range messages {
		if w := h.mu.workers[m.Hook]; w != nil && w.resumed {
			w.restore(m)
		} else {
			void[m.key()] = nil
		}
	}
	if len(void) == 0 {
		return nil
	}
	return h.cfg.Table.Put(void)
}

// Status is a hook and its state.
type Status struct {
	Hook
	Pending   int
	Dead      int
	Delivered int64 // messages since the process started
	Failed    int64 // tries since the process started
	LastError string
}

// All returns every hook, sorted by name.
func (h *Hooks) All() []Status {
	var all []Status
	for _, w := range h.list() {
		all = append(all, w.status())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (h *Hooks) list() []*worker {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.mu.workers))
}

func (h *Hooks) find(name string) (*worker, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.mu.workers[name]; w != nil {
		return w, nil
	}
	return nil, ErrNoHook
}

// Get returns one hook.
func (h *Hooks) Get(name string) (Status, error) {
	w, err := h.find(name)
	if err != nil {
		return Status{}, err
	}
	return w.status(), nil
}

// Deliveries returns the latest tries of a hook, newest first, and its dead messages.
func (h *Hooks) Deliveries(name string) (tries []Try, dead []Message, err error) {
	w, err := h.find(name)
	if err != nil {
		return nil, nil, err
	}
	tries, dead = w.seen()
	return tries, dead, nil
}

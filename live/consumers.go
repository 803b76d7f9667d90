package live

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/musterdb/muster/internal/node/disk"
	"github.com/musterdb/muster/query/wire"
)

// MaxConsumers is the greatest number of durable consumers.
const MaxConsumers = 10_000

// Consumer is a durable subscriber: it continues where it has acknowledged.
type Consumer struct {
	Name    string
	Segment string
	Cursor  string
	At      int64 // of the last acknowledgement, Unix ms
}

// Consumers keeps the acknowledged cursors. Once a second, all that have changed are written together.
type Consumers struct {
	table disk.Table // may be nil
	mu    struct {
		sync.Mutex
		all   map[string]Consumer
		dirty map[string]bool
	}
}

func openConsumers(table disk.Table) (*Consumers, error) {
	c := &Consumers{table: table}
	c.mu.all, c.mu.dirty = map[string]Consumer{}, map[string]bool{}
	if table == nil {
		return c, nil
	}
	err := table.All(func(key string, value []byte) error {
		r := wire.NewReader(value)
		if format := r.Byte(); format != 1 {
			return fmt.Errorf("consumer %q has format %d", key, format)
		}
		consumer := Consumer{Name: key, Segment: string([]byte(r.String())), Cursor: string([]byte(r.String())), At: r.Varint()}
		c.mu.all[key] = consumer
		return r.Done()
	})
	return c, err
}

// Ack records how far a consumer has got with a segment. A cursor that is not further than the recorded one
// changes nothing, so acknowledgements may arrive twice and out of order.
func (c *Consumers) Ack(name, segment string, cursor *Cursor, at int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.mu.all[name]
	if !known && len(c.mu.all) >= MaxConsumers {
		return ErrTooMany
	}
	if known && old.Segment == segment {
		if before, err := ParseCursor(old.Cursor); err == nil && !before.behind(cursor) {
			return nil
		}
	}
	c.mu.all[name] = Consumer{name, segment, cursor.String(), at}
	c.mu.dirty[name] = true
	return nil
}

// Get returns a consumer.
func (c *Consumers) Get(name string) (Consumer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	consumer, ok := c.mu.all[name]
	return consumer, ok
}

// All returns every consumer in order of name.
func (c *Consumers) All() []Consumer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Consumer, 0, len(c.mu.all))
	for _, name := range slices.Sorted(maps.Keys(c.mu.all)) {
		all = append(all, c.mu.all[name])
	}
	return all
}

// Forget removes a consumer.
func (c *Consumers) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.all, name)
	c.mu.dirty[name] = true
}

// flush writes the changed cursors. After an error the next call tries again.
func (c *Consumers) flush() error {
	c.mu.Lock()
	values := make(map[string][]byte, len(c.mu.dirty))
	for name := range c.mu.dirty {
		if consumer, ok := c.mu.all[name]; ok {
			b := wire.AppendString([]byte{1}, consumer.Segment)
			b = wire.AppendString(b, consumer.Cursor)
			values[name] = binary.AppendVarint(b, consumer.At)
		} else {
			values[name] = nil
		}
	}
	clear(c.mu.dirty)
	c.mu.Unlock()
	if c.table == nil || len(values) == 0 {
		return nil
	}
	err := c.table.Put(values)
	if err != nil {
		c.mu.Lock()
		for name := range values {
			c.mu.dirty[name] = true
		}
		c.mu.Unlock()
	}
	return err
}

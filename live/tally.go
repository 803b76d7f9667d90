package live

import (
	"sort"
	"sync"
	"time"

	"github.com/musterdb/muster/engine"
)

const hour = int64(time.Hour / time.Millisecond)

// tally counts who enters and leaves each segment in each hour, over all shards, for as long as changes
// are kept: 24 bytes for each hour in which something happened. It is derived from the blocks.
type tally struct {
	hours int64 // that are kept
	mu    struct {
		sync.Mutex
		ready    bool // the blocks of earlier lives are counted
		segments map[string]*tallied
	}
}

// tallied is the hours of a segment.
type tallied struct {
	hours []hourly
	gone  bool // forgotten: there may be another one now
}

// hourly is one hour of a segment, ascending.
type hourly struct {
	hour          int64 // since 1970
	enters, exits int64
}

func newTally(age time.Duration) *tally {
	t := &tally{hours: age.Milliseconds()/hour + 2}
	t.mu.segments = map[string]*tallied{}
	return t
}

func (t *tally) add(segment string, at, enters, exits int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(t.ofLocked(segment), at, enters, exits)
}

// addAll counts the changes of an entry, of the segments of the same numbers.
func (t *tally) addAll(changes []engine.Change, of []*known) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range changes {
		c, k := &changes[i], of[i]
		if k.tally == nil || k.tally.gone {
			k.tally = t.ofLocked(k.name)
		}
		t.addLocked(k.tally, c.At, int64(len(c.Enters)), int64(len(c.Exits)))
	}
}

func (t *tally) ofLocked(segment string) *tallied {
	x := t.mu.segments[segment]
	if x == nil {
		x = &tallied{}
		t.mu.segments[segment] = x
	}
	return x
}

func (t *tally) addLocked(x *tallied, at, enters, exits int64) {
	all, h := x.hours, at/hour
	i := len(all) - 1
	if i < 0 || all[i].hour != h {
		i = sort.Search(len(all), func(i int) bool { return all[i].hour >= h })
	}
	if i == len(all) || all[i].hour != h {
		all = append(all, hourly{})
		copy(all[i+1:], all[i:])
		all[i] = hourly{hour: h}
		old := 0
		for all[old].hour < all[len(all)-1].hour-t.hours {
			old++
		}
		if old > 0 && old <= i {
			all, i = append([]hourly(nil), all[old:]...), i-old
		}
		x.hours = all
	}
	all[i].enters += enters
	all[i].exits += exits
}

// counted says that the blocks of earlier lives are counted.
func (t *tally) counted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.ready = true
}

// forget drops segments without an hour that is kept.
func (t *tally) forget(now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, x := range t.mu.segments {
		if x.hours[len(x.hours)-1].hour < now/hour-t.hours {
			delete(t.mu.segments, name)
			x.gone = true
		}
	}
}

// course returns the hours of a segment from an instant on. ready is false while not all are counted.
func (t *tally) course(segment string, since int64) (hours []hourly, ready bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []hourly
	if x := t.mu.segments[segment]; x != nil {
		all = x.hours
	}
	i := sort.Search(len(all), func(i int) bool { return all[i].hour*hour >= since })
	return append([]hourly(nil), all[i:]...), t.mu.ready
}

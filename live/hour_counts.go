package live

import (
	"sort"
	"sync"
	"time"

	"github.com/musterdb/muster/engine"
)

const hour = int64(time.Hour / time.Millisecond)

// hourCounts counts how many profiles enter and leave each segment in each hour, over all shards, for as
// long as changes are kept. It uses 24 bytes per hour with changes, and is derived from the blocks.
type hourCounts struct {
	hours int64 // number of hours kept
	mu    struct {
		sync.Mutex
		ready    bool // the blocks of earlier processes are counted
		segments map[string]*segmentHours
	}
}

// segmentHours holds the hours of a segment, ascending.
type segmentHours struct {
	hours []hourCount
	gone  bool // dropped; a newer one may have replaced it
}

// hourCount is one hour of a segment.
type hourCount struct {
	hour          int64 // since 1970
	enters, exits int64
}

func newHourCounts(age time.Duration) *hourCounts {
	t := &hourCounts{hours: age.Milliseconds()/hour + 2}
	t.mu.segments = map[string]*segmentHours{}
	return t
}

func (t *hourCounts) add(segment string, at, enters, exits int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(t.ofLocked(segment), at, enters, exits)
}

// addAll counts the changes of an entry; of[i] is the segment of changes[i].
func (t *hourCounts) addAll(changes []engine.Change, of []*segmentEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range changes {
		c, k := &changes[i], of[i]
		if k.hours == nil || k.hours.gone {
			k.hours = t.ofLocked(k.name)
		}
		t.addLocked(k.hours, c.At, int64(len(c.Enters)), int64(len(c.Exits)))
	}
}

func (t *hourCounts) ofLocked(segment string) *segmentHours {
	x := t.mu.segments[segment]
	if x == nil {
		x = &segmentHours{}
		t.mu.segments[segment] = x
	}
	return x
}

func (t *hourCounts) addLocked(x *segmentHours, at, enters, exits int64) {
	all, h := x.hours, at/hour
	i := len(all) - 1
	if i < 0 || all[i].hour != h {
		i = sort.Search(len(all), func(i int) bool { return all[i].hour >= h })
	}
	if i == len(all) || all[i].hour != h {
		all = append(all, hourCount{})
		copy(all[i+1:], all[i:])
		all[i] = hourCount{hour: h}
		old := 0
		for all[old].hour < all[len(all)-1].hour-t.hours {
			old++
		}
		if old > 0 && old <= i {
			all, i = append([]hourCount(nil), all[old:]...), i-old
		}
		x.hours = all
	}
	all[i].enters += enters
	all[i].exits += exits
}

// counted records that the blocks of earlier processes are counted.
func (t *hourCounts) counted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.ready = true
}

// forget drops segments whose hours are all too old.
func (t *hourCounts) forget(now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, x := range t.mu.segments {
		if x.hours[len(x.hours)-1].hour < now/hour-t.hours {
			delete(t.mu.segments, name)
			x.gone = true
		}
	}
}

// hoursSince returns the hours of a segment from an instant on. ready is false while blocks are still being
// counted.
func (t *hourCounts) hoursSince(segment string, since int64) (hours []hourCount, ready bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []hourCount
	if x := t.mu.segments[segment]; x != nil {
		all = x.hours
	}
	i := sort.Search(len(all), func(i int) bool { return all[i].hour*hour >= since })
	return append([]hourCount(nil), all[i:]...), t.mu.ready
}

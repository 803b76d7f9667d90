package member

import (
	"math/bits"

	"github.com/musterdb/muster/query"
)

// Load is how much data a node holds, as far as the prices of segments depend on it. Loads of shards are
// added up.
type Load struct {
	Now      int64 // Unix ms
	Shards   int
	Chunks   int
	Profiles int64
	Rows     int64                 // events of all names
	Events   map[uint32]*EventLoad // of the names that were requested
}

// NewLoad returns an empty load as of now.
func NewLoad(now int64) *Load { return &Load{Now: now, Events: map[uint32]*EventLoad{}} }

// allSpan is the span over which the events of all names are assumed to be spread.
const allSpan = 90 * 86_400_000

// all returns the events of all names as one load.
func (l *Load) all() *EventLoad {
	e := &EventLoad{Rows: l.Rows, Profiles: l.Profiles, Tails: min(l.Rows, int64(l.Chunks)*tailScan)}
	e.spread(0, allSpan, float64(l.Rows))
	return e
}

// tailScan is roughly the number of rows in a chunk's tails.
const tailScan = 32_768

// ageBins is the number of bins in which ages are counted: one for times in the future, one for the last
// minute, and each further bin twice as wide as the previous one.
const ageBins = 28

const firstAge = 60_000

// EventLoad is the events of one name.
type EventLoad struct {
	Rows     int64
	Profiles int64 // with at least one event
	Tails    int64 // rows that are not in a leaf yet, roughly
	ages     [ageBins]float64
}

// Event returns the load of an event name, adding it if it is missing.
func (l *Load) Event(id uint32) *EventLoad {
	e := l.Events[id]
	if e == nil {
		e = &EventLoad{}
		l.Events[id] = e
	}
	return e
}

// Add adds a shard's events of one name and chunk. The rows of a block are assumed to be spread evenly over
// its time.
func (l *Load) Add(event uint32, s query.Series) {
	e := l.Event(event)
	if s.Rows == 0 {
		return
	}
	e.Rows += int64(s.Rows)
	e.Profiles += int64(s.Ever.Count())
	for i, b := range s.Blocks {
		if i >= s.Settled && !b.Sorted {
			e.Tails += int64(b.Rows)
		}
		e.spread(l.Now-b.Max, l.Now-b.Min, float64(b.Rows))
	}
}

// bin returns the bin of an age.
func bin(age int64) int {
	if age < 0 {
		return 0
	}
	return min(1+bits.Len64(uint64(age/firstAge)), ageBins-1)
}

// bounds returns the range of ages of a bin.
func bounds(bin int) (from, to int64) {
	switch bin {
	case 0:
		return -1 << 62, 0
	case 1:
		return 0, firstAge
	case ageBins - 1:
		return firstAge << (bin - 2), 1 << 62
	}
	return firstAge << (bin - 2), firstAge << (bin - 1)
}

func (e *EventLoad) spread(from, to int64, rows float64) {
	first, last := bin(from), bin(to)
	if first == last {
		e.ages[first] += rows
		return
	}
	whole := float64(to-from) + 1
	for i := first; i <= last; i++ {
		lo, hi := bounds(i)
		e.ages[i] += rows * float64(min(hi, to+1)-max(lo, from)) / whole
	}
}

// within estimates how many events have times in [from, to) in a load taken at now.
func (e *EventLoad) within(now, from, to int64) float64 {
	if e == nil || from >= to {
		return 0
	}
	young, old := age(now, to), age(now, from)
	first, last := bin(young), bin(old)
	rows := 0.0
	for i := first; i <= last; i++ {
		lo, hi := bounds(i)
		if i == 0 || i == ageBins-1 {
			rows += e.ages[i]
			continue
		}
		rows += e.ages[i] * float64(min(hi, old+1)-max(lo, young)) / float64(hi-lo)
	}
	return min(rows, float64(e.Rows))
}

// age returns how long before now a time is, limited to what the bins distinguish.
func age(now, time int64) int64 {
	const far = 1 << 60
	return now - max(min(time, far), -far)
}

// each estimates how many events of the name the profile of an arriving event has. Active profiles receive
// more events, so that is above the average.
func (e *EventLoad) each() float64 {
	const crowd = 3
	if e == nil || e.Profiles == 0 {
		return 1
	}
	return crowd * float64(e.Rows) / float64(e.Profiles)
}

func (e *EventLoad) rows() float64 {
	if e == nil {
		return 0
	}
	return float64(e.Rows)
}

func (e *EventLoad) profiles() float64 {
	if e == nil {
		return 0
	}
	return float64(e.Profiles)
}

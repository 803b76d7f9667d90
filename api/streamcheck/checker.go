package streamcheck

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/musterdb/muster/api"
)

// Fault is something that must not happen on a stream.
type Fault struct {
	Profile string
	What    string
}

func (f Fault) String() string { return f.Profile + ": " + f.What }

// Checker is what one client has heard of one segment. The zero value has heard nothing: its stream
// must begin with a snapshot, or with a segment that has no members.
//
// A gap shows as an enter of somebody who is in, an exit of somebody who is not, or at the end; a
// duplicate as a cursor that came before.
type Checker struct {
	in      map[string]bool
	again   map[string]bool // members that a continued snapshot may bring again
	paging  bool
	loose   bool // a snapshot was continued after a reconnect
	seed    maphash.Seed
	cursors map[uint64]bool
	faults  []Fault
	Enters  int
	Exits   int
	Members int
	Resyncs int
}

// maxFaults bounds how many faults are kept: the first ones tell most.
const maxFaults = 100

// Take takes the next message.
func (c *Checker) Take(m *api.StreamMessage) {
	if c.in == nil {
		c.seed = maphash.MakeSeed()
		c.reset()
	}
	switch m.Op {
	case "members":
		c.page(m)
	case "enter", "exit":
		c.change(m)
	case "resync":
		c.Resyncs++
		c.reset()
	}
}

func (c *Checker) reset() {
	c.in, c.again, c.cursors, c.paging = map[string]bool{}, map[string]bool{}, map[uint64]bool{}, false
	c.loose = false
}

// Reconnected says that the connection broke. In the middle of a snapshot the rest is that of another
// moment: what changed in between comes again.
func (c *Checker) Reconnected() {
	if c.paging {
		c.loose, c.again = true, maps.Clone(c.in)
	}
}

func (c *Checker) page(m *api.StreamMessage) {
	c.paging = m.More
	for _, p := range m.Profiles {
		if c.in[p.Profile] && !c.again[p.Profile] {
			c.fault(p.Profile, "a member twice in a snapshot")
		}
		c.in[p.Profile] = true
		if c.loose {
			c.again[p.Profile] = true // a change since the first page may tell the same
		}
		c.Members++
	}
}

func (c *Checker) change(m *api.StreamMessage) {
	hash := maphash.String(c.seed, m.Cursor)
	switch {
	case m.Cursor == "":
		c.fault(m.Profile, "a change without a cursor")
	case c.cursors[hash]:
		c.fault(m.Profile, "the cursor of this "+m.Op+" came before")
	}
	c.cursors[hash] = true
	if c.paging {
		c.fault(m.Profile, "an "+m.Op+" in the middle of a snapshot")
	}
	enter := m.Op == "enter"
	if enter {
		c.Enters++
	} else {
		c.Exits++
	}
	switch {
	case enter == c.in[m.Profile] && !c.lenient(m, enter):
		c.fault(m.Profile, "an "+m.Op+" that changes nothing")
	case enter:
		c.in[m.Profile] = true
	default:
		delete(c.in, m.Profile)
	}
	delete(c.again, m.Profile)
}

// lenient tells whether a change that changes nothing is right: one that a snapshot already held, or
// the exit of somebody who was gone before the snapshot could name them.
func (c *Checker) lenient(m *api.StreamMessage, enter bool) bool {
	if enter {
		return c.again[m.Profile]
	}
	return c.Members > 0 && (m.Cause == "merge" || m.Cause == "erase" || c.loose)
}

func (c *Checker) fault(profile, what string) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, Fault{profile, what})
	}
}

// Size is the number of members heard of.
func (c *Checker) Size() int { return len(c.in) }

// Agrees tells whether the members heard of are exactly those of a list, to know when a stream has
// caught up.
func (c *Checker) Agrees(list []string) bool {
	for _, id := range list {
		if !c.in[id] {
			return false
		}
	}
	return len(c.in) == len(list)
}

// End compares what was heard with a fresh list of the members, taken when nothing changes any more,
// and returns all that was wrong.
func (c *Checker) End(list []string) []Fault {
	want := make(map[string]bool, len(list))
	for _, id := range list {
		want[id] = true
		if !c.in[id] {
			c.fault(id, "a member that the stream did not tell")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.in)) {
		if !want[id] {
			c.fault(id, "told by the stream and no member")
		}
	}
	return c.faults
}

// Error joins faults into one error; nil without any.
func Error(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d faults on the stream, the first: %v", len(faults), faults[0])
}

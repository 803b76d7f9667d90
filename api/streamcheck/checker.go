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

// Checker follows the stream of one segment for one client. A zero Checker has received nothing: its stream
// must begin with a snapshot, or the segment must have no members.
//
// A gap shows as an enter of a member, an exit of a non-member, or a difference at the end. A duplicate shows
// as a cursor that was received before.
type Checker struct {
	in      map[string]bool
	again   map[string]bool // members that a continued snapshot may contain again
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

// maxFaults limits how many faults are kept; the first ones say most.
const maxFaults = 100

// Take checks the next message.
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

// Reconnected records that the connection broke. If that was during a snapshot, the rest of the snapshot is of
// a later time, and the changes in between are sent again.
func (c *Checker) Reconnected() {
	if c.paging {
		c.loose, c.again = true, maps.Clone(c.in)
	}
}

func (c *Checker) page(m *api.StreamMessage) {
	c.paging = m.More
	for _, p := range m.Profiles {
		if c.in[p.Profile] && !c.again[p.Profile] {
			c.fault(p.Profile, "a member appears twice in a snapshot")
		}
		c.in[p.Profile] = true
		if c.loose {
			c.again[p.Profile] = true // a change since the first page may have the same effect
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
		c.fault(m.Profile, "the cursor of this "+m.Op+" was received before")
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

// lenient reports whether a change without effect is allowed: one that a snapshot already included, or the
// exit of a profile that was gone before the snapshot could contain it.
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

// Size returns the number of members according to the stream.
func (c *Checker) Size() int { return len(c.in) }

// Agrees reports whether the members according to the stream are exactly those of a list. Use it to find out
// whether a stream has caught up.
func (c *Checker) Agrees(list []string) bool {
	for _, id := range list {
		if !c.in[id] {
			return false
		}
	}
	return len(c.in) == len(list)
}

// End compares the members according to the stream with a fresh list of the members, which must no longer
// change, and returns all faults.
func (c *Checker) End(list []string) []Fault {
	want := make(map[string]bool, len(list))
	for _, id := range list {
		want[id] = true
		if !c.in[id] {
			c.fault(id, "a member that is missing from the stream")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.in)) {
		if !want[id] {
			c.fault(id, "in the stream but not a member")
		}
	}
	return c.faults
}

// Error joins faults into one error, nil if there are none.
func Error(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d faults on the stream, the first: %v", len(faults), faults[0])
}

package streamcheck

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterdb/muster/api"
)

// testStream is a correct stream of one segment, and its list at the end. A nil message is a broken connection.
type testStream struct {
	rng      *rand.Rand
	in       map[string]bool
	cursor   int
	messages []*api.StreamMessage
	since    int // no resync follows the messages from here on
}

func newTestStream(seed uint64) *testStream {
	s := &testStream{rng: rand.New(rand.NewPCG(seed, 61)), in: map[string]bool{}}
	if s.rng.IntN(2) == 0 {
		for i := range s.rng.IntN(12) {
			s.in[fmt.Sprint("p", i)] = true
		}
		s.snapshot()
	}
	for range 20 + s.rng.IntN(40) {
		switch s.rng.IntN(14) {
		case 0:
			s.messages = append(s.messages, nil)
		case 1:
			s.messages = append(s.messages, &api.StreamMessage{Op: "checkpoint", Cursor: "c"})
		case 2:
			s.since = len(s.messages)
			s.messages = append(s.messages, &api.StreamMessage{Op: "resync"})
			s.snapshot()
		default:
			s.messages = append(s.messages, s.change())
		}
	}
	return s
}

// change makes a random profile enter or leave.
func (s *testStream) change() *api.StreamMessage {
	id := fmt.Sprint("p", s.rng.IntN(20))
	s.cursor++
	m := change("enter", id, fmt.Sprint(s.cursor))
	if s.in[id] {
		m.Op = "exit"
	}
	if s.in[id] = !s.in[id]; !s.in[id] {
		delete(s.in, id)
	}
	return m
}

// snapshot appends the members in pages. If a connection breaks between two pages, the rest is the members of
// that later time, followed by the changes since the first page.
func (s *testStream) snapshot() {
	ids := slices.Sorted(maps.Keys(s.in))
	cut := s.rng.IntN(len(ids) + 1)
	first := page(true, ids[:cut]...)
	s.messages = append(s.messages, first)
	if s.rng.IntN(2) == 0 || cut == 0 || cut == len(ids) {
		s.messages = append(s.messages, page(false, ids[cut:]...))
		return
	}
	var changes []*api.StreamMessage
	for range s.rng.IntN(8) {
		changes = append(changes, s.change())
	}
	var rest []string
	for _, id := range slices.Sorted(maps.Keys(s.in)) {
		if id > ids[cut-1] {
			rest = append(rest, id)
		}
	}
	s.messages = append(s.messages, nil, page(false, rest...))
	s.messages = append(s.messages, changes...)
}

func (s *testStream) list() []string { return slices.Sorted(maps.Keys(s.in)) }

// check gives messages to a checker and returns the faults at the end.
func check(messages []*api.StreamMessage, list []string) []Fault {
	var c Checker
	for _, m := range messages {
		if m == nil {
			c.Reconnected()
		} else {
			c.Take(m)
		}
	}
	agrees := c.Agrees(list)
	before := len(c.faults)
	faults := c.End(list)
	if agrees != (len(faults) == before) && before < maxFaults {
		return append(faults, Fault{"", "Agrees and End differ"})
	}
	return faults
}

// TestRightStreams checks that no correct stream has a fault.
func TestRightStreams(t *testing.T) {
	first := rand.Uint64()
	for i := range uint64(3000) {
		s := newTestStream(first + i)
		if faults := check(s.messages, s.list()); len(faults) > 0 {
			t.Fatalf("seed %d: %v\n%s", first+i, faults, text(s.messages))
		}
	}
}

func text(messages []*api.StreamMessage) string {
	var out strings.Builder
	for _, m := range messages {
		if m == nil {
			out.WriteString("— ")
			continue
		}
		fmt.Fprintf(&out, "%s %s", m.Op, m.Profile)
		for _, p := range m.Profiles {
			out.WriteString(p.Profile + " ")
		}
		out.WriteString("; ")
	}
	return out.String()
}

// faults plant a fault in a stream, or in the list at its end, and return the profile concerned, or "" if the
// stream has no place for the fault.
var faults = map[string]func(s *testStream, list *[]string) string{
	"a change that is missing": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		who := s.messages[i].Profile
		s.messages = slices.Delete(s.messages, i, i+1)
		return who
	},
	"a change twice": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		s.messages = slices.Insert(s.messages, i+1+s.rng.IntN(len(s.messages)-i), s.messages[i])
		return s.messages[i].Profile
	},
	"a change again after a break": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		s.messages = slices.Insert(s.messages, i+1, nil, s.messages[i])
		return s.messages[i].Profile
	},
	"two changes of a profile in the wrong order": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		for k := i + 1; i >= 0 && k < len(s.messages); k++ {
			if m := s.messages[k]; m != nil && m.Profile == s.messages[i].Profile {
				s.messages[i], s.messages[k] = m, s.messages[i]
				return m.Profile
			}
		}
		return ""
	},
	"an exit of an unknown profile": func(s *testStream, _ *[]string) string {
		s.messages = append(s.messages, change("exit", "nobody", "new"))
		return "nobody"
	},
	"an exit that comes early": func(s *testStream, list *[]string) string {
		s.messages = append(s.messages, change("exit", "early", "new"), change("enter", "early", "newer"))
		*list = append(*list, "early")
		return "early"
	},
	"an enter of a member": func(s *testStream, list *[]string) string {
		if len(*list) == 0 || s.loose() {
			return ""
		}
		who := (*list)[s.rng.IntN(len(*list))]
		s.messages = append(s.messages, change("enter", who, "new"))
		return who
	},
	"a change without a cursor": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		m := *s.messages[i]
		m.Cursor, s.messages[i] = "", &m
		return m.Profile
	},
	"a cursor of another change": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		k := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 || i >= k {
			return ""
		}
		m := *s.messages[k]
		m.Cursor, s.messages[k] = s.messages[i].Cursor, &m
		return m.Profile
	},
	"a member missing from the snapshot": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return len(m.Profiles) > 0 })
		if i < 0 || s.loose() {
			return ""
		}
		m := *s.messages[i]
		who := m.Profiles[0].Profile
		m.Profiles, s.messages[i] = m.Profiles[1:], &m
		return who
	},
	"an extra member in the snapshot": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Op == "members" })
		if i < 0 {
			return ""
		}
		m := *s.messages[i]
		m.Profiles, s.messages[i] = append(slices.Clone(m.Profiles), api.StreamMember{Profile: "stranger"}), &m
		return "stranger"
	},
	"a member twice in a page": func(s *testStream, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return len(m.Profiles) > 0 })
		if i < 0 || s.loose() {
			return ""
		}
		m := *s.messages[i]
		m.Profiles, s.messages[i] = append(slices.Clone(m.Profiles), m.Profiles[0]), &m
		return m.Profiles[0].Profile
	},
	"a change within the snapshot": func(s *testStream, list *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.More })
		if i < 0 {
			return ""
		}
		s.messages = slices.Insert(s.messages, i+1, change("enter", "early", "new"))
		*list = append(*list, "early")
		return "early"
	},
	"a member missing from the list": func(s *testStream, list *[]string) string {
		if len(*list) == 0 {
			return ""
		}
		who := (*list)[0]
		*list = (*list)[1:]
		return who
	},
	"a member only in the list": func(s *testStream, list *[]string) string {
		*list = append(*list, "listed")
		return "listed"
	},
}

// pick returns the index of a random message that no resync follows, -1 if there is none of the kind.
func (s *testStream) pick(is func(*api.StreamMessage) bool) int {
	var all []int
	for i := s.since; i < len(s.messages); i++ {
		if s.messages[i] != nil && is(s.messages[i]) {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return -1
	}
	return all[s.rng.IntN(len(all))]
}

// loose reports whether the last snapshot was continued after a break: then some messages may repeat.
func (s *testStream) loose() bool {
	for i := s.since; i+1 < len(s.messages); i++ {
		if s.messages[i] != nil && s.messages[i].More && s.messages[i+1] == nil {
			return true
		}
	}
	return false
}

// lenient are the faults that a continued snapshot excuses: changes that it already includes may be missing
// after it, and profiles that were gone before they appeared in it may leave.
var lenient = []string{"a change that is missing", "two changes of a profile in the wrong order", "an exit of an unknown profile", "an exit that comes early"}

// TestPlantedFaults checks that every fault is found in any stream, with the right profile.
func TestPlantedFaults(t *testing.T) {
	first := rand.Uint64()
	for name, plant := range faults {
		planted := 0
		for i := range uint64(400) {
			s := newTestStream(first + i)
			list := s.list()
			if s.loose() && slices.Contains(lenient, name) {
				continue
			}
			who := plant(s, &list)
			if who == "" {
				continue
			}
			planted++
			found := check(s.messages, list)
			if !slices.ContainsFunc(found, func(f Fault) bool { return f.Profile == who }) || Error(found) == nil || !strings.Contains(Error(found).Error(), found[0].String()) {
				t.Fatalf("seed %d: %s, of %s: found %v\n%s", first+i, name, who, found, text(s.messages))
			}
		}
		if planted < 30 {
			t.Errorf("seed %d: %s: planted only %d times", first, name, planted)
		}
	}
}

// TestCounts checks the counters and the limit on faults.
func TestCounts(t *testing.T) {
	var c Checker
	c.Take(page(true, "a", "b"))
	c.Take(page(false, "c"))
	c.Take(change("exit", "a", "1"))
	c.Take(change("enter", "d", "2"))
	c.Take(change("enter", "e", "3"))
	if c.Members != 3 || c.Enters != 2 || c.Exits != 1 || c.Size() != 4 || c.Resyncs != 0 || Error(c.End([]string{"b", "c", "d", "e"})) != nil {
		t.Errorf("%+v", c)
	}
	c.Take(&api.StreamMessage{Op: "resync"})
	if c.Resyncs != 1 || c.Size() != 0 {
		t.Errorf("after a resync %+v", c)
	}
	for i := range 3 * maxFaults {
		c.Take(change("exit", "nobody", fmt.Sprint(i)))
	}
	if faults := c.End(nil); len(faults) != maxFaults {
		t.Errorf("%d faults", len(faults))
	}
}

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

// telling is a right stream of one segment, and the list at its end. A nil message is a connection that broke.
type telling struct {
	rng      *rand.Rand
	in       map[string]bool
	cursor   int
	messages []*api.StreamMessage
	since    int // the messages from here on no resync follows
}

func newTelling(seed uint64) *telling {
	s := &telling{rng: rand.New(rand.NewPCG(seed, 61)), in: map[string]bool{}}
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

// change lets somebody enter or leave.
func (s *telling) change() *api.StreamMessage {
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

// snapshot tells the members in pages. A connection that breaks between two of them goes on with the rest as
// it is then, and with the changes since the first page.
func (s *telling) snapshot() {
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

func (s *telling) list() []string { return slices.Sorted(maps.Keys(s.in)) }

// hear lets a checker hear messages, and returns what it says at the end.
func hear(messages []*api.StreamMessage, list []string) []Fault {
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
		return append(faults, Fault{"", "agreement and the end differ"})
	}
	return faults
}

// TestRightStreams: no right stream has a fault.
func TestRightStreams(t *testing.T) {
	first := rand.Uint64()
	for i := range uint64(3000) {
		s := newTelling(first + i)
		if faults := hear(s.messages, s.list()); len(faults) > 0 {
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

// faults plant something in a stream, or in the list at its end, and return whom it is about; "" where the
// stream has no place for it.
var faults = map[string]func(s *telling, list *[]string) string{
	"a change that is missing": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		who := s.messages[i].Profile
		s.messages = slices.Delete(s.messages, i, i+1)
		return who
	},
	"a change twice": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		s.messages = slices.Insert(s.messages, i+1+s.rng.IntN(len(s.messages)-i), s.messages[i])
		return s.messages[i].Profile
	},
	"a change again after a break": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		s.messages = slices.Insert(s.messages, i+1, nil, s.messages[i])
		return s.messages[i].Profile
	},
	"two changes of a profile in the wrong order": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		for k := i + 1; i >= 0 && k < len(s.messages); k++ {
			if m := s.messages[k]; m != nil && m.Profile == s.messages[i].Profile {
				s.messages[i], s.messages[k] = m, s.messages[i]
				return m.Profile
			}
		}
		return ""
	},
	"an exit of nobody": func(s *telling, _ *[]string) string {
		s.messages = append(s.messages, change("exit", "nobody", "new"))
		return "nobody"
	},
	"an exit that comes early": func(s *telling, list *[]string) string {
		s.messages = append(s.messages, change("exit", "early", "new"), change("enter", "early", "newer"))
		*list = append(*list, "early")
		return "early"
	},
	"an enter of a member": func(s *telling, list *[]string) string {
		if len(*list) == 0 || s.loose() {
			return ""
		}
		who := (*list)[s.rng.IntN(len(*list))]
		s.messages = append(s.messages, change("enter", who, "new"))
		return who
	},
	"a change without a cursor": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 {
			return ""
		}
		m := *s.messages[i]
		m.Cursor, s.messages[i] = "", &m
		return m.Profile
	},
	"a cursor of another change": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		k := s.pick(func(m *api.StreamMessage) bool { return m.Cause == "event" })
		if i < 0 || i >= k {
			return ""
		}
		m := *s.messages[k]
		m.Cursor, s.messages[k] = s.messages[i].Cursor, &m
		return m.Profile
	},
	"a member that is missing in the snapshot": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return len(m.Profiles) > 0 })
		if i < 0 || s.loose() {
			return ""
		}
		m := *s.messages[i]
		who := m.Profiles[0].Profile
		m.Profiles, s.messages[i] = m.Profiles[1:], &m
		return who
	},
	"a member too many in the snapshot": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.Op == "members" })
		if i < 0 {
			return ""
		}
		m := *s.messages[i]
		m.Profiles, s.messages[i] = append(slices.Clone(m.Profiles), api.StreamMember{Profile: "stranger"}), &m
		return "stranger"
	},
	"a member twice in a page": func(s *telling, _ *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return len(m.Profiles) > 0 })
		if i < 0 || s.loose() {
			return ""
		}
		m := *s.messages[i]
		m.Profiles, s.messages[i] = append(slices.Clone(m.Profiles), m.Profiles[0]), &m
		return m.Profiles[0].Profile
	},
	"a change within the snapshot": func(s *telling, list *[]string) string {
		i := s.pick(func(m *api.StreamMessage) bool { return m.More })
		if i < 0 {
			return ""
		}
		s.messages = slices.Insert(s.messages, i+1, change("enter", "early", "new"))
		*list = append(*list, "early")
		return "early"
	},
	"a member that the list lacks": func(s *telling, list *[]string) string {
		if len(*list) == 0 {
			return ""
		}
		who := (*list)[0]
		*list = (*list)[1:]
		return who
	},
	"a member of the list only": func(s *telling, list *[]string) string {
		*list = append(*list, "listed")
		return "listed"
	},
}

// pick draws a message behind which no resync comes, -1 if there is none of the kind.
func (s *telling) pick(is func(*api.StreamMessage) bool) int {
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

// loose reports whether the last snapshot was continued after a break: then some things may come again.
func (s *telling) loose() bool {
	for i := s.since; i+1 < len(s.messages); i++ {
		if s.messages[i] != nil && s.messages[i].More && s.messages[i+1] == nil {
			return true
		}
	}
	return false
}

// lenient are the faults that a continued snapshot forgives: what it has already may be missing after it, and
// who is gone before it names them may leave.
var lenient = []string{"a change that is missing", "two changes of a profile in the wrong order", "an exit of nobody", "an exit that comes early"}

// TestPlantedFaults: every fault is found, whatever the stream around it, and so is who it is about.
func TestPlantedFaults(t *testing.T) {
	first := rand.Uint64()
	for name, plant := range faults {
		planted := 0
		for i := range uint64(400) {
			s := newTelling(first + i)
			list := s.list()
			if s.loose() && slices.Contains(lenient, name) {
				continue
			}
			who := plant(s, &list)
			if who == "" {
				continue
			}
			planted++
			found := hear(s.messages, list)
			if !slices.ContainsFunc(found, func(f Fault) bool { return f.Profile == who }) || Error(found) == nil || !strings.Contains(Error(found).Error(), found[0].String()) {
				t.Fatalf("seed %d: %s, of %s: found %v\n%s", first+i, name, who, found, text(s.messages))
			}
		}
		if planted < 30 {
			t.Errorf("seed %d: %s: planted %d times only", first, name, planted)
		}
	}
}

// TestCounts: what was heard is counted, and no more faults are kept than anybody reads.
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

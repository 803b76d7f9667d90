package querytest

import (
	"sort"

	"github.com/musterdb/muster/query/tree"
)

// History is all data of a workspace: profiles with their attributes and events, lists, segments, and the
// time zone.
type History struct {
	Profiles []Profile
	Lists    map[string][]string // ids, of profiles or unknown
	Segments []*tree.Segment
	Zone     string
}

// Profile is one customer. UserID is "" for an anonymous profile, which has at least one anonymous id.
type Profile struct {
	UserID    string
	Anonymous []string
	Attrs     map[string]tree.Value
	Events    []Event // in order of arrival, not of time
}

// Event is one event of a profile. A property that has another type than its name counts as missing.
type Event struct {
	Name  string
	Time  int64 // Unix ms
	Props map[string]tree.Value
}

// ID returns the canonical id.
func (p *Profile) ID() string {
	if p.UserID != "" || len(p.Anonymous) == 0 {
		return p.UserID
	}
	return p.Anonymous[0]
}

// has reports whether id is one of the ids of the profile.
func (p *Profile) has(id string) bool {
	if p.UserID == id && id != "" {
		return true
	}
	for _, a := range p.Anonymous {
		if a == id {
			return true
		}
	}
	return false
}

// Types holds the names in a history, each with the type of its first value.
type Types struct {
	Attrs  map[string]tree.Type
	Events map[string]map[string]tree.Type
}

// Types returns the names and types of a history. Of several types, the first one counts, in the order of
// profiles and of the arrival of events.
func (h *History) Types() Types {
	t := Types{map[string]tree.Type{
		"user_id": tree.StringType, "anonymous_id": tree.StringType,
		"first_seen": tree.TimeType, "last_seen": tree.TimeType,
	}, map[string]map[string]tree.Type{}}
	for i := range h.Profiles {
		p := &h.Profiles[i]
		firstSeen(t.Attrs, p.Attrs)
		for j := range p.Events {
			props := t.Events[p.Events[j].Name]
			if props == nil {
				props = map[string]tree.Type{}
				t.Events[p.Events[j].Name] = props
			}
			firstSeen(props, p.Events[j].Props)
		}
	}
	return t
}

func firstSeen(types map[string]tree.Type, values map[string]tree.Value) {
	for name, v := range values {
		if _, known := types[name]; !known && !v.Missing() {
			types[name] = v.Type
		}
	}
}

// sortedKeys returns the keys of m in ascending order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

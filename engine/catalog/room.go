package catalog

import (
	"strings"
	"unicode/utf8"

	"github.com/musterdb/muster/query"
)

// Room tells how many more attributes, events or properties of an event the catalog takes.
func (s *State) Room(kind query.NameKind, event string) int {
	switch kind {
	case query.AttributeName:
		return MaxAttributes - s.attributes.n
	case query.EventName:
		return MaxEvents - s.events.n
	case query.PropertyName:
		if id, ok := s.eventIndex.get(event); ok {
			return MaxProperties - len(s.events.at(id).props)
		}
		return MaxProperties
	}
	return 0
}

// ValidName tells whether the catalog could take a name if it has room.
func ValidName(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && utf8.ValidString(name) && strings.IndexByte(name, 0) < 0
}

package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
)

var commandKinds = [...]string{"unknown", "messages", "tick", "catalog", "list", "identity", "refresh"}

// String returns the name of a kind of entry.
func (k CommandKind) String() string {
	if int(k) >= len(commandKinds) {
		return commandKinds[0]
	}
	return commandKinds[k]
}

// Summary describes an entry, for people who must decide what to do with it.
type Summary struct {
	Kind     CommandKind
	Now      int64    // its time, Unix ms
	Messages int      // number of messages of a messages entry
	IDs      []string // the first ids it names, each once
	What     string   // the rest, in words
}

// summaryIDs is the largest number of ids in a Summary.
const summaryIDs = 3

// Summarize describes an entry. The Kind of an entry that cannot be decoded is 0.
func Summarize(entry []byte) Summary {
	c, err := DecodeCommand(entry)
	if err != nil {
		return Summary{What: err.Error()}
	}
	s := Summary{Kind: c.Kind, Now: c.Now}
	switch c.Kind {
	case MessagesCommand:
		s.Messages = len(c.Messages)
		for i := range c.Messages {
			m := &c.Messages[i]
			s.name(m.UserID, m.AnonymousID)
		}
		s.What = counted(s.Messages, "message")
	case CatalogCommand:
		s.What = fmt.Sprintf("catalog version %d", c.Change.Version)
		if c.Change.Kind == catalog.PutSegment {
			s.What += fmt.Sprintf(", segment %q", c.Change.Segment.Name)
		}
	case ListCommand:
		s.name(c.List.Add...)
		s.name(c.List.Remove...)
		s.What = fmt.Sprintf("%d ids added to list %d, %d removed", len(c.List.Add), c.List.List, len(c.List.Remove))
	case IdentityCommand:
		s.name(c.Identity.Owner.ID, c.Identity.Target.ID)
		s.What = identitySteps[c.Identity.Op] + " of a merge"
	case RefreshCommand:
		s.What = fmt.Sprintf("refresh of segment %q", c.Refresh.Segment)
	}
	return s
}

var identitySteps = map[identity.Op]string{
	identity.ClaimOp: "claim", identity.AbsorbOp: "absorb", identity.ReleaseOp: "release", identity.SettleOp: "settle",
}

// name adds ids, each once, up to summaryIDs.
func (s *Summary) name(ids ...string) {
	for _, id := range ids {
		if len(s.IDs) == summaryIDs {
			return
		}
		known := id == ""
		for _, other := range s.IDs {
			known = known || other == id
		}
		if !known {
			s.IDs = append(s.IDs, strings.Clone(id))
		}
	}
}

// String describes the entry in half a line.
func (s Summary) String() string {
	text := s.Kind.String()
	if s.What != "" {
		text += ": " + s.What
	}
	if len(s.IDs) > 0 {
		quoted := make([]string, len(s.IDs))
		for i, id := range s.IDs {
			quoted[i] = fmt.Sprintf("%.60q", id)
		}
		text += " of " + strings.Join(quoted, ", ")
	}
	if s.Kind != 0 {
		text += ", of " + time.UnixMilli(s.Now).UTC().Format(time.RFC3339)
	}
	return text
}

// counted returns a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

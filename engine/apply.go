package engine

import (
	"errors"
	"fmt"

	"github.com/musterdb/muster/engine/catalog"
	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/internal/invariant"
	"github.com/musterdb/muster/query"
)

// ErrSeq is returned by Apply for an entry that does not follow the last one applied.
var ErrSeq = errors.New("entry is not after the last one applied")

// Result is what an entry did. Outcomes has one element per message of a messages entry, in their
// order; it is valid until the next Apply.
type Result struct {
	Kind       CommandKind
	Now        int64 // the shard's time after the entry
	Outcomes   []Outcome
	Accepted   int
	Duplicates int
	Refused    int
	// Reason says why an entry that has no messages was refused; then Refused is 1.
	Reason string
	// Identity is the answer to an identity entry.
	Identity identity.Reply
	// Changes are the changes of segment memberships made by the entry and by the time it moved to,
	// in the order of their instants.
	Changes []Change
	// Merges reports whether the entry may have changed the outbox of the merge protocol.
	Merges bool
}

// The reasons of refusals, as the rejects show them.
const (
	ReasonCatalog = "the entry needs a later catalog version"
	ReasonNames   = "the message uses an id the catalog does not have"
	ReasonTime    = "the time is out of range"
	ReasonID      = "an id is missing or too long"
	ReasonErased  = "the profile was erased"
)

// maxTime bounds times, so that sums and differences of two never overflow.
const maxTime = 1 << 53

// Apply applies the entry at seq of the shard's log. It is deterministic: equal shards and equal
// entries give equal results and equal hashes. On an error nothing has changed: the entry cannot be
// decoded (ErrCommand), or does not follow the last one (ErrSeq).
func (s *Shard) Apply(seq uint64, entry []byte) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq <= s.root.seq {
		return Result{}, fmt.Errorf("apply entry %d to a shard at %d: %w", seq, s.root.seq, ErrSeq)
	}
	c, err := s.decoder.decode(entry)
	if err == nil && (c.Now > maxTime || c.Now < -maxTime) {
		err = fmt.Errorf("%w: its time is out of range", ErrCommand)
	}
	if err != nil {
		return Result{}, fmt.Errorf("apply entry %d: %w", seq, err)
	}
	s.own()
	s.merged = false
	s.root.seq = seq
	return s.applyCommand(&c), nil
}

// applyCommand applies a decoded entry. REQUIRES: the root is owned.
func (s *Shard) applyCommand(c *Command) Result {
	s.root.time = max(s.root.time, c.Now)
	result := Result{Kind: c.Kind, Now: s.root.time}
	s.advanceLive(causeOf(c.Kind))
	switch c.Kind {
	case MessagesCommand:
		s.applyMessages(c, &result)
	case CatalogCommand:
		s.applyCatalog(c.Change, &result)
	case ListCommand:
		s.applyList(c.List, &result)
	case IdentityCommand:
		s.applyIdentity(c.Identity, &result)
	case RefreshCommand:
		s.applyRefresh(c.Refresh, &result)
	}
	s.finishLive(&result)
	result.Merges = s.merged
	s.publish()
	return result
}

// causeOf returns the cause of the membership changes that an entry of a kind makes. Each message of
// a messages entry has its own cause, see causeOfMessage.
func causeOf(kind CommandKind) Cause {
	switch kind {
	case IdentityCommand:
		return ByMerge
	case CatalogCommand:
		return ByDefinition
	}
	return ByAttribute
}

// causeOfMessage returns the cause of the membership changes that a message makes.
func causeOfMessage(m *Message) Cause {
	switch {
	case m.MessageID == "" && m.Source != "":
		return ByImport
	case m.Kind.HasEvent():
		return ByEvent
	}
	return ByAttribute
}

func (s *Shard) applyCatalog(change catalog.Change, result *Result) {
	next, err := s.root.catalog.Apply(change)
	if err != nil {
		result.Refused, result.Reason = 1, err.Error()
		return
	}
	if change.Kind == catalog.DropList {
		if id, ok := s.root.catalog.List(change.Name); ok {
			s.dropList(id)
		}
	}
	s.root.catalog = next
	s.defineColumns()
	s.defineSegments(change)
}

// defineColumns adds the columns and event tables that the catalog defines and the state lacks.
// REQUIRES: the root is owned.
func (s *Shard) defineColumns() {
	c := s.root.catalog
	for len(s.root.columns) < columnsOfEveryShard+c.Attributes() {
		a, _ := c.AttributeByID(query.FirstAttribute + uint32(len(s.root.columns)-columnsOfEveryShard))
		s.root.columns = append(s.root.columns, newAttributeColumn(s.epochs.current, a.Type))
	}
	for len(s.root.events) < c.Events() {
		s.root.events = append(s.root.events, &eventTable{epoch: s.epochs.current})
	}
}

func (s *Shard) applyMessages(c *Command, result *Result) {
	s.outcomes = s.outcomes[:0]
	s.forgetMessages()
	known := c.Catalog <= s.root.catalog.Version()
	for i := range c.Messages {
		outcome := Outcome{Status: Refused, Reason: ReasonCatalog}
		if known {
			if i%prefetchMessages == 0 {
				s.prefetch(c.Messages[i:min(i+prefetchMessages, len(c.Messages))])
			}
			invariant.Poison(c.Messages[i].MessageID)
			outcome = s.applyMessage(&c.Messages[i], &s.prefetched.messages[i%prefetchMessages])
		}
		switch outcome.Status {
		case Accepted:
			result.Accepted++
		case Duplicate:
			result.Duplicates++
		case Refused:
			result.Refused++
		}
		s.outcomes = append(s.outcomes, outcome)
	}
	result.Outcomes = s.outcomes
}

// applyMessage applies one message. It looks for a duplicate first, before it follows a redirect: a
// shard that redirects a message must refuse it if it has already applied it.
func (s *Shard) applyMessage(m *Message, found *prefetchedMessage) Outcome {
	if reason := s.checkMessage(m); reason != "" {
		return Outcome{Status: Refused, Reason: reason}
	}
	imported := m.MessageID == "" && m.Source != ""
	if imported {
		if s.seenLine(m.Source, m.Line) {
			return Outcome{Status: Duplicate}
		}
	} else if m.MessageID != "" {
		if s.seenMessage(found.messageID) {
			return Outcome{Status: Duplicate}
		}
	}
	if s.live != nil {
		s.live.tracker.SetCause(causeOfMessage(m))
	}
	ref := canonicalRef(m)
	x := s.space(ref.Anonymous)
	code := found.id.code - 1
	if found.id.code == 0 { // unless an earlier message gave it one
		code = x.internHashed(ref.ID, found.id.xxh)
	}
	if raw, ok := s.root.columns[x.home].raw(code); ok {
		return redirect(s.root.decodeHome(raw))
	}
	s.applyFacts(m, ref, s.profileOfCode(ref, x, code), s.prefetched.values[found.from:found.from+len(m.Fields)])
	if imported {
		s.rememberLine(m.Source, m.Line)
	} else if m.MessageID != "" {
		s.rememberMessage(found.messageID)
	}
	return Outcome{Status: Accepted}
}

// canonicalRef returns the id that names the message's profile.
func canonicalRef(m *Message) identity.Ref {
	if m.To != "" {
		return identity.User(m.To)
	}
	if m.UserID != "" {
		return identity.User(m.UserID)
	}
	return identity.Anon(m.AnonymousID)
}

// redirect returns the outcome of a message whose profile has left this shard. Messages for a profile
// that is still moving already go to its new owner.
func redirect(home identity.Home) Outcome {
	if home.State == identity.Erased {
		return Outcome{Status: Refused, Reason: ReasonErased}
	}
	return Outcome{Status: Moved, MoveTo: home.To.ID}
}

func (s *Shard) checkMessage(m *Message) string {
	if m.UserID == "" && m.AnonymousID == "" || m.Kind == Alias && (m.UserID == "" || m.PreviousID == "") {
		return ReasonID
	}
	if max(len(m.UserID), len(m.AnonymousID), len(m.PreviousID), len(m.To)) > maxIDBytes {
		return ReasonID
	}
	if m.Time > maxTime || m.Time < -maxTime {
		return ReasonTime
	}
	if !m.Kind.HasEvent() {
		for i := range m.Fields {
			if _, ok := s.root.catalog.AttributeByID(m.Fields[i].ID); !ok {
				return ReasonNames
			}
		}
		return ""
	}
	if m.Event == NoEvent && len(m.Fields) == 0 {
		return ""
	}
	event := s.root.catalog.EventByID(m.Event)
	if event == nil || len(m.Fields) > 0 && int(m.Fields[len(m.Fields)-1].ID) >= len(event.Properties()) {
		return ReasonNames
	}
	return ""
}

// applyFacts applies the facts of a message to its profile, which ref names. found has the prefetched
// values of its fields.
func (s *Shard) applyFacts(m *Message, ref identity.Ref, ordinal uint32, found []prefetchedText) {
	s.root.mismatched += int64(m.Mismatched)
	switch {
	case m.Kind.HasEvent() && m.Event == NoEvent: // only the history has it
	case m.Kind.HasEvent():
		s.appendEvent(ordinal, m.Event, m.Time, m.Fields, found)
	default:
		for i := range m.Fields {
			s.setAttribute(ordinal, m.Fields[i].ID, m.Fields[i].Value)
		}
	}
	if m.UserID != "" && m.AnonymousID != "" {
		s.requestMerge(ref, identity.Anon(m.AnonymousID), false)
	}
	if m.Kind == Alias {
		s.alias(ref, m.PreviousID)
	}
}

package engine

import (
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// aheadMessages is how many messages are looked up together.
const aheadMessages = 32

// ahead is what is looked up for a few messages before the first of them is applied. One after the
// other, each would wait for memory a dozen times; the same loads for many messages in a row do not
// depend on each other, so that the processor waits for all of them at once. What is kept of it cannot
// become untrue while the messages before are applied: hashes, and codes, which are given for ever.
type ahead struct {
	messages [aheadMessages]messageAhead
	values   []textAhead // of all fields of these messages, in order
	touched  int64       // so that no load is left out
}

// messageAhead is the hashes of a message's ids and the code of the id that names its profile.
type messageAhead struct {
	messageID uint64
	id        textAhead
	anonymous bool // the id
	from      int  // of its fields in values
}

// textAhead is a text with its hash, and its code in a dictionary; without a dictionary it is not looked
// up.
type textAhead struct {
	dict *dictionary
	text string
	xxh  uint64
	code uint32 // plus 1; 0: it may have none
	at   uint32 // where the text of the code begins in its block
}

// lookAhead looks messages up. Each loop below loads what the one before has found the places of.
//
// REQUIRES: they are at most aheadMessages.
func (s *Shard) lookAhead(messages []Message) {
	a := &s.ahead
	a.values = a.values[:0]
	for i := range messages {
		m, to := &messages[i], &a.messages[i]
		ref := canonicalRef(m)
		to.anonymous, to.from = ref.Anonymous, len(a.values)
		to.id = textAhead{dict: s.space(ref.Anonymous).dict, text: ref.ID, xxh: xxh3.HashString(ref.ID)}
		to.messageID = 0
		if m.MessageID != "" {
			to.messageID = s.messageHash(m.MessageID)
		}
		s.hashValues(m)
	}
	found := a.messages[:len(messages)]
	sum := int64(0)
	for i := range found {
		hash := found[i].messageID
		if x, part := &s.dedupIndex[hash>>56], &s.root.dedup.parts[hash>>56]; x.used > 0 && len(part.hashes) > 0 && len(part.starts) > 0 {
			sum += int64(x.slots[x.start(hash)]) + int64(part.hashes[len(part.hashes)-1]) + int64(part.starts[0].gen)
		}
	}
	for i := range found {
		sum += found[i].id.slot()
	}
	for i := range a.values {
		sum += a.values[i].slot()
	}
	for i := range found {
		found[i].id.guess()
	}
	for i := range a.values {
		a.values[i].guess()
	}
	for i := range found {
		found[i].id.settle()
	}
	for i := range a.values {
		a.values[i].settle()
	}
	for i := range found {
		sum += s.ownerCell(&found[i])
	}
	for i := range found {
		sum += s.seenCells(&found[i])
	}
	a.touched = sum
}

// hashValues adds the values of a message's fields; only strings that an event's dictionary may have
// are to be looked up.
func (s *Shard) hashValues(m *Message) {
	var props []propertyState
	if m.Kind.HasEvent() && int(m.Event) < len(s.root.events) {
		props = s.root.events[m.Event].props
	}
	for i := range m.Fields {
		f := &m.Fields[i]
		var v textAhead
		if f.Value.Type == tree.StringType && int(f.ID) < len(props) {
			if dict := props[f.ID].dict; dict != nil && dict.t == tree.StringType {
				v = textAhead{dict: dict, text: f.Value.Str, xxh: xxh3.HashString(f.Value.Str)}
			}
		}
		s.ahead.values = append(s.ahead.values, v)
	}
}

// slot loads the slot the text is looked for first.
func (x *textAhead) slot() int64 {
	if x.dict == nil {
		return 0
	}
	t := x.dict.index.table(x.xxh)
	if t == nil {
		return 0
	}
	return int64(t.slots[t.start(x.xxh)])
}

// guess finds the first code whose hash looks like that of the text, and loads where its text begins.
func (x *textAhead) guess() {
	if x.dict == nil {
		return
	}
	if x.code = x.dict.index.guess(x.xxh); x.code == 0 {
		return
	}
	code := x.code - 1
	x.at = (*x.dict.blocks.Load())[code/dictBlockCodes].start(code % dictBlockCodes)
}

// settle drops a code that was guessed wrong: of another text with nearly the same hash.
func (x *textAhead) settle() {
	if x.code == 0 {
		return
	}
	code := x.code - 1
	b := (*x.dict.blocks.Load())[code/dictBlockCodes]
	if end := b.end(code % dictBlockCodes); int(end-x.at) != len(x.text) || string(b.bytes[x.at:end]) != x.text {
		x.code = 0
	}
}

// ownerCell loads the ordinal of the profile an id belongs to.
func (s *Shard) ownerCell(m *messageAhead) int64 {
	if m.id.code == 0 {
		return 0
	}
	ordinal, _ := s.root.columns[s.space(m.anonymous).owner].raw(m.id.code - 1)
	return ordinal
}

// seenCells loads the times between which the profile has events.
func (s *Shard) seenCells(m *messageAhead) int64 {
	if m.id.code == 0 {
		return 0
	}
	ordinal, _ := s.root.columns[s.space(m.anonymous).owner].raw(m.id.code - 1)
	first, _ := s.root.columns[columnFirstSeen].raw(uint32(ordinal))
	last, _ := s.root.columns[columnLastSeen].raw(uint32(ordinal))
	return first + last
}

// guess returns the first code, plus 1, that may be of a value with the hash; 0 if there is none.
func (x *codeIndex) guess(hash uint64) uint32 {
	t := x.table(hash)
	if t == nil {
		return 0
	}
	tag := uint32(hash) >> t.codeBits
	for i := t.start(hash); t.slots[i] != 0; {
		if slot := t.slots[i]; slot>>t.codeBits == tag {
			return t.code(slot) + 1
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	return 0
}

// table returns where a hash is looked for. REQUIRES: the caller is the writer.
func (x *codeIndex) table(hash uint64) *indexTable {
	root := x.root.Load()
	if root == nil {
		return nil
	}
	return root.tables[tableOf(hash, root.shift)].Load()
}

package engine

import (
	"github.com/musterdb/muster/query/tree"
	"github.com/zeebo/xxh3"
)

// prefetchMessages is the number of messages that are looked up together.
const prefetchMessages = 32

// prefetched is what a shard looks up for a batch of messages before it applies the first of them.
// Applied one by one, each message would wait for memory a dozen times. The same loads for many
// messages do not depend on each other, so the processor waits for all of them at the same time.
// Applying an earlier message cannot make any of this untrue: it consists of hashes, and of codes,
// which never change.
type prefetched struct {
	messages [prefetchMessages]prefetchedMessage
	values   []prefetchedText // of the fields of all these messages, in order
	touched  int64            // the sum of everything loaded, so that the compiler keeps the loads
}

// prefetchedMessage has the hashes of a message's ids, and the code of the id that names its profile.
type prefetchedMessage struct {
	messageID uint64
	id        prefetchedText
	anonymous bool // whether id is an anonymous id
	from      int  // index in values of its first field
}

// prefetchedText is a text with its hash and its code in a dictionary. A text without a dictionary is
// not looked up.
type prefetchedText struct {
	dict *dictionary
	text string
	xxh  uint64
	code uint32 // plus 1; 0: not found, and the text may have no code
	at   uint32 // where the text of the code begins in its block
}

// prefetch looks up messages. Each loop below loads what the loop before it found the address of.
//
// REQUIRES: there are at most prefetchMessages of them.
func (s *Shard) prefetch(messages []Message) {
	a := &s.prefetched
	a.values = a.values[:0]
	for i := range messages {
		m, to := &messages[i], &a.messages[i]
		ref := canonicalRef(m)
		to.anonymous, to.from = ref.Anonymous, len(a.values)
		to.id = prefetchedText{dict: s.space(ref.Anonymous).dict, text: ref.ID, xxh: xxh3.HashString(ref.ID)}
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
		sum += found[i].id.loadSlot()
	}
	for i := range a.values {
		sum += a.values[i].loadSlot()
	}
	for i := range found {
		found[i].id.findCandidate()
	}
	for i := range a.values {
		a.values[i].findCandidate()
	}
	for i := range found {
		found[i].id.confirm()
	}
	for i := range a.values {
		a.values[i].confirm()
	}
	for i := range found {
		sum += s.ownerCell(&found[i])
	}
	for i := range found {
		sum += s.seenCells(&found[i])
	}
	a.touched = sum
}

// hashValues adds the values of a message's fields. Only strings of properties that have a dictionary
// are looked up.
func (s *Shard) hashValues(m *Message) {
	var props []propertyState
	if m.Kind.HasEvent() && int(m.Event) < len(s.root.events) {
		props = s.root.events[m.Event].props
	}
	for i := range m.Fields {
		f := &m.Fields[i]
		var v prefetchedText
		if f.Value.Type == tree.StringType && int(f.ID) < len(props) {
			if dict := props[f.ID].dict; dict != nil && dict.t == tree.StringType {
				v = prefetchedText{dict: dict, text: f.Value.Str, xxh: xxh3.HashString(f.Value.Str)}
			}
		}
		s.prefetched.values = append(s.prefetched.values, v)
	}
}

// loadSlot loads the first slot of the index in which the text may be.
func (x *prefetchedText) loadSlot() int64 {
	if x.dict == nil {
		return 0
	}
	t := x.dict.index.table(x.xxh)
	if t == nil {
		return 0
	}
	return int64(t.slots[t.start(x.xxh)])
}

// findCandidate finds the first code whose hash looks like that of the text, and loads where its text
// begins.
func (x *prefetchedText) findCandidate() {
	if x.dict == nil {
		return
	}
	if x.code = x.dict.index.candidate(x.xxh); x.code == 0 {
		return
	}
	code := x.code - 1
	x.at = (*x.dict.blocks.Load())[code/dictBlockCodes].start(code % dictBlockCodes)
}

// confirm drops a candidate that is the code of another text with nearly the same hash.
func (x *prefetchedText) confirm() {
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
func (s *Shard) ownerCell(m *prefetchedMessage) int64 {
	if m.id.code == 0 {
		return 0
	}
	ordinal, _ := s.root.columns[s.space(m.anonymous).owner].raw(m.id.code - 1)
	return ordinal
}

// seenCells loads the times of the profile's first and last event.
func (s *Shard) seenCells(m *prefetchedMessage) int64 {
	if m.id.code == 0 {
		return 0
	}
	ordinal, _ := s.root.columns[s.space(m.anonymous).owner].raw(m.id.code - 1)
	first, _ := s.root.columns[columnFirstSeen].raw(uint32(ordinal))
	last, _ := s.root.columns[columnLastSeen].raw(uint32(ordinal))
	return first + last
}

// candidate returns the first code, plus 1, whose value may have the hash; 0 if there is none.
func (x *codeIndex) candidate(hash uint64) uint32 {
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

// table returns the table that covers a hash. REQUIRES: the caller is the writer.
func (x *codeIndex) table(hash uint64) *indexTable {
	root := x.root.Load()
	if root == nil {
		return nil
	}
	return root.tables[tableOf(hash, root.shift)].Load()
}

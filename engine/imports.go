package engine

import (
	"slices"

	"github.com/musterdb/muster/query"
)

// importSource has the lines of one source that have been applied, in sets of 65,536 lines.
type importSource struct {
	epoch uint64
	name  string
	sets  []lineSet // ascending by number
}

type lineSet struct {
	number uint64 // line / 65,536
	lines  *set
}

// own returns s, or a copy that may be written.
func (s *importSource) own(e *epochs) *importSource {
	if !e.isFrozen(s.epoch) {
		return s
	}
	return &importSource{epoch: e.current, name: s.name, sets: slices.Clone(s.sets)}
}

// find returns where the set of a line is, or would be.
func (s *importSource) find(number uint64) (i int, ok bool) {
	if n := len(s.sets); n > 0 && s.sets[n-1].number == number {
		return n - 1, true // lines mostly come in order
	}
	return slices.BinarySearchFunc(s.sets, number, func(l lineSet, number uint64) int {
		switch {
		case l.number < number:
			return -1
		case l.number > number:
			return 1
		}
		return 0
	})
}

// seenLine reports whether a line of a source was applied.
func (s *Shard) seenLine(source string, line uint64) bool {
	at, ok := s.sourceOf(source)
	if !ok {
		return false
	}
	i, ok := s.root.imports[at].find(line >> query.ChunkBits)
	return ok && s.root.imports[at].sets[i].lines.has(uint16(line))
}

// sourceOf returns the index of the source with a name. It tries the last one first, since lines of
// one source mostly follow each other.
func (s *Shard) sourceOf(name string) (at int, ok bool) {
	if at = s.lastSource; at < len(s.root.imports) && s.root.imports[at].name == name {
		return at, true
	}
	if at, ok = s.importIndex[name]; ok {
		s.lastSource = at
	}
	return at, ok
}

// rememberLine marks a line of a source as applied. REQUIRES: the root is owned.
func (s *Shard) rememberLine(source string, line uint64) {
	at, ok := s.sourceOf(source)
	if !ok {
		at = len(s.root.imports)
		name := string(append([]byte(nil), source...))
		s.root.imports = append(s.root.imports, &importSource{epoch: s.epochs.current, name: name})
		s.importIndex[name] = at
	}
	x := s.root.imports[at].own(&s.epochs)
	s.root.imports[at] = x
	number := line >> query.ChunkBits
	i, ok := x.find(number)
	if !ok {
		x.sets = slices.Insert(x.sets, i, lineSet{number: number})
	}
	x.sets[i].lines, _ = x.sets[i].lines.add(&s.epochs, uint16(line))
}

func (s *importSource) memory() int64 {
	bytes := int64(64 + len(s.name) + 16*cap(s.sets))
	for _, set := range s.sets {
		bytes += set.lines.memory()
	}
	return bytes
}

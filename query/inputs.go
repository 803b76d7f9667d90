package query

import (
	"fmt"

	"github.com/musterdb/muster/query/tree"
)

// Input is a set of profiles that a statement takes from its shards as it is, instead of computing it. A plan
// lists its inputs; every shard resolves each to a Set before anything is evaluated.
type Input struct {
	Segment string
	// Past: who was in the segment At an instant, Unix ms. Otherwise the segment is held, and the members are those
	// of its last refresh.
	Past bool
	At   int64
	// Version is that of the definition of a held segment, which a shard must have.
	Version uint64
	// Pos is where the statement first asks for it.
	Pos tree.Span
}

// Set is who is in an input, in one shard.
type Set interface {
	// Fill sets out to the members in a chunk.
	Fill(chunk int, out *Bits)
}

// Held returns the version of the definition of a segment that is held, which has the membership of its last
// refresh for everybody; ok is false for one whose predicate is asked. A nil Held holds none.
type Held func(segment string) (version uint64, ok bool)

// Inputs are those of one statement, by number. They are declared when it is prepared, and only looked up after
// that.
type Inputs struct {
	held Held
	all  *[]Input
}

// NewInputs returns inputs of which none is declared yet.
func NewInputs(held Held) *Inputs { return &Inputs{held: held, all: new([]Input)} }

// Computed returns the same inputs for what computes held segments.
func (s *Inputs) Computed() *Inputs { return &Inputs{all: s.all} }

// All returns what has been declared.
func (s *Inputs) All() []Input {
	if s == nil {
		return nil
	}
	return *s.all
}

// Held returns the version of a held segment; ok is false for one whose predicate is asked.
func (s *Inputs) Held(segment string) (version uint64, ok bool) {
	if s == nil || s.held == nil {
		return 0, false
	}
	return s.held(segment)
}

// Declare adds an input, unless it is there already.
func (s *Inputs) Declare(in Input) {
	if _, ok := s.find(in); !ok {
		*s.all = append(*s.all, in)
	}
}

// OfHeld returns the number of the input of a held segment, and OfPast of the members at an instant; ok is false
// for one that was not declared.
func (s *Inputs) OfHeld(segment string) (n int, ok bool) { return s.find(Input{Segment: segment}) }

// OfPast is told at OfHeld.
func (s *Inputs) OfPast(segment string, at int64) (n int, ok bool) {
	return s.find(Input{Segment: segment, Past: true, At: at})
}

// Asked is OfPast for a predicate, whose instant is at; an input that was not declared is an error.
func (s *Inputs) Asked(p *tree.WasIn, at int64) (int, error) {
	if n, ok := s.OfPast(p.Name, at); ok {
		return n, nil
	}
	return 0, fmt.Errorf("was in segment %q: past memberships are not known here", p.Name)
}

func (s *Inputs) find(in Input) (n int, ok bool) {
	for n, had := range s.All() {
		if had.Segment == in.Segment && had.Past == in.Past && had.At == in.At {
			return n, true
		}
	}
	return 0, false
}

package query

import (
	"fmt"

	"github.com/musterdb/muster/query/tree"
)

// Input is a set of profiles that a statement reads from its shards instead of computing it. A plan
// lists its inputs. Every shard resolves each to a Set before anything is evaluated.
type Input struct {
	Segment string
	// Past means the members of the segment at the instant At, Unix ms. Otherwise the segment is held,
	// and the members are those of its last refresh.
	Past bool
	At   int64
	// Version is the version of the definition of a held segment. A shard must have the same.
	Version uint64
	// Pos is the first place in the statement that uses the input.
	Pos tree.Span
}

// Set is the members of an input in one shard.
type Set interface {
	// Fill sets out to the members in a chunk.
	Fill(chunk int, out *Bits)
}

// Held returns the version of the definition of a held segment: one whose membership, as of its last
// refresh, every reader shares. ok is false for other segments, whose predicate is evaluated. A nil
// Held means that no segment is held.
type Held func(segment string) (version uint64, ok bool)

// Inputs are the numbered inputs of one statement. They are declared while it is prepared, and only
// read after that.
type Inputs struct {
	held Held
	all  *[]Input
}

// NewInputs returns an empty list of inputs.
func NewInputs(held Held) *Inputs { return &Inputs{held: held, all: new([]Input)} }

// WithoutHeld returns the same inputs for a caller that evaluates the predicates of held segments.
func (s *Inputs) WithoutHeld() *Inputs { return &Inputs{all: s.all} }

// All returns the declared inputs.
func (s *Inputs) All() []Input {
	if s == nil {
		return nil
	}
	return *s.all
}

// Held returns the version of a held segment; ok is false for other segments, whose predicate is
// evaluated.
func (s *Inputs) Held(segment string) (version uint64, ok bool) {
	if s == nil || s.held == nil {
		return 0, false
	}
	return s.held(segment)
}

// Declare adds an input, unless it has been declared already.
func (s *Inputs) Declare(in Input) {
	if _, ok := s.find(in); !ok {
		*s.all = append(*s.all, in)
	}
}

// OfHeld returns the number of the input of a held segment; ok is false if it was not declared.
func (s *Inputs) OfHeld(segment string) (n int, ok bool) { return s.find(Input{Segment: segment}) }

// OfPast returns the number of the input of a segment's members at an instant; ok is false if it was
// not declared.
func (s *Inputs) OfPast(segment string, at int64) (n int, ok bool) {
	return s.find(Input{Segment: segment, Past: true, At: at})
}

// WasIn returns the number of the input of a predicate whose instant is at. It is an error if the input
// was not declared.
func (s *Inputs) WasIn(p *tree.WasIn, at int64) (int, error) {
	if n, ok := s.OfPast(p.Name, at); ok {
		return n, nil
	}
	return 0, fmt.Errorf("was in segment %q: past memberships are not available here", p.Name)
}

func (s *Inputs) find(in Input) (n int, ok bool) {
	for n, had := range s.All() {
		if had.Segment == in.Segment && had.Past == in.Past && had.At == in.At {
			return n, true
		}
	}
	return 0, false
}

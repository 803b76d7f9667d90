package catalog

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/musterdb/muster/query"
	"github.com/musterdb/muster/query/tree"
)

// ChangeKind is a kind of Change.
type ChangeKind uint8

// The kinds.
const (
	DefineNames ChangeKind = iota + 1
	PutSegment
	DropSegment
	PutList
	DropList
	SetZone
	KeepSet
)

// Change makes version Version from the previous one. Kind determines which of the other fields are used:
// Names for DefineNames, Segment for PutSegment, Name for DropSegment, PutList, DropList and KeepSet, Zone
// for SetZone. DropList also drops kept sets.
type Change struct {
	Version uint64
	Kind    ChangeKind
	Names   []Name
	Segment Segment
	Name    string
	Zone    string
}

// Name is a name to be defined. Kind is query.AttributeName, EventName or PropertyName; a property of an
// unknown event also defines the event.
type Name struct {
	Kind  query.NameKind
	Event string // of a property
	Name  string
	Type  tree.Type // of attributes and properties
}

// The errors of Apply, and the reasons for refusals of Admit.
var (
	ErrVersion   = errors.New("change is not for the next version")
	ErrTooMany   = errors.New("too many names")
	ErrName      = errors.New("name is empty, longer than 256 bytes or not valid UTF-8")
	ErrReserved  = errors.New("name is built in")
	ErrType      = errors.New("type is not one of the five")
	ErrNotFound  = errors.New("name is not defined")
	ErrPredicate = errors.New("predicate cannot be used")
	ErrZone      = errors.New("time zone is not known")
	ErrKind      = errors.New("change has an unknown kind")
)

// Refusal is a name of a change that was not admitted, and the reason.
type Refusal struct {
	Name Name
	Err  error
}

// Admit removes from a DefineNames change the names that are defined already and those that would exceed a
// limit, so that one bad name of a batch does not fail the others. If nothing remains, the result has no
// Names.
func (s *State) Admit(c Change) (Change, []Refusal) {
	var refused []Refusal
	admitted := c
	admitted.Names = nil
	d := newDefiner(s)
	for _, name := range c.Names {
		added, err := d.define(name)
		switch {
		case err != nil:
			refused = append(refused, Refusal{name, err})
		case added:
			admitted.Names = append(admitted.Names, name)
		}
	}
	return admitted, refused
}

// Apply returns the state after c; s does not change. Names that are defined already keep their ids and
// types. On an error, nothing of c was applied.
func (s *State) Apply(c Change) (*State, error) {
	if c.Version != s.version+1 {
		return nil, fmt.Errorf("apply catalog version %d on %d: %w", c.Version, s.version, ErrVersion)
	}
	next := *s
	next.version = c.Version
	var err error
	switch c.Kind {
	case DefineNames:
		err = next.defineNames(s, c.Names)
	case PutSegment:
		err = next.putSegment(c.Segment)
	case DropSegment:
		err = next.dropSegment(c.Name)
	case PutList:
		err = next.putList(c.Name, isKept(c.Name))
	case KeepSet:
		err = next.putList(c.Name, true)
	case DropList:
		err = next.dropList(c.Name)
	case SetZone:
		if err = checkZone(c.Zone); err == nil {
			next.zone = c.Zone
		}
	default:
		err = ErrKind
	}
	if err != nil {
		return nil, fmt.Errorf("apply catalog version %d: %w", c.Version, err)
	}
	return &next, nil
}

func (s *State) defineNames(old *State, names []Name) error {
	d := newDefiner(old)
	for _, name := range names {
		if _, err := d.define(name); err != nil {
			return fmt.Errorf("define %q: %w", name.Name, err)
		}
	}
	s.attributes, s.events = d.attributes, d.events
	s.attributeIndex = s.attributeIndex.with(d.newAttributes)
	s.eventIndex = s.eventIndex.with(d.newEvents)
	return nil
}

func (s *State) putSegment(segment Segment) error {
	if err := checkName(segment.Name); err != nil {
		return err
	}
	if _, exists := s.segments.get(segment.Name); !exists && s.segments.n >= MaxSegments {
		return fmt.Errorf("put segment %q: %w", segment.Name, ErrTooMany)
	}
	if err := checkZone(segment.Zone); err != nil {
		return err
	}
	if len(segment.Text) > MaxTextBytes || s.parse == nil {
		return fmt.Errorf("put segment %q: %w", segment.Name, ErrPredicate)
	}
	segment.Version = s.version
	if err := segment.resolve(s.parse); err != nil {
		return err
	}
	s.segments = s.segments.put(segment.Name, &segment)
	return nil
}

// resolve parses the text of the segment.
func (s *Segment) resolve(parse Parse) error {
	pred, err := parse(s.Text)
	if err != nil {
		return fmt.Errorf("put segment %q: %w: %w", s.Name, ErrPredicate, err)
	}
	s.parsed = &tree.Segment{Name: s.Name, Described: s.Described, Refresh: s.Refresh, Zone: s.Zone, Pred: pred}
	return nil
}

func (s *State) dropSegment(name string) error {
	if _, ok := s.segments.get(name); !ok {
		return fmt.Errorf("drop segment %q: %w", name, ErrNotFound)
	}
	s.segments = s.segments.put(name, nil)
	return nil
}

func (s *State) putList(name string, kept bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	if _, ok := s.lists[name]; ok {
		return nil
	}
	if len(s.lists) >= MaxLists {
		return fmt.Errorf("put list %q: %w", name, ErrTooMany)
	}
	s.lists = maps.Clone(s.lists)
	s.lists[name] = List{s.nextList, name, kept}
	s.nextList++
	return nil
}

func (s *State) dropList(name string) error {
	if _, ok := s.lists[name]; !ok {
		return fmt.Errorf("drop list %q: %w", name, ErrNotFound)
	}
	s.lists = maps.Clone(s.lists)
	delete(s.lists, name)
	return nil
}

func checkName(name string) error {
	if !ValidName(name) {
		return ErrName
	}
	return nil
}

// checkZone accepts IANA names in the time zone database of this binary. For equal outcomes, every node
// must have the same database; a name that is unknown here is therefore refused before the change is
// proposed.
func checkZone(zone string) error {
	if zone == "Local" {
		return ErrZone
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return fmt.Errorf("%w: %q", ErrZone, zone)
	}
	return nil
}

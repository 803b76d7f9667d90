package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/musterdb/muster/engine/identity"
	"github.com/musterdb/muster/query"
)

// ErrInvariant is the cause of every error that Check returns.
var ErrInvariant = errors.New("state is damaged")

func violated(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvariant, fmt.Sprintf(format, args...))
}

// Fault is one kind of damage to a state.
type Fault struct {
	What     string // the kind, in words
	N        int64
	Examples []string // the first cases
}

// faultExamples is the number of cases of a kind that are listed.
const faultExamples = 3

// String returns the kind, the number of cases and the first of them.
func (f Fault) String() string {
	text := f.What
	if f.N > 1 {
		text = fmt.Sprintf("%d × %s", f.N, f.What)
	}
	if len(f.Examples) == 0 {
		return text
	}
	text += ": " + strings.Join(f.Examples, ", ")
	if f.N > int64(len(f.Examples)) {
		text += ", …"
	}
	return text
}

// faults collects what Examine finds, kind by kind.
type faults struct{ found []Fault }

// add counts a case of a kind. An empty example is not listed.
func (x *faults) add(what, example string, args ...any) {
	i := slices.IndexFunc(x.found, func(f Fault) bool { return f.What == what })
	if i < 0 {
		i = len(x.found)
		x.found = append(x.found, Fault{What: what})
	}
	f := &x.found[i]
	f.N++
	if example != "" && len(f.Examples) < faultExamples {
		f.Examples = append(f.Examples, fmt.Sprintf(example, args...))
	}
}

// addError adds err as a fault, if it is not nil.
func (x *faults) addError(err error) {
	if err != nil {
		x.add(strings.TrimPrefix(err.Error(), ErrInvariant.Error()+": "), "")
	}
}

// Check examines the whole state on a view and returns the faults that Examine finds as one error.
func (s *Shard) Check() error {
	found := s.Examine()
	if len(found) == 0 {
		return nil
	}
	texts := make([]string, len(found))
	for i, f := range found {
		texts[i] = f.String()
	}
	return fmt.Errorf("check shard %d: %w", s.config.Number, violated("%s", strings.Join(texts, "; ")))
}

// Examine checks the whole state on a view: derived structures against what they are derived from,
// dictionaries for values that occur twice, and the hash against one computed from the facts. It
// takes about as long as reading everything once, and does not block Apply.
func (s *Shard) Examine() []Fault {
	v := s.View()
	defer v.Release()
	return v.root.examine()
}

func (r *root) examine() []Fault {
	x := &faults{}
	r.eachDictionary(func(name string, d *dictionary, codes int) {
		duplicates := duplicateCodes(d, codes)
		for _, code := range ascendingCodes(duplicates) {
			x.add(name+" has a value twice", "%.60q", d.text(code))
		}
	})
	if err := r.checkIDs(); err != nil {
		x.addError(err)
		return x.found // ordinals cannot be relied on
	}
	if !r.checkSets(x) {
		return x.found // nor can sets
	}
	sum := r.idSum()
	for i, c := range r.columns {
		sum = sum.add(r.checkColumn(x, i, c))
	}
	first := map[uint32]int64{}
	last := map[uint32]int64{}
	for event := range r.events {
		sum = sum.add(r.checkEvents(x, uint32(event), first, last))
	}
	r.checkSeen(x, first, last)
	sum = sum.add(r.checkLists(x)).add(r.checkSegments(x, &View{root: r}))
	if sum != r.hash && len(x.found) == 0 {
		x.add("the hash of all facts is wrong", "%x, not %x", sum.bytes(), r.hash.bytes())
	}
	return x.found
}

// profileName returns a profile's name for messages.
func (r *root) profileName(ordinal uint32) string {
	if ref, ok := r.canonical(ordinal); ok {
		return fmt.Sprintf("%.60q", ref.ID)
	}
	return fmt.Sprintf("profile %d", ordinal)
}

// columnName returns a column's name for messages.
func (r *root) columnName(i int) string {
	if i < columnsOfEveryShard {
		return fmt.Sprintf("column %d", i)
	}
	a, _ := r.catalog.AttributeByID(query.FirstAttribute + uint32(i-columnsOfEveryShard))
	return "attribute " + a.Name
}

// checkIDs checks the chains of ids: each id is in the chain of the profile it belongs to, once, and
// a profile exists exactly if it has an id.
func (r *root) checkIDs() error {
	owned := 0
	for chunk := range len(r.profiles) {
		for pos := range query.ChunkSize {
			ordinal := uint32(chunk<<query.ChunkBits | pos)
			if uint64(ordinal) >= uint64(r.ordinals) {
				break
			}
			users, err := r.checkChain(ordinal, columnUserOf, columnUserNext, columnUserOwner, r.userCodes)
			if err != nil {
				return err
			}
			anons, err := r.checkChain(ordinal, columnAnonymousOf, columnAnonNext, columnAnonOwner, r.anonCodes)
			if err != nil {
				return err
			}
			if r.profiles[chunk].has(uint16(pos)) != (users+anons > 0) {
				return violated("profile %d has %d ids", ordinal, users+anons)
			}
			owned += users + anons
		}
	}
	if rows := r.columns[columnUserOwner].count + r.columns[columnAnonOwner].count; rows != int64(owned) {
		return violated("%d ids have a profile, %d are in a chain", rows, owned)
	}
	for i, codes := range map[int]uint32{columnUserHome: r.userCodes, columnAnonHome: r.anonCodes} {
		for code := range codes {
			raw, ok := r.columns[i].raw(code)
			if !ok {
				continue
			}
			limit := r.userCodes
			if raw&homeAnonymous != 0 {
				limit = r.anonCodes
			}
			state := identity.State(raw & (1<<homeStateBits - 1))
			if raw < 0 || raw>>homeCodeShift > int64(limit) || state < identity.Moving || state > identity.Erased {
				return violated("home of code %d is %d", code, raw)
			}
		}
	}
	return nil
}

func (r *root) checkChain(ordinal uint32, of, next, owner int, codes uint32) (n int, err error) {
	code, ok := r.columns[of].raw(ordinal)
	for ok {
		if code < 0 || code >= int64(codes) || n > int(codes) {
			return 0, violated("chain of ids of profile %d is broken", ordinal)
		}
		if with, ok := r.columns[owner].raw(uint32(code)); !ok || with != int64(ordinal) {
			return 0, violated("id %d of profile %d belongs to %d", code, ordinal, with)
		}
		n++
		code, ok = r.columns[next].raw(uint32(code))
	}
	return n, nil
}

func (r *root) idSum() (sum factSum) {
	for _, x := range []struct {
		dict  *dictionary
		codes uint32
		owner int
		home  int
		anon  bool
		kind  uint64
	}{
		{r.users, r.userCodes, columnUserOwner, columnUserHome, false, factUserID},
		{r.anons, r.anonCodes, columnAnonOwner, columnAnonHome, true, factAnonymousID},
	} {
		for code := range x.codes {
			if ordinal, ok := r.columns[x.owner].raw(code); ok {
				sum = sum.add(idFact(x.kind, x.dict.text(code), uint32(ordinal)))
			}
			if raw, ok := r.columns[x.home].raw(code); ok {
				sum = sum.add(homeFact(identity.Ref{Anonymous: x.anon, ID: x.dict.text(code)}, r.decodeHome(raw)))
			}
		}
	}
	return sum
}

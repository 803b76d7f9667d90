package query

// Sets are the memberships that a statement takes from its sources instead of computing them: as
// lists, whose members Source.InList fills in. A list is the same in every source of the statement.
type Sets interface {
	// Held returns the list of a segment that has the membership of its last refresh for everybody; ok is
	// false for one whose predicate is asked.
	Held(segment string) (list uint32, ok bool)
	// Past returns the list of the members that a segment had at an instant, Unix ms. What the user can
	// mend (it is not known that far back) is a *tree.Diagnostic without a place.
	Past(segment string, at int64) (list uint32, err error)
}

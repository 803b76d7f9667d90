package exec

// Clause is what one clause of a predicate did in `explain analyze`.
type Clause struct {
	In, Kept int64 // profiles it was asked about, and those it let through
	Rows     int64 // rows of events it read
	Nanos    int64
}

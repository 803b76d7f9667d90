package disk

// Table stores small values by name: definitions and progress of what a node does for others. Its methods
// may be called from any goroutine.
type Table interface {
	// All calls fn with every value in ascending order of key, until fn returns an error. Values must not be
	// changed.
	All(fn func(key string, value []byte) error) error
	// Put writes the values and removes the keys whose value is nil. The changes are durable once it
	// returns; a crash before that may leave some of them.
	Put(values map[string][]byte) error
}

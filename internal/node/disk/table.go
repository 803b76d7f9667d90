package disk

// Table keeps small values by name: definitions and progress of what a node does for others. Its methods may be
// called from any goroutine.
type Table interface {
	// All calls fn with every value in ascending order of key, until fn returns an error. Values must not be
	// changed.
	All(fn func(key string, value []byte) error) error
	// Put writes the values and removes the keys whose value is nil. They are durable once it returns; a crash
	// before may leave some.
	Put(values map[string][]byte) error
}

//go:build !poison

package invariant

// Poison does nothing in this build.
func Poison(string) {}

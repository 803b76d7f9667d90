//go:build !poison

package invariant

// Poison does nothing in this build.
func Poison(string) {}

// Forgets is false in this build.
func Forgets(uint32) bool { return false }

// Encodes is false in this build.
const Encodes = false

//go:build poison

package invariant

import "strings"

// Poison panics for a messageId that begins with "poison:".
func Poison(messageID string) {
	if strings.HasPrefix(messageID, "poison:") {
		panic("poison: " + messageID)
	}
}

// Forgets reports whether the index of a dictionary forgets a code. It does for one code in 23 from 64 on; their values
// get a second code when they occur again.
func Forgets(code uint32) bool { return code >= 64 && code%23 == 7 }

// Encodes tells statements to encode and decode every partial, as if each came from another node.
const Encodes = true

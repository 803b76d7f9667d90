//go:build poison

package invariant

import "strings"

// Poison panics for a messageId that begins with "poison:".
func Poison(messageID string) {
	if strings.HasPrefix(messageID, "poison:") {
		panic("poison: " + messageID)
	}
}

// Forgets tells whether the index of a dictionary forgets a code, now and then from the 64th on: its value
// gets another one when it comes again.
func Forgets(code uint32) bool { return code >= 64 && code%23 == 7 }

// Encodes tells statements to encode and decode every partial, as if each came from another node.
const Encodes = true

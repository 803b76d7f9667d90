//go:build poison

package invariant

import "strings"

// Poison panics for a messageId that begins with "poison:".
func Poison(messageID string) {
	if strings.HasPrefix(messageID, "poison:") {
		panic("poison: " + messageID)
	}
}

package retrylog

import (
	"log/slog"
	"sync/atomic"
)

// Tries remembers whether the last try failed. The zero Tries has not failed; it is for many goroutines.
type Tries struct{ failing atomic.Bool }

// Note notes the result of a try. It logs the first failure with err, and the first success after one; attrs say
// what was tried.
func (t *Tries) Note(log *slog.Logger, what string, err error, attrs ...any) {
	failing := err != nil
	if t.failing.Swap(failing) == failing {
		return
	}
	if failing {
		log.Warn(what+" fails, and is tried again", append(attrs[:len(attrs):len(attrs)], "err", err)...)
		return
	}
	log.Info(what+" works again", attrs...)
}

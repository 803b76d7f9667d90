package retrylog

import (
	"log/slog"
	"sync/atomic"
)

// Tries remembers whether the last try of an operation failed. The zero Tries is ready to use. It is safe for
// concurrent use.
type Tries struct{ failing atomic.Bool }

// Note records the result of a try. It logs the first failure with err, and the first success after a failure.
// what names the operation, like "taking a snapshot"; attrs are added to the log line.
func (t *Tries) Note(log *slog.Logger, what string, err error, attrs ...any) {
	failing := err != nil
	if t.failing.Swap(failing) == failing {
		return
	}
	if failing {
		log.Warn(what+" failed, will retry", append(attrs[:len(attrs):len(attrs)], "err", err)...)
		return
	}
	log.Info(what+" works again", attrs...)
}

package persist

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// raft-wal and Badger have their own loggers; these pass their lines to the configured slog.Logger. Their
// information level becomes debug.

// hclogTo returns a logger for raft-wal.
func hclogTo(l *slog.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "wal", Level: hclog.Warn, Output: slogWriter{l}, DisableTime: true})
}

type slogWriter struct{ l *slog.Logger }

func (w slogWriter) Write(b []byte) (int, error) {
	w.l.Warn("raft-wal", "line", strings.TrimSpace(string(b)))
	return len(b), nil
}

// badgerLogger implements badger.Logger.
type badgerLogger struct{ l *slog.Logger }

func (b badgerLogger) Errorf(f string, a ...any) { b.l.Error("badger", "line", line(f, a)) }

func (b badgerLogger) Warningf(f string, a ...any) { b.l.Warn("badger", "line", line(f, a)) }

func (b badgerLogger) Infof(f string, a ...any) { b.l.Debug("badger", "line", line(f, a)) }

func (b badgerLogger) Debugf(string, ...any) {}

func line(f string, a []any) string { return strings.TrimSpace(fmt.Sprintf(f, a...)) }

package retrylog

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
)

func TestOneLinePerChange(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	var tries Tries
	for _, err := range []error{nil, errors.New("full"), errors.New("still"), nil, nil, errors.New("gone")} {
		tries.Note(log, "taking a snapshot", err, "group", "g")
	}
	const want = `level=WARN msg="taking a snapshot failed, will retry" group=g err=full
level=INFO msg="taking a snapshot works again" group=g
level=WARN msg="taking a snapshot failed, will retry" group=g err=gone
`
	if got := out.String(); got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
}

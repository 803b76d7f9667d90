package lint

import (
	"strings"
	"testing"
)

func TestLogs(t *testing.T) {
	for _, c := range []struct{ call, want string }{
		{`s.cfg.Log.Warn("not kept", "shard", 1, "err", err)`, ""},
		{`log.With("group", name).Error("gone", "log_bytes", n)`, ""},
		{`s.log.Info("built", append([]any{"segment", name}, attrs...)...)`, ""},
		{`t.Error("of a test", 1)`, ""},
		{`log.Warn("a")`, ""},
		{`w.tries.Note(log, "keeping", err, "shard", 1)`, ""},
		{`s.Log.Warn("not kept", "error", err)`, `the key "error"`},
		{`slog.Error("not kept", "reason", err)`, `an error has the key "reason"`},
		{`logger.Error("not kept", "why", s.Err())`, `an error has the key "why"`},
		{`log.InfoContext(ctx, "kept", name, 1)`, "is not a constant"},
		{`log.Info("kept", "Shard", 1)`, "is not in lower case"},
		{`log.Info("kept", "shard")`, "has no value"},
		{`log.With("group-name", 1)`, "is not in lower case"},
		{`w.tries.Note(log, "keeping", err, key, 1)`, "is not a constant"},
	} {
		file, err := Parse("server/a.go", []byte("package p\nfunc f() {\n"+c.call+"\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		found := Logs(file)
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), c.want)) {
			t.Errorf("%s: found %v, want %q", c.call, found, c.want)
		}
	}
}

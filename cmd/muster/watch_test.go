package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestWatchCommand: members, then who enters and leaves, as text and as JSON.
func TestWatchCommand(t *testing.T) {
	n := newLiveNode(t)
	n.send(`{"type":"identify","userId":"u1","messageId":"1","traits":{"plan":"pro"}}`)
	n.query(`create segment "Pro" as plan = "pro"`)
	watch := func(args ...string) (stdout, stderr string, code int) {
		var out, errs bytes.Buffer
		a := app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
		code = a.run(t.Context(), append([]string{"watch", "--server", n.served.URL}, args...))
		return out.String(), errs.String(), code
	}
	ended := make(chan string)
	go func() {
		out, errs, code := watch("Pro", "--from", "snapshot", "--fields", "plan", "--count", "2", "--as", "me")
		if code != 0 {
			t.Errorf("exit %d: %s", code, errs)
		}
		ended <- out
	}()
	n.send(`{"type":"identify","userId":"u2","messageId":"2","traits":{"plan":"pro"}}`)
	n.send(`{"type":"identify","userId":"u1","messageId":"3","traits":{"plan":"free"}}`)
	n.send(`{"type":"identify","userId":"u3","messageId":"4","traits":{"plan":"pro"}}`)
	n.send(`{"type":"identify","userId":"u3","messageId":"5","traits":{"plan":"free"}}`)
	out := <-ended
	if !strings.Contains(out, "is in   u") && !strings.Contains(out, "enters") || !strings.Contains(out, "u1") || !strings.Contains(out, "(attribute)") {
		t.Errorf("output:\n%s", out)
	}
	if _, errs, code := watch("None"); code != 1 || !strings.Contains(errs, "None") {
		t.Errorf("an unknown segment: exit %d, %s", code, errs)
	}
	if _, _, code := watch("Pro", "--from", "acked"); code != 2 {
		t.Errorf("acked without a name: exit %d", code)
	}
}

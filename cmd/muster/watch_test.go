package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestWatchCommand watches a segment from a snapshot until profiles have entered and left, and checks mistakes in
// the arguments.
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
	out, done := "", false
	for i := 2; !done; i++ { // the watch may start late and miss the first changes
		plan := []string{"pro", "free"}[i%2]
		n.send(fmt.Sprintf(`{"type":"identify","userId":"u1","messageId":"%d","traits":{"plan":%q}}`, i, plan))
		select {
		case out = <-ended:
			done = true
		default:
		}
	}
	if !strings.Contains(out, "enters  u1") || !strings.Contains(out, "leaves  u1") || !strings.Contains(out, "(attribute)") {
		t.Errorf("output:\n%s", out)
	}
	if _, errs, code := watch("None"); code != 1 || !strings.Contains(errs, "None") {
		t.Errorf("an unknown segment: exit %d, %s", code, errs)
	}
	if _, _, code := watch("Pro", "--from", "acked"); code != 2 {
		t.Errorf("acked without a name: exit %d", code)
	}
}

// TestWatchWithoutServer checks that a watch which cannot connect says so once.
func TestWatchWithoutServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	a := app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	a.run(ctx, []string{"watch", "--server", "http://" + addr, "VIP"})
	if text := errs.String(); strings.Count(text, "retrying") != 1 || !strings.Contains(text, "refused") {
		t.Errorf("stderr: %s", text)
	}
}

package systest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// grace is how long a node may take to end; soon is how long an answer may take that does not wait for anything.
const (
	grace = 15 * time.Second
	soon  = 10 * time.Second
)

// stop stops the node and waits at most for grace.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	end := time.NewTimer(grace)
	defer end.Stop()
	select {
	case err := <-ended:
		if err != nil {
			p.t.Errorf("the stopped node ended with %v", err)
		}
	case <-end.C:
		p.t.Errorf("the stopped node has not ended within %v", grace)
		_ = p.cmd.Process.Kill()
		<-ended
	}
}

// ask sends a request that must be answered soon, and returns the answer's status, body and header.
func (p *process) ask(method, path, body string) (status int, text string, header http.Header) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), soon)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.url()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Errorf("%s %s: %v", method, path, err)
		return 0, "", nil
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Errorf("%s %s: %v", method, path, err)
	}
	return answer.StatusCode, string(read), answer.Header
}

// hostile is a target of webhooks that reads each request, answers with a text, and keeps the connection open.
func hostile(t *testing.T, answer string) (url string, tries *atomic.Int64) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	tries = &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				tries.Add(1)
				_, _ = io.WriteString(conn, answer)
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/", tries
}

// TestHostileTargets checks that webhook targets that answer 101, or not at all, delay neither other users
// of webhooks nor the end of the process.
func TestHostileTargets(t *testing.T) {
	upgrade, upgraded := hostile(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
	silent, asked := hostile(t, "")
	p := serveIn(t, t.TempDir()+"/data", "--private-webhooks")
	if status, text, _ := p.ask("PUT", "/v1/segments/All", `{"predicate": "n is set", "allow_unknown": true}`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	for name, url := range map[string]string{"upgrade": upgrade, "silent": silent, "other": upgrade} {
		if status, text, _ := p.ask("PUT", "/v1/webhooks/"+name, `{"segment": "All", "url": "`+url+`"}`); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	until(t, 30*time.Second, "the webhooks follow", func() bool {
		_, text, _ := p.ask("GET", "/v1/webhooks", "")
		return strings.Count(text, `"cursor"`) == 3
	})
	p.ask("POST", "/v1/batch", `{"batch": [{"type":"identify","userId":"a","traits":{"n":1}},{"type":"identify","userId":"b","traits":{"n":1}},{"type":"identify","userId":"c","traits":{"n":1}}]}`)
	until(t, 30*time.Second, "the targets are tried", func() bool { return upgraded.Load() >= 6 && asked.Load() >= 3 })
	until(t, 30*time.Second, "the tries are over", func() bool {
		_, text, _ := p.ask("GET", "/v1/webhooks/upgrade/deliveries", "")
		return strings.Count(text, "101 Switching Protocols") >= 3
	})
	for _, name := range []string{"upgrade", "silent"} {
		if status, text, _ := p.ask("DELETE", "/v1/webhooks/"+name, ""); status != 204 {
			t.Errorf("delete %s: %d %s", name, status, text)
		}
	}
	if status, text, _ := p.ask("PUT", "/v1/webhooks/silent", `{"segment": "All", "url": "`+silent+`"}`); status != 200 {
		t.Errorf("put: %d %s", status, text)
	}
	if status, text, _ := p.ask("GET", "/v1/webhooks", ""); status != 200 || strings.Contains(text, "whsec_") {
		t.Errorf("list: %d %s", status, text)
	}
	p.ask("POST", "/v1/batch", `{"batch": [{"type":"identify","userId":"d","traits":{"n":1}},{"type":"identify","userId":"e","traits":{"n":1}}]}`)
	p.stop()
}

// TestStopAnswersWaitingRequests checks that a request that waits for a change when the node is stopped is
// told to try again (503), and not that the client closed the request (499).
func TestStopAnswersWaitingRequests(t *testing.T) {
	p := serve(t)
	if status, text, _ := p.ask("PUT", "/v1/segments/All", `{"predicate": "n is set", "allow_unknown": true}`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	const polls = 5
	type response struct {
		status int
		retry  string
		text   string
	}
	answers := make(chan response, polls)
	for range polls {
		go func() {
			answer, err := http.Get(p.url() + "/v1/segments/All/changes?wait=60s")
			if err != nil {
				answers <- response{text: err.Error()}
				return
			}
			defer answer.Body.Close()
			text, _ := io.ReadAll(answer.Body)
			answers <- response{answer.StatusCode, answer.Header.Get("Retry-After"), string(text)}
		}()
	}
	events, err := http.Get(p.url() + "/v1/segments/All/changes")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	until(t, 30*time.Second, "all wait", func() bool {
		_, text, _ := p.ask("GET", "/metrics", "")
		return strings.Contains(text, fmt.Sprintf("muster_streams_open %d", polls+1))
	})
	p.stop()
	for range polls {
		if got := <-answers; got.status != http.StatusServiceUnavailable || got.retry == "" || !strings.Contains(got.text, "not_ready") {
			t.Errorf("answer: %+v", got)
		}
	}
	if _, err := io.ReadAll(events.Body); err != nil {
		t.Errorf("the events were cut off: %v", err)
	}
}

package systest

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// post sends one request, and returns the status and the body of the answer.
func (p *process) post(method, path, body string) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer got.Body.Close()
	text, _ := io.ReadAll(got.Body)
	return got.StatusCode, string(text)
}

// must is post for a request that must succeed.
func (p *process) must(method, path, body string) string {
	p.t.Helper()
	status, answer := p.post(method, path, body)
	if status != http.StatusOK {
		p.t.Fatalf("%s %s %s: %d %s", method, path, body, status, answer)
	}
	return answer
}

// tool runs a command on the directory of a stopped node.
func (p *process) tool(bin func() (string, error), args ...string) (said string, code int) {
	p.t.Helper()
	path, err := bin()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(path, slices.Concat(args[:1], []string{"--data", p.dir, "--quiet"}, args[1:])...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// end stops the node and waits until it has ended.
func (p *process) end() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatal(err)
	}
}

// expect checks the exit code of a command, and that its output contains the parts.
func expect(t *testing.T, what, said string, code, wantCode int, parts ...string) {
	t.Helper()
	if code != wantCode {
		t.Fatalf("%s: exit %d, want %d:\n%s", what, code, wantCode, said)
	}
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("%s does not say %q:\n%s", what, part, said)
		}
	}
}

// TestPoisonedEntry: an entry over which the state machine panics must end the process at every start, with
// the name of the entry and the command to skip it. check must name it too. Once it is skipped, everything
// else must be there, and the skip must be reported.
func TestPoisonedEntry(t *testing.T) {
	p := prepare(t, filepath.Join(t.TempDir(), "data"), "--shards", "2")
	p.bin = poisoned
	p.start()
	for i := range 20 {
		p.must("POST", "/v1/track", fmt.Sprintf(`{"userId":"u%d","event":"Buy","messageId":"m%d"}`, i, i))
	}
	status, answer := p.post("POST", "/v1/track", `{"userId":"bad","event":"Buy","messageId":"poison:1"}`)
	if status == http.StatusOK {
		t.Errorf("the poison was acknowledged: %s", answer)
	}
	ends := func(what string) (entry string) {
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("%s: the node ended with %v", what, err)
		}
		said := p.log.String()
		expect(t, what, said, exit.ExitCode(), 1, "\nmuster: entry ", `cannot be applied (messages: 1 message of "bad", of 20`, "--skip-entry shard-00", "level=ERROR msg=\"entry cannot be applied\" group=shard-00")
		_, entry, _ = strings.Cut(said, "--skip-entry ")
		entry, _, _ = strings.Cut(entry, "\n")
		p.log.Reset()
		return entry
	}
	entry := ends("the poison")
	for range 2 {
		p.launch()
		if again := ends("a start with the poison"); again != entry {
			t.Errorf("entry %s, want %s as before", again, entry)
		}
	}
	skipPoison(t, p, entry)
}

// skipPoison repairs the directory of a node that an entry has ended.
func skipPoison(t *testing.T, p *process, entry string) {
	t.Helper()
	said, code := p.tool(poisoned, "check")
	expect(t, "check", said, code, 1, `1 message of "bad"`, "muster repair --data "+p.dir+" --skip-entry "+entry)
	said, code = p.tool(poisoned, "repair", "--yes")
	expect(t, "repair without the entry's name", said, code, 1, "--skip-entry "+entry)
	said, code = p.tool(poisoned, "repair", "--skip-entry", entry)
	expect(t, "repair that is only asked", said, code, 0, "to do: skip entry ", "nothing was changed")
	said, code = p.tool(poisoned, "repair", "--skip-entry", entry, "--yes")
	expect(t, "repair", said, code, 0, "is skipped", "is repaired")
	p.start()
	if !strings.Contains(p.log.String(), "level=WARN msg=\"an entry of the log is skipped") {
		t.Errorf("the log does not mention the skipped entry:\n%s", p.log.String())
	}
	if health := p.must("GET", "/healthz", ""); !strings.Contains(health, `"skipped_entries":[{"group":"shard-00`) {
		t.Errorf("healthz does not mention the skipped entry: %s", health)
	}
	said, code = p.tool(poisoned, "repair")
	expect(t, "repair beside a node", said, code, 1, "is in use by process")
	if got := fmt.Sprint(p.query("count"), p.query(`stats count of "Buy"`)); got != "[[20]] [[20]]" {
		t.Errorf("after the repair: %s", got)
	}
	for i := range 20 { // still known by messageId
		p.must("POST", "/v1/track", fmt.Sprintf(`{"userId":"u%d","event":"Buy","messageId":"m%d"}`, i, i))
	}
	if got := fmt.Sprint(p.query(`stats count of "Buy"`)); got != "[[20]]" {
		t.Errorf("after all were sent again: %s", got)
	}
	p.end()
	p.start() // the entry is skipped at every start
	p.end()
	said, code = p.tool(poisoned, "check")
	expect(t, "check of the repaired directory", said, code, 0, "is skipped")
}

// unpack unpacks an archive of testdata.
func unpack(t *testing.T, name, dir string) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	for r := tar.NewReader(packed); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Clean(head.Name))
		if head.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, data, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDirectoryWithDuplicates repairs a directory of a build whose dictionaries forgot 23 of 8,240 ids when
// they passed 8,192: 23 people were created twice, with half of their events each, and 23 values of a
// property. The repair is killed several times before it may finish. After each kill the directory must be
// as it was or repaired.
func TestDirectoryWithDuplicates(t *testing.T) {
	p := prepare(t, filepath.Join(t.TempDir(), "data"))
	unpack(t, "duplicates.tar.zst", p.dir)
	said, code := p.tool(binary, "check")
	expect(t, "check", said, code, 1, `shard-000: 23 × dictionary of user ids has a value twice: "u0-4411", "u0-4438", "u0-4633", …`,
		`23 × dictionary of property sku of "Buy" has a value twice: "u0-4411"`, "muster repair --data "+p.dir+" repairs it")
	p.launch()
	if err := p.cmd.Wait(); err == nil || !strings.Contains(p.log.String(), "muster check") {
		t.Errorf("the node does not refuse to start, or does not say what to do: %v\n%s", err, p.log.String())
	}
	said, code = p.tool(binary, "repair")
	expect(t, "repair that is only asked", said, code, 0, "to do: rebuild", "nothing was changed")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	repaired := false
	for round := 0; round < 8 && !repaired; round++ {
		cmd := exec.Command(path, "repair", "--data", p.dir, "--yes")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killed := time.AfterFunc(time.Duration(rand.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		killed.Stop()
		said, code = p.tool(binary, "check")
		if repaired = code == 0; !repaired {
			expect(t, "check after a repair was killed", said, code, 1, "23 × dictionary of user ids")
		}
	}
	if !repaired {
		said, code = p.tool(binary, "repair", "--yes")
		expect(t, "repair", said, code, 0, "shard-000: rebuilt at entry", "is repaired")
	}
	said, code = p.tool(binary, "check")
	expect(t, "check of the repaired directory", said, code, 0, "23 profiles had been in two halves")
	said, code = p.tool(binary, "repair", "--yes")
	expect(t, "repair of what is whole", said, code, 0, "needs no repair")
	for range 2 {
		p.start()
		for statement, want := range map[string]string{
			"count":                          "[[8240]]",
			"stats count, distinct(user_id)": "[[8240 8240]]",
			`count where did "Buy"`:          "[[8240]]",
			`stats count of "Buy", count of "Seen", count of "Login"`: "[[8268 12 12]]",
			`count where in segment "twice"`:                          "[[27]]",
			`count where in list "L" and in segment "listed"`:         "[[24]]",
			`count where did "Buy" where (sku = "u0-4411")`:           "[[1]]",
			`stats count of "Buy" where (sku = "u0-4411")`:            "[[2]]",
			`count where did "Seen" and did "Login"`:                  "[[12]]",
			`count where in segment "mail"`:                           "[[1]]",
		} {
			if got := fmt.Sprint(p.query(statement)); got != want {
				t.Errorf("%s: %s, want %s", statement, got, want)
			}
		}
		for i := range 8240 {
			if i%20 == 0 || i == 4411 || i == 7814 {
				if about := p.about(fmt.Sprintf("u0-%d", i)); about["user_id"] != fmt.Sprintf("u0-%d", i) {
					t.Fatalf("u0-%d is %v", i, about)
				}
			}
		}
		p.end()
	}
}

// about returns the profile of an id without internal positions; nil if it does not exist.
func (p *process) about(id string) map[string]any {
	p.t.Helper()
	status, text := p.post("GET", "/v1/profiles/"+url.PathEscape(id), "")
	if status == http.StatusNotFound {
		return nil
	}
	var about map[string]any
	if err := json.Unmarshal([]byte(text), &about); err != nil || status != http.StatusOK {
		p.t.Fatalf("profile %s: %d %s", id, status, text)
	}
	delete(about, "shard")
	delete(about, "seq")
	return about
}

// TestForgetfulNode sends the same messages to a node whose dictionaries forget values and to a sound one:
// ids of users and devices that join, attributes, properties, lists, imported lines, live segments. The
// first is killed, with a snapshot of some shards and the rest in the logs. Once repaired, it must answer
// like the sound one.
func TestForgetfulNode(t *testing.T) {
	often := []string{"--shards", "3", "--snapshot-bytes", "16KiB"}
	sick := prepare(t, filepath.Join(t.TempDir(), "sick"), often...)
	sick.bin = poisoned
	sick.start()
	sound := serveIn(t, filepath.Join(t.TempDir(), "sound"), often...)
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	both := func(method, path, body string) {
		sick.must(method, path, body)
		sound.must(method, path, body)
	}
	both("PUT", "/v1/lists/L", `{"add":["user-1"]}`)
	for name, predicate := range map[string]string{"planned": `plan = \"plan-7\"`, "often": `count of \"Buy\" >= 4`, "listed": `in list \"L\"`, "sku": `did \"View\" where (sku = \"sku-71\")`} {
		both("PUT", "/v1/segments/"+name, fmt.Sprintf(`{"predicate":"%s","allow_unknown":true}`, predicate))
	}
	for batch := 0; batch < 30 || sick.snapshots() < 8; batch++ {
		messages := make([]string, 100)
		for i := range messages {
			messages[i] = randomMessage(rng, 100*batch+i)
		}
		both("POST", "/v1/events", "["+strings.Join(messages, ",")+"]")
		var ids []string
		for range 15 {
			ids = append(ids, fmt.Sprintf(`"user-%d"`, rng.IntN(forgetfulPeople)))
		}
		both("PUT", "/v1/lists/L", `{"add":[`+strings.Join(ids, ",")+`]}`)
	}
	sick.end()
	said, code := sick.tool(binary, "check")
	expect(t, "check", said, code, 1, "dictionary of", "has a value twice", "repairs it")
	said, code = sick.tool(binary, "repair", "--yes")
	expect(t, "repair", said, code, 0, "is repaired")
	t.Logf("repaired:\n%s", said)
	said, code = sick.tool(binary, "check")
	expect(t, "check of the repaired directory", said, code, 0)
	sick.bin = binary
	sick.start()
	compareNodes(t, sick, sound)
}

// forgetfulPeople is the number of people in TestForgetfulNode, each with two devices.
const forgetfulPeople = 400

// randomMessage returns a message of a random person.
func randomMessage(rng *rand.Rand, n int) string {
	person := rng.IntN(forgetfulPeople)
	user, anon := fmt.Sprintf("user-%d", person), fmt.Sprintf("anon-%d-%d", person, rng.IntN(2))
	head := fmt.Sprintf(`"messageId":"m%d","timestamp":"2026-11-%02dT%02d:00:00Z"`, n, 1+rng.IntN(28), rng.IntN(24))
	sku := rng.IntN(300)
	switch rng.IntN(8) {
	case 0, 1:
		return fmt.Sprintf(`{%s,"type":"identify","userId":%q,"traits":{"mail":"%s@example.com","plan":"plan-%d","tags":["t%d","t%d"]}}`, head, user, user, rng.IntN(200), sku, person)
	case 2:
		return fmt.Sprintf(`{%s,"type":"identify","anonymousId":%q,"traits":{"device":"device-%d"}}`, head, anon, person)
	case 3, 4:
		return fmt.Sprintf(`{%s,"type":"track","anonymousId":%q,"event":"View","properties":{"sku":"sku-%d"}}`, head, anon, sku)
	case 5:
		return fmt.Sprintf(`{%s,"type":"track","userId":%q,"anonymousId":%q,"event":"Login"}`, head, user, anon)
	}
	return fmt.Sprintf(`{%s,"type":"track","userId":%q,"event":"Buy","properties":{"sku":"sku-%d","amount":%d}}`, head, user, sku, rng.IntN(100))
}

// compareNodes compares all answers of a node, and all profiles, with those of another.
func compareNodes(t *testing.T, sick, sound *process) {
	t.Helper()
	until(t, 30*time.Second, "all profiles have joined", func() bool { return sick.rows("count") == sound.rows("count") })
	for _, statement := range []string{
		"stats count, distinct(user_id)", "count by plan", "count by device", "count by mail",
		`stats count of "Buy", sum(amount) of "Buy", count of "View", count of "Login"`,
		`count where in list "L"`, `count where in segment "planned"`, `count where in segment "often"`,
		`count where in segment "listed"`, `count where in segment "sku"`, `list user_id where in segment "often" order by user_id`,
	} {
		got, want := sick.rows(statement), sound.rows(statement)
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", statement, got, want)
		}
	}
	for person := range forgetfulPeople {
		for _, id := range []string{fmt.Sprintf("user-%d", person), fmt.Sprintf("anon-%d-0", person), fmt.Sprintf("anon-%d-1", person)} {
			got, want := sick.about(id), sound.about(id)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s:\n%v, want\n%v", id, got, want)
			}
		}
	}
}

// rows returns the rows of an answer in ascending order, or the reason why there are none.
func (p *process) rows(statement string) string {
	p.t.Helper()
	body, err := json.Marshal(map[string]string{"query": statement})
	if err != nil {
		p.t.Fatal(err)
	}
	status, text := p.post("POST", "/v1/query", string(body))
	if status != http.StatusOK {
		p.t.Fatalf("%s: %d %s", statement, status, text)
	}
	rows := p.query(statement)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = fmt.Sprint(row...)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// snapshots returns how many snapshots the node has taken since it started.
func (p *process) snapshots() (n int) {
	p.t.Helper()
	const name = "muster_node_snapshots_total "
	for line := range strings.Lines(p.must("GET", "/metrics", "")) {
		if text, ok := strings.CutPrefix(line, name); ok {
			if _, err := fmt.Sscan(text, &n); err != nil {
				p.t.Fatal(err)
			}
			return n
		}
	}
	p.t.Fatalf("the metrics have no %s", name)
	return 0
}

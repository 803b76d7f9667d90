package systest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDirectoryBeforeRoaring opens the directory of a build whose snapshots, changes and checkpoints held sets in
// their own formats: 3,000 imported people, a list, three segments and their changes. It must be intact and give
// the same answers as before, also after everything was rewritten in roaring's portable format.
func TestDirectoryBeforeRoaring(t *testing.T) {
	p := prepare(t, filepath.Join(t.TempDir(), "data"), "--snapshot-bytes", "4KiB")
	unpack(t, "before-roaring.tar.zst", p.dir)
	said, code := p.tool(binary, "check")
	expect(t, "check of the directory as it was", said, code, 0)
	const more = 1000 // at each start, enough to be one bulk in each shard
	for start := range 3 {
		p.start()
		for statement, want := range map[string]string{
			`count where user_id starts with "u"`:                                "[[3000]]",
			`count where in segment "buyers"`:                                    "[[2000]]",
			`count where in segment "pros"`:                                      fmt.Sprintf("[[%d]]", 600+more*start),
			`count where in segment "listed"`:                                    "[[1500]]",
			`count where in list "chosen"`:                                       "[[1500]]",
			`stats count of "Order Completed", sum(amount) of "Order Completed"`: "[[3000 754549]]",
		} {
			if got := fmt.Sprint(p.query(statement)); got != want {
				t.Errorf("start %d: %s: %s, want %s", start, statement, got, want)
			}
		}
		var lines strings.Builder
		for i := range more {
			fmt.Fprintf(&lines, "{\"type\":\"identify\",\"userId\":\"new-%d-%d\",\"messageId\":\"%d-%d\",\"traits\":{\"plan\":\"pro\"}}\n", start, i, start, i)
		}
		p.log.Reset()
		p.must("POST", "/v1/events", lines.String())
		until(t, 30*time.Second, "both shards have a snapshot", func() bool {
			return strings.Count(p.log.String(), `msg="snapshot taken" group=shard-`) >= 2
		})
		p.end()
		said, code := p.tool(binary, "check")
		expect(t, "check of what was written", said, code, 0)
	}
}
